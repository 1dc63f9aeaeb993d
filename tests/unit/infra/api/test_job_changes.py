"""What may be done with a job after its invocation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scoring.job import Job, JobProgress, JobStatus, JobUsage
from scoring.minibatch import MiniBatchOutcome
from tests.contract.values import NOW, a_job, a_manifest, a_result
from tests.unit.infra.api.conftest import Service


def invoked(service: Service) -> str:
    answer = service.ready().http.post("/batch-endpoints/pumps/jobs", json={"input": {"path": str(service.data)}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["name"])


def ended(service: Service, status: JobStatus, *, failed: int = 0) -> str:
    name = invoked(service)
    while (job := service.jobs.claim("me", timedelta(minutes=1))) is not None and job.name != name:
        pass  # an older one waits
    assert job is not None
    job = service.jobs.save(job.moved(JobStatus.PREPARING), manifest=a_manifest(name))
    for index in range(3):
        bad = {"outcome": MiniBatchOutcome.FAILED, "succeeded": 0, "failed": 7} if index < failed else {"failed": 0}
        service.jobs.record(job, [a_result(index, **bad)])
    if status is JobStatus.COMPLETED:
        job = service.jobs.save(job.moved(JobStatus.FINALIZING))
    service.jobs.save(job.moved(status, reason="it ended"))
    return name


def test_a_job_is_shown_as_azure_shows_one(service: Service) -> None:
    name = invoked(service)
    shown = service.http.get(f"/jobs/{name}").json()
    assert (shown["type"], shown["status"], shown["phase"]) == ("pipeline", "Queued", "waiting for a runner")
    assert shown["properties"] == {
        "azureml.batchrun": "true", "azureml.jobtype": "azureml.batchjob", "azureml.endpointname": "pumps",
        "azureml.deploymentname": "torch",
    }  # fmt: skip
    assert shown["services"]["Studio"]["endpoint"].endswith(f"/jobs/{name}")
    assert set(shown["services"]) == {"Studio", "Tracking"}
    assert shown["usage"] == {"worker_seconds": 0.0, "core_seconds": None, "instances": 0, "processes": 0}


def test_progress_has_rate_and_time_left_while_it_runs(service: Service) -> None:
    name = invoked(service)
    job = service.jobs.claim("me", timedelta(minutes=1))
    assert job is not None
    progress = JobProgress(items=100, items_succeeded=18, items_failed=2, items_per_second=4.0)
    running = replace(job.moved(JobStatus.PREPARING).moved(JobStatus.RUNNING), progress=progress)
    service.jobs.save(replace(job, status=JobStatus.PREPARING))
    service.jobs.save(replace(running, usage=JobUsage(worker_seconds=5, core_seconds=2.5, processes=2)))
    shown = service.http.get(f"/jobs/{name}").json()
    kept = {"items_done": 20, "items_left": 80, "items_failed": 2, "items_per_second": 4.0, "seconds_left": 20.0}
    assert {key: shown["progress"][key] for key in kept} == kept
    assert shown["usage"]["core_seconds"] == 2.5


def test_the_step_of_a_job_is_found_by_its_parent_and_by_its_name(service: Service) -> None:
    name = invoked(service)
    (step,) = service.http.get("/jobs", params={"parent_job_name": name}).json()
    assert (step["name"], step["display_name"], step["parent_job_name"]) == (
        f"{name}:batchscoring", "batchscoring", name,
    )  # fmt: skip
    assert service.http.get(f"/jobs/{step['name']}").json() == step
    assert service.http.get("/jobs", params={"parent_job_name": step["name"]}).json() == []
    assert service.http.get("/jobs", params={"parent_job_name": "absent"}).status_code == 404
    assert service.http.post(f"/jobs/{step['name']}/cancel").json()["status"] == "Canceled"


def test_archived_jobs_are_listed_where_asked_for(service: Service) -> None:
    first, second = invoked(service), invoked(service)
    assert service.http.post(f"/jobs/{first}/archive").json()["is_archived"] is True

    def names(**flags: bool) -> list[str]:
        return [job["name"] for job in service.http.get("/jobs", params=flags).json()]

    assert names() == [second]
    assert names(archived_only=True) == [first]
    assert names(include_archived=True) == [second, first]
    assert service.http.post(f"/jobs/{first}/restore").json()["is_archived"] is False
    assert names() == [second, first]


def test_the_users_fields_can_be_changed(service: Service) -> None:
    name = invoked(service)
    answer = service.http.patch(f"/jobs/{name}", json={"display_name": "tonight", "tags": {"a": "1"}})
    assert (answer.json()["display_name"], answer.json()["tags"]) == ("tonight", {"a": "1"})
    answer = service.http.patch(f"/jobs/{name}", json={"description": "why"}).json()
    assert (answer["display_name"], answer["description"]) == ("tonight", "why")
    refused = service.http.patch(f"/jobs/{name}", json={"status": "Completed"})
    assert refused.status_code == 400
    assert "status" in refused.json()["error"]["message"]


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELED])
def test_an_ended_job_is_resumed(service: Service, status: JobStatus) -> None:
    name = ended(service, status)
    wakes = len(service.wakes)
    answer = service.http.post(f"/jobs/{name}/resume")
    assert (answer.status_code, answer.json()["status"], answer.json()["round"]) == (202, "Queued", 1)
    assert len(service.wakes) == wakes + 1
    again: Job | None = service.jobs.claim("you", timedelta(minutes=1))
    assert again is not None
    assert again.name == name


def test_resuming_twice_is_once_and_a_completed_job_is_refused(service: Service) -> None:
    name = ended(service, JobStatus.FAILED)
    service.http.post(f"/jobs/{name}/resume")
    assert service.http.post(f"/jobs/{name}/resume").json()["round"] == 1
    done = ended(service, JobStatus.COMPLETED)
    refused = service.http.post(f"/jobs/{done}/resume")
    assert refused.status_code == 409
    assert "retry-failed" in refused.json()["error"]["message"]


def test_an_older_job_of_an_incremental_schedule_is_not_taken_up_again(service: Service) -> None:
    for number, name in enumerate(("older", "newer")):
        fire = {"schedule_name": "nightly", "fire_time": NOW + timedelta(hours=number), "created_at": NOW}
        service.jobs.save(service.jobs.add(a_job(name, **fire)).moved(JobStatus.FAILED))
    refused = service.http.post("/jobs/older/resume")
    assert refused.status_code == 409
    assert "its rows would be scored twice" in refused.json()["error"]["message"]
    assert service.http.post("/jobs/newer/resume").json()["status"] == "Queued"


def test_failed_mini_batches_are_scored_again(service: Service) -> None:
    name = ended(service, JobStatus.COMPLETED, failed=2)
    answer = service.http.post(f"/jobs/{name}/retry-failed").json()
    assert answer["status_reason"] == "failed mini-batches again: 2 mini-batches to score"
    assert answer["progress"]["mini_batches_done"] == 1
    refused = service.http.post(f"/jobs/{name}/retry-failed")
    assert refused.status_code == 409
    none = ended(service, JobStatus.COMPLETED)
    assert "nothing to score again" in service.http.post(f"/jobs/{none}/retry-failed").json()["error"]["message"]
