"""Azure's management addresses: the bodies of its scripts, and answers that they can read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.infra.api.conftest import Service

WORKSPACE = "/subscriptions/s1/resourceGroups/g1/providers/Microsoft.MachineLearningServices/workspaces/w1"
ENDPOINT = f"{WORKSPACE}/batchEndpoints/pumps"
TORCH = f"{ENDPOINT}/deployments/torch"


def deployment(service: Service, **changes: Any) -> dict[str, Any]:
    """As scripts write it: numbers as texts, ids in full."""
    return {
        "location": "westeurope",
        "properties": {
            "model": {"referenceType": "Id", "assetId": f"{WORKSPACE}/models/net/versions/1"},
            "codeConfiguration": {"codeId": str(service.code), "scoringScript": "score.py"},
            "compute": f"{WORKSPACE}/computes/cpu",
            "resources": {"instanceCount": "2"},
            "maxConcurrencyPerInstance": "4",
            "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
            "errorThreshold": "10",
            "loggingLevel": "Info",
            "miniBatchSize": "5",
            "outputAction": "AppendRow",
        }
        | changes,
    }


def ready(service: Service) -> Service:
    assert service.http.post("/compute", json={"name": "cpu"}).status_code == 200
    assert service.http.post("/models", json={"name": "net", "path": str(service.model)}).status_code == 200
    created = service.http.put(
        f"{WORKSPACE}/batchEndpoints/Pumps?api-version=2022-10-01",
        json={"location": "westeurope", "properties": {"authMode": "aadToken"}, "tags": {"a": "b"}},
    )
    assert created.status_code == 200, created.text
    return service


def test_the_walk_of_a_script_with_curl(service: Service) -> None:
    ready(service)
    shown = service.http.get(ENDPOINT).json()
    assert (shown["name"], shown["id"], shown["tags"]) == ("pumps", ENDPOINT, {"a": "b"})
    assert shown["properties"]["authMode"] == "AADToken"
    put = service.http.put(TORCH, json=deployment(service))
    assert put.status_code == 200, put.text
    properties = put.json()["properties"]
    assert (properties["miniBatchSize"], properties["errorThreshold"]) == (5, 10)
    assert properties["retrySettings"] == {"maxRetries": 3, "timeout": "PT30S"}
    assert properties["compute"] == f"{WORKSPACE}/computes/cpu"
    assert properties["provisioningState"] == "Succeeded"
    for operation in (put.headers["azure-asyncoperation"], properties["properties"]["AzureAsyncOperationUri"]):
        assert service.http.get(operation).json()["status"] == "Succeeded"
    # ours shows the same thing
    ours = service.http.get("/batch-endpoints/pumps/deployments/torch").json()
    assert (ours["resources"], ours["max_concurrency_per_instance"]) == ({"instance_count": 2}, 4)
    assert [found["name"] for found in service.http.get(f"{ENDPOINT}/deployments").json()["value"]] == ["torch"]

    body = {"properties": {"defaults": {"deploymentName": "torch"}, "authMode": "AADToken"}}
    assert service.http.put(ENDPOINT, json=body).json()["properties"]["defaults"] == {"deploymentName": "torch"}
    scoring_uri = service.http.get(ENDPOINT).json()["properties"]["scoringUri"]
    job = service.http.post(
        scoring_uri, json={"properties": {"dataset": {"dataInputType": "DataUrl", "Path": str(service.data)}}}
    ).json()
    job_id = job["id"].rpartition("/")[2]
    assert service.http.get(f"{scoring_uri}/{job_id}").json()["properties"]["status"] == "Queued"
    assert service.http.get(f"{WORKSPACE}/jobs/{job_id}").json()["properties"]["status"] == "Queued"
    for path in (f"{ENDPOINT}/jobs", f"{TORCH}/jobs"):
        found = service.http.get(f"/mferp/managementfrontend{path}?api-version=2020-09-01-dataplanepreview").json()
        assert [job["name"] for job in found["value"]] == [job_id]
    canceled = service.http.post(f"{WORKSPACE}/jobs/{job_id}/cancel")
    assert (canceled.status_code, canceled.json()["properties"]["status"]) == (202, "Canceled")

    for path in (TORCH, ENDPOINT):
        assert service.http.delete(path).status_code == 202
        assert service.http.delete(path).status_code == 204
        assert service.http.get(path).status_code == 404
    assert len(service.http.get(f"{WORKSPACE}/jobs?$top=5").json()["value"]) == 1
    assert service.http.get(f"{WORKSPACE}/jobs?$skip=1").json() == {"value": []}
    assert service.http.get(f"{WORKSPACE}/jobs?$top=0").status_code == 400


@pytest.mark.parametrize(
    ("changes", "status", "target", "said"),
    [
        ({"miniBatchSize": "many"}, 400, "properties.miniBatchSize", "mini_batch_size: found"),
        ({"miniBatchSiz": 3}, 400, "properties.miniBatchSiz", "unknown key; allowed: codeConfiguration"),
        ({"outputAction": "Rows"}, 400, "properties.outputAction", "allowed: AppendRow, SummaryOnly"),
        ({"retrySettings": {"timeout": "P"}}, 400, "properties.retrySettings.timeout", "wanted a duration"),
        ({"resources": []}, 400, "properties.resources", "found a list, wanted an object"),
        ({"model": {"referenceType": "Id"}}, 400, "properties.model.assetId", "missing"),
        ({"model": {"assetId": f"{WORKSPACE}/models/absent/versions/1"}}, 404, None, "absent"),
        (
            {"deploymentConfiguration": {"deploymentConfigurationType": "Online"}},
            400,
            "properties.deploymentConfiguration.deploymentConfigurationType",
            "allowed: Model, PipelineComponent",
        ),
    ],
)
def test_refusals_name_the_callers_words_and_change_nothing(
    service: Service, changes: dict[str, Any], status: int, target: str | None, said: str
) -> None:
    answer = ready(service).http.put(TORCH, json=deployment(service, **changes))
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["target"], said in error["message"]) == (target, True), error
    assert service.http.get(TORCH).status_code == 404


def test_endpoint_bodies_are_checked(service: Service) -> None:
    for body, said in (
        ({}, "properties: missing"),
        ({"properties": {"authMode": "x"}}, "allowed: AADToken, Key, AMLToken"),
        ({"properties": {"nope": 1}}, "properties.nope: unknown key"),
        ({"name": "other", "properties": {}}, "the address names pumps"),
        ({"properties": {"defaults": {"deploymentName": "a/b"}}}, "a name has 2 to 64 letters"),
    ):
        answer = service.http.put(ENDPOINT, json=body)
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["error"]["message"]
    assert service.http.get(f"{WORKSPACE}/batchEndpoints").json() == {"value": []}
