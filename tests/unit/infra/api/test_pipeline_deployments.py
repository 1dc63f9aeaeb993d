"""Pipelines behind batch endpoints: deployed, shown, invoked with values, in our words and Azure's."""

from __future__ import annotations

from typing import Any

import pytest

from infra.api.azure_management import PREFIX
from scoring.job import JobKind
from tests.unit.infra.api.conftest import Service

WORKSPACE = PREFIX.format(subscription="s", group="g", workspace="w")
COMPONENT = {
    "type": "pipeline",
    "name": "line",
    "inputs": {"data": {"type": "uri_folder"}, "factor": {"type": "integer", "default": 2, "max": 9}},
    "outputs": {"result": {"type": "uri_folder"}},
    "jobs": {
        "only": {
            "command": "echo ${{inputs.factor}} > ${{outputs.out}}/f; ls ${{inputs.data}}",
            "inputs": {"data": "${{parent.inputs.data}}", "factor": "${{parent.inputs.factor}}"},
            "outputs": {"out": "${{parent.outputs.result}}"},
        }
    },
}


@pytest.fixture
def deployed(service: Service) -> Service:
    """An endpoint `pumps` whose default deployment `line` is of the pipeline."""
    service.ready()
    body = {"type": "pipeline", "name": "line", "endpoint_name": "pumps", "component": COMPONENT}
    address = "/batch-endpoints/pumps/deployments"
    response = service.http.post(f"{address}?set_default=true", json=body | {"settings": {"default_compute": "cpu"}})
    assert response.status_code == 200, response.text
    return service


def invoke(service: Service, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    response = service.http.post("/batch-endpoints/pumps/jobs", json=body)
    assert response.status_code == status, response.text
    return dict(response.json())


def test_a_deployment_of_a_pipeline_is_shown_listed_replaced_and_deleted(deployed: Service) -> None:
    address = "/batch-endpoints/pumps/deployments"
    shown = deployed.http.get(f"{address}/line").json()
    assert (shown["type"], shown["component"]) == ("pipeline", "azureml:line:1")
    assert shown["settings"]["continue_on_step_failure"] is True
    assert shown["inputs"]["factor"] == {"type": "integer", "default": 2, "max": 9}
    assert [each["name"] for each in deployed.http.get(address).json()] == ["torch", "line"]
    assert deployed.http.get("/batch-endpoints/pumps").json()["defaults"] == {"deployment_name": "line"}
    again = {key: shown[key] for key in ("type", "name", "endpoint_name", "component")}
    changed = deployed.http.put(f"{address}/line", json=again | {"settings": {"force_rerun": True}})
    assert changed.json()["settings"]["force_rerun"] is True
    assert deployed.http.delete(f"{address}/line").status_code == 204
    assert deployed.http.get("/batch-endpoints/pumps").json()["defaults"] == {"deployment_name": None}


def test_a_deployment_is_made_of_an_earlier_pipelines_job(deployed: Service) -> None:
    data = {"type": "uri_folder", "path": str(deployed.data)}
    job = deployed.http.post(
        "/jobs",
        json={"type": "pipeline", "name": "j", "component": "azureml:line:1", "inputs": {"data": data, "factor": 7}},
    )
    assert job.status_code == 201, job.text
    body = {"type": "pipeline", "name": "made", "endpoint_name": "pumps", "job_definition": "azureml:j"}
    shown = deployed.http.post("/batch-endpoints/pumps/deployments", json=body)
    assert shown.status_code == 200, shown.text
    # what the job was given are defaults now
    assert shown.json()["inputs"]["factor"]["default"] == 7
    made = deployed.http.post("/batch-endpoints/pumps/jobs", json={"inputs": {}, "deployment": "made"})
    assert made.json()["inputs"] == {
        "data": {"type": "uri_folder", "path": str(deployed.data), "mode": None},
        "factor": 7,
    }


def test_an_invocation_gives_values_and_places(deployed: Service) -> None:
    body = {
        "inputs": {"data": {"type": "uri_folder", "path": str(deployed.data)}, "factor": 3},
        "outputs": {"result": {"path": "azureml://datastores/workspaceblobstore/paths/r/${{name}}"}},
        "job_name": "j1",
    }
    shown = invoke(deployed, body)
    assert (shown["type"], shown["endpoint_name"], shown["deployment_name"]) == ("pipeline", "pumps", "line")
    assert shown["properties"]["azureml.jobtype"] == "azureml.pipelinejob"
    assert shown["inputs"]["factor"] == 3
    job = deployed.jobs.get("j1")
    assert (job.kind, job.experiment_name) == (JobKind.PIPELINE, "pumps")
    assert deployed.http.get("/batch-endpoints/pumps/jobs").json()[0]["name"] == "j1"


def test_one_input_of_data_needs_no_name(deployed: Service) -> None:
    shown = invoke(
        deployed, {"input": {"path": str(deployed.data)}, "inputs": {"factor": {"type": "integer", "default": 4}}}
    )
    assert shown["inputs"]["factor"] == 4
    assert shown["inputs"]["data"]["path"] == str(deployed.data)


@pytest.mark.parametrize(
    ("body", "target", "message"),
    [
        ({"inputs": {"factor": 3}}, "inputs.data", "missing; it is required"),
        ({"input": {"path": "DATA"}, "inputs": {"factor": 10}}, "inputs.factor", "at most 9"),
        ({"input": {"path": "DATA"}, "inputs": {"factr": 1}}, "inputs.factr", "there is no such input"),
        ({"input": {"path": "DATA"}, "outputs": {"x": {}}}, "outputs.x", "there is no such output"),
        ({"input": {"path": "DATA"}, "mini_batch_size": 5}, "mini_batch_size", "only deployments of models have it"),
        ({"input": {"path": "/no/such"}}, "inputs.data", "there is no file or folder"),
    ],
)
def test_refusals_of_an_invocation(deployed: Service, body: dict[str, Any], target: str, message: str) -> None:
    if body.get("input") == {"path": "DATA"}:
        body = body | {"input": {"path": str(deployed.data)}}
    error = invoke(deployed, body, 400)["error"]
    assert (error["target"], message in error["message"]) == (target, True), error
    assert deployed.http.get("/batch-endpoints/pumps/jobs").json() == []


def test_azures_body_has_literals(deployed: Service) -> None:
    data = {"JobInputType": "UriFolder", "Uri": str(deployed.data)}
    literal = {"JobInputType": "Literal", "Value": "5"}
    shown = invoke(deployed, {"properties": {"InputData": {"data": data, "factor": literal}}})
    assert shown["properties"]["inputData"] == {
        "data": {"jobInputType": "UriFolder", "uri": str(deployed.data), "mode": "ReadOnlyMount"},
        "factor": {"jobInputType": "Literal", "value": "5"},
    }
    assert shown["properties"]["status"] == shown["status"] == "Queued"
    polled = deployed.http.get(f"/batch-endpoints/pumps/jobs/{shown['name']}").json()
    assert polled["properties"]["status"] == "Queued"


def test_a_models_deployment_still_refuses_literals(deployed: Service) -> None:
    literal = {"properties": {"InputData": {"x": {"JobInputType": "Literal", "Value": "5"}}}}
    response = deployed.http.post(
        "/batch-endpoints/pumps/jobs", json=literal, headers={"azureml-model-deployment": "torch"}
    )
    assert response.status_code == 400
    assert "takes data alone" in response.json()["error"]["message"]


def test_the_management_interface_makes_and_shows_it(deployed: Service) -> None:
    address = f"{WORKSPACE}/batchEndpoints/pumps/deployments/other"
    body = {
        "properties": {
            "deploymentConfiguration": {
                "deploymentConfigurationType": "PipelineComponent",
                "componentId": {"referenceType": "Id", "assetId": f"{WORKSPACE}/components/line/versions/1"},
                "settings": {"default_compute": "cpu", "continue_on_step_failure": "false"},
            }
        }
    }
    response = deployed.http.put(address, json=body)
    assert response.status_code == 200, response.text
    configuration = deployed.http.get(address).json()["properties"]["deploymentConfiguration"]
    assert configuration["componentId"]["assetId"].endswith("/components/line/versions/1")
    assert configuration["settings"]["continue_on_step_failure"] == "false"
    listed = deployed.http.get(f"{WORKSPACE}/batchEndpoints/pumps/deployments").json()["value"]
    assert [each["name"] for each in listed] == ["torch", "line", "other"]
