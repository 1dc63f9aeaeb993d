"""The scoring address as Azure's clients use it: bodies of all generations, answers, polling, cancelling."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.infra.api.conftest import Service


def post(service: Service, properties: Any, **headers: str) -> Any:
    return service.http.post("/batch-endpoints/pumps/jobs", json={"properties": properties}, headers=headers)


def test_the_answer_is_what_azures_scripts_read(service: Service) -> None:
    service.ready()
    response = post(
        service,
        {
            "InputData": {"images": {"JobInputType": "UriFolder", "Uri": str(service.data)}},
            "OutputData": {"score": {"JobOutputType": "UriFile", "Uri": str(service.data / "out" / "mine.csv")}},
            "RetrySettings": {"MaxRetries": "2", "Timeout": "PT1M10S"},
            "miniBatchSize": "4",
            "errorThreshold": 3,
            "compute": {"instanceCount": 2},
            "properties": {"experimentName": "trial", "kept": "yes"},
            "tags": {"a": "b"},
        },
    )
    assert response.status_code == 201, response.text
    job = response.json()
    assert job["type"].endswith("/batchEndpoints/deployments/jobs")
    assert job["id"].rpartition("/")[2] == job["name"]
    inner = job["properties"]
    assert (inner["status"], inner["outputFileName"], inner["miniBatchSize"]) == ("Queued", "mine.csv", 4)
    assert inner["inputData"]["input_data"]["uri"] == str(service.data)
    assert inner["retrySettings"] == {"maxRetries": 2, "timeout": "PT1M10S"}
    assert inner["interactionEndpoints"]["Studio"]["endpoint"]
    parameters = json.loads(inner["properties"]["azureml.parameters"])
    assert (parameters["run_max_try"], parameters["run_invocation_timeout"], parameters["NodeCount"]) == (
        "2",
        "70",
        "2",
    )
    assert (job["experiment_name"], job["tags"], inner["properties"]["kept"]) == ("trial", {"a": "b"}, "yes")
    assert job["output"]["path"] == str(service.data / "out")

    polled = service.http.get(f"/batch-endpoints/pumps/jobs/{job['id'].rpartition('/')[2]}").json()
    assert (polled["status"], polled["properties"]["status"]) == ("Queued", "Queued")
    assert service.http.get(f"/batch-endpoints/others/jobs/{job['name']}").status_code == 404
    canceled = service.http.post(f"/batch-endpoints/pumps/jobs/{job['name']}/cancel")
    assert (canceled.status_code, canceled.json()["properties"]["status"]) == (202, "Canceled")


@pytest.mark.parametrize("path", ["Path", "path", "PATH"])
def test_the_older_generation(service: Service, path: str) -> None:
    service.ready()
    body = f'''{{
        "Properties": {{
            "dataset": {{
                "dataInputType": "DataUrl",
                "{path}": "{service.data}",
            }},
            "outputDataset": {{"datastoreId": "azureml:nowhere", "path": "/x"}},
            "outputFileName": "p.csv"
        }},
    }}'''
    answer = service.http.post(
        "/batch-endpoints/pumps/jobs", content=body, headers={"content-type": "application/json; charset=utf-8"}
    )
    # the store is looked up: all before it was understood
    assert "nowhere" in answer.json()["error"]["message"], answer.text
    plain = post(service, {"Dataset": {"DataInputType": "dataurl", path: str(service.data)}})
    assert plain.status_code == 201, plain.text
    assert plain.json()["input"]["path"] == str(service.data)


@pytest.mark.parametrize(
    ("properties", "target", "said"),
    [
        ({}, "input", "missing"),
        ({"InputData": []}, "properties.InputData", "found a list, wanted an object"),
        ({"InputDta": {}}, "properties.InputDta", "unknown key; allowed: Compute, Dataset"),
        ({"InputData": {}, "inputdata": {}}, "properties.inputdata", "given twice, in another case"),
        ({"InputData": {"a": {"JobInputType": "Folder"}}}, "properties.InputData.a.JobInputType", "found 'Folder'"),
        (
            {"InputData": {"a": {"JobInputType": "Literal", "Value": "3"}}},
            "properties.InputData.a.JobInputType",
            "a model's deployment takes data alone",
        ),
        ({"InputData": {"a": {"Uri": "rel"}}}, "properties.InputData.a.Uri", "must be absolute"),
        (
            {"InputData": {"a": {"Uri": "/x"}, "b": {"Uri": "/y"}}},
            "properties.InputData.b",
            "exactly one input",
        ),
        ({"dataset": {"dataInputType": "DataUrl"}}, "properties.dataset", "missing; wanted path or uri"),
        ({"dataset": {"dataInputType": "X"}}, "properties.dataset.dataInputType", "allowed: DataUrl, DataId"),
        (
            {"dataset": {"path": "/x"}, "retrySettings": {"timeout": "PT"}},
            "properties.retrySettings.timeout",
            "wanted a duration",
        ),
        ({"dataset": {"path": "/x"}, "miniBatchSize": "many"}, "properties.miniBatchSize", "mini_batch_size: found"),
        ({"dataset": {"path": "/x"}, "loggingLevel": "Info"}, "properties.loggingLevel", "cannot be changed"),
        ({"dataset": {"path": "/x"}, "compute": {"target": "x"}}, "properties.compute.target", "cannot be changed"),
    ],
)
def test_refusals_name_the_callers_own_words(service: Service, properties: Any, target: str, said: str) -> None:
    response = post(service.ready(), properties)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["target"] == target
    assert said in error["message"]
    assert error["details"] == [{"PropertyName": target, "ErrorMessage": error["message"], "ErrorCode": "InvalidInput"}]
    assert service.http.get("/jobs").json() == []


def test_references_are_followed_when_the_job_is_made(service: Service) -> None:
    service.ready()
    (service.data / "a").write_text("x")
    asset = service.http.post("/data", json={"name": "images", "path": str(service.data), "type": "uri_folder"})
    assert asset.status_code == 200, asset.text
    body = {
        "input": {"path": "azureml:images@latest"},
        "output": {"path": "azureml://datastores/workspaceblobstore/paths/o"},
    }
    response = service.http.post("/batch-endpoints/pumps/jobs", json=body)
    # the reader in memory knows one folder alone; where it was sent is what counts
    assert "does not exist" in response.json()["error"]["message"]
    assert "/datastores/workspaceblobstore/" in response.json()["error"]["message"]
    for path, status, said in (
        ("azureml:absent:1", 404, "absent"),
        ("azureml://datastores/absent/paths/x", 404, "no datastore named absent"),
    ):
        answer = service.http.post("/batch-endpoints/pumps/jobs", json={"input": {"path": path}})
        assert answer.status_code == status, answer.text
        assert said in answer.json()["error"]["message"]
    assert service.http.get("/jobs").json() == []


def test_what_lies_in_the_web_is_fetched_when_the_job_is_made(service: Service) -> None:
    service.ready()
    url = "https://example.org/folder"
    job = service.http.post("/batch-endpoints/pumps/jobs", json={"input": {"path": url}}).json()
    assert job["input"]["path"] == str(service.data)
    assert service.jobs.get(job["name"]).input.source == url


def test_the_type_is_what_lies_there_where_it_is_not_said(service: Service) -> None:
    service.ready()
    job = service.http.post("/batch-endpoints/pumps/jobs", json={"input": {"path": str(service.data)}}).json()
    assert job["input"] == {"type": "uri_folder", "path": str(service.data)}


def test_an_outputs_path_may_hold_the_jobs_name(service: Service) -> None:
    body = {
        "input": {"path": str(service.data)},
        "outputs": {"score": {"path": "azureml://datastores/workspaceblobstore/paths/runs/${{name}}"}},
        "job_name": "mine",
    }
    job = service.ready().http.post("/batch-endpoints/pumps/jobs", json=body).json()
    assert job["output"]["path"].endswith("/datastores/workspaceblobstore/runs/mine")


def test_what_cannot_be_read_is_said_of_the_callers_own_field(service: Service) -> None:
    service.ready()
    for body, target in (
        ({"input": {"path": "/nowhere"}}, "input.path"),
        ({"inputs": {"images": {"path": "/nowhere"}}}, "inputs.images.path"),
        ({"inputs": {"images": {"path": "azureml://datastores/plant/paths/../x"}}}, "inputs.images.path"),
        ({"properties": {"InputData": {"images": {"Uri": "/nowhere"}}}}, "properties.InputData.images.Uri"),
        ({"properties": {"dataset": {"Path": "/nowhere"}}}, "properties.dataset.Path"),
    ):
        answer = service.http.post("/batch-endpoints/pumps/jobs", json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["target"] == target
