"""Jobs made of files over the service's own interface: checked whole, refused in words, shown, canceled."""

from __future__ import annotations

from typing import Any

import pytest

from scoring.job import JobKind, JobStatus
from scoring.pipeline.conductor import Conductor
from tests.contract.memory_pipelines import MemoryPipelineStore
from tests.unit.infra.api.conftest import Service

COMMAND = {
    "command": "echo ${{inputs.word}} > ${{outputs.out}}/f",
    "inputs": {"word": "hello"},
    "outputs": {"out": None},
}


def pipeline(service: Service, **changes: Any) -> dict[str, Any]:
    return {
        "type": "pipeline",
        "inputs": {"data": {"type": "uri_folder", "path": str(service.data)}},
        "jobs": {
            "a": {
                "command": "ls ${{inputs.data}} > ${{outputs.out}}/f",
                "inputs": {"data": "${{parent.inputs.data}}"},
                "outputs": {"out": None},
            },
            "b": {"command": "true", "inputs": {"x": "${{parent.jobs.a.outputs.out}}"}},
        },
    } | changes


def made(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    response = service.http.post("/jobs", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


def look(service: Service) -> None:
    Conductor(MemoryPipelineStore(service.jobs), now=service.clock.now, jobs_folder=service.data.parent / "jobs").look()


def test_a_command_is_queued_and_the_runner_told(service: Service) -> None:
    shown = made(service, COMMAND | {"name": "greet", "environment_variables": {"A": 1}})
    assert (shown["name"], shown["type"], shown["status"]) == ("greet", "command", "Queued")
    assert (shown["compute"], shown["inputs"], shown["experiment_name"]) == ("local", {"word": "hello"}, "Default")
    assert service.wakes == [1]
    job = service.jobs.get("greet")
    assert job.kind is JobKind.COMMAND
    assert job.deployment.environment_variables == {"A": "1"}
    # what it runs on is there from now on
    assert service.http.get("/compute/local").status_code == 200


def test_a_pipeline_becomes_a_job_with_a_child_a_step(service: Service) -> None:
    shown = made(service, pipeline(service, name="p", display_name="shape"))
    assert (shown["type"], shown["display_name"], list(shown["jobs"])) == ("pipeline", "shape", ["a", "b"])
    look(service)
    listed = service.http.get("/jobs", params={"parent_job_name": "p"}).json()
    assert {job["step"]: job["status"] for job in listed} == {"a": "Queued", "b": "NotStarted"}
    assert [job["name"] for job in service.http.get("/jobs").json()] == ["p"]
    assert service.http.get("/jobs/p").json()["children"] == {"total": 2, "NotStarted": 1, "Queued": 1}
    step = service.http.get("/jobs/p.b").json()
    assert (step["parent_job_name"], step["status_reason"]) == ("p", "waiting for other steps")


def test_a_cancel_of_a_pipeline_is_its_conductors_and_of_a_waiting_step_at_once(service: Service) -> None:
    made(service, pipeline(service, name="p"))
    look(service)
    assert service.http.post("/jobs/p.b/cancel").json()["status"] == "Canceled"
    assert service.http.post("/jobs/p/cancel").json()["status"] == "CancelRequested"
    look(service)
    assert service.jobs.get("p").status is JobStatus.CANCELED
    assert service.jobs.get("p.a").status is JobStatus.CANCELED


def test_validation_runs_nothing(service: Service) -> None:
    response = service.http.post("/jobs/validate", json=pipeline(service))
    assert (response.status_code, response.json()) == (200, {"result": "Succeeded", "errors": []})
    assert service.http.get("/jobs").json() == []


@pytest.mark.parametrize(
    ("changes", "status", "target", "message"),
    [
        ({"settings": {"default_compute": "absent"}}, 400, "settings.default_compute", "absent"),
        ({"inputs": {"data": {"path": "/no/such/place"}}}, 400, "inputs.data", "there is no file or folder"),
        ({"inputs": {"data": {"path": "azureml:absent:1"}}}, 404, None, "absent"),
        (
            {"jobs": {"a": {"command": "true", "outputs": {"o": {"path": "azureml://datastores/absent/paths/x"}}}}},
            404,
            None,
            "absent",
        ),
        ({"jobs": {}}, 400, "jobs", ""),
        ({"jobs": {"a": {"command": "${{inputs.x}}"}}}, 400, "jobs.a.command", "no such input"),
        ({"jobs": {"a": {"command": "true", "compute": "absent"}}}, 400, "jobs.a.compute", "absent"),
        ({"type": "sweep"}, 400, "type", "sweep"),
    ],
)
def test_what_cannot_be_run_is_refused_and_nothing_made(
    service: Service, changes: dict[str, Any], status: int, target: str | None, message: str
) -> None:
    response = service.http.post("/jobs", json=pipeline(service, **changes))
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert message in error["message"]
    assert target is None or error["target"] == target
    assert service.http.get("/jobs").json() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partition_keys": ["site"], "mini_batch_size": None}, "jobs.score.partition_keys: mini-batches are not made"),
        ({"inputs": {"data": {"type": "mltable", "path": "DATA"}}}, "jobs.score.inputs.data: a parallel step reads"),
    ],
)
def test_a_parallel_step_that_cannot_be_run_is_refused(service: Service, changes: dict[str, Any], message: str) -> None:
    step: dict[str, Any] = {
        "type": "parallel",
        "inputs": {"data": {"type": "uri_folder", "path": str(service.data)}},
        "input_data": "${{inputs.data}}",
        "mini_batch_size": "10",
        "task": {"type": "run_function", "code": str(service.code), "entry_script": "score.py"},
    }
    step = {key: value for key, value in (step | changes).items() if value is not None}
    step["inputs"]["data"]["path"] = str(service.data)
    response = service.http.post("/jobs", json={"type": "pipeline", "jobs": {"score": step}})
    assert response.status_code == 400, response.text
    assert message in response.json()["error"]["message"]


def test_the_same_request_again_is_the_same_job_and_a_taken_name_is_not(service: Service) -> None:
    header = {"repeatability_request-id": "one"}
    first = service.http.post("/jobs", json=COMMAND, headers=header).json()
    assert service.http.post("/jobs", json=COMMAND, headers=header).json()["name"] == first["name"]
    made(service, COMMAND | {"name": "x"})
    assert service.http.post("/jobs", json=COMMAND | {"name": "x"}).status_code == 409


def test_a_reference_is_fixed_when_the_job_is_made(service: Service) -> None:
    (service.data / "a").write_text("x")
    assert service.http.post("/data", json={"name": "images", "path": str(service.data)}).status_code == 200
    shown = made(service, pipeline(service, inputs={"data": {"type": "uri_folder", "path": "azureml:images@latest"}}))
    assert shown["inputs"]["data"]["path"] == "azureml:images:1"
