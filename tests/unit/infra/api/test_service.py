from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scoring.errors import TryAgain
from scoring.job import JobStatus
from tests.unit.infra.api.conftest import Service


def error_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "target", "details"}
    return dict(body["error"])


def invoke(service: Service, body: dict[str, Any] | None = None, **headers: str) -> Any:
    body = {"input": {"path": str(service.data)}} if body is None else body
    return service.http.post("/batch-endpoints/pumps/jobs", json=body, headers=headers)


# --- named things --------------------------------------------------------------------------------------------------


def test_creating_twice_replaces(service: Service) -> None:
    assert service.http.post("/compute", json={"name": "cpu", "max_instances": 2}).json()["max_instances"] == 2
    assert service.http.post("/compute", json={"name": "cpu"}).json()["max_instances"] == 4
    assert [c["name"] for c in service.http.get("/compute").json()] == ["cpu"]
    assert service.http.delete("/compute/cpu").status_code == 204
    assert service.http.delete("/compute/cpu").status_code == 204
    assert "there are: none" in error_of(service.http.get("/compute/cpu"), 404)["message"]


def test_an_endpoint_keeps_its_default_when_created_again(service: Service) -> None:
    service.ready()
    again = service.http.post("/batch-endpoints", json={"name": "PUMPS", "description": "new"}).json()
    assert (again["name"], again["description"]) == ("pumps", "new")
    assert again["defaults"] == {"deployment_name": "torch"}
    assert again["scoring_uri"] == "http://testserver/batch-endpoints/pumps/jobs"


def test_an_endpoints_default_must_exist_when_it_is_changed(service: Service) -> None:
    shown = service.ready().http.get("/batch-endpoints/pumps").json()
    shown["defaults"] = {"deployment_name": "absent"}
    error_of(service.http.put("/batch-endpoints/pumps", json=shown), 404)
    assert service.catalog.endpoint("pumps").default_deployment_name == "torch"
    error_of(service.http.put("/batch-endpoints/absent", json={"name": "absent"}), 404)
    error_of(service.http.put("/batch-endpoints/pumps", json={"name": "other"}), 400)


def test_deleting_the_default_deployment_leaves_no_default(service: Service) -> None:
    service.ready()
    for _ in range(2):
        assert service.http.delete("/batch-endpoints/pumps/deployments/torch").status_code == 204
    assert service.catalog.endpoint("pumps").default_deployment_name is None
    assert "set a default deployment or provide a deployment name" in error_of(invoke(service), 409)["message"]


def test_jobs_outlive_their_endpoint(service: Service) -> None:
    name = invoke(service.ready()).json()["name"]
    assert service.http.delete("/batch-endpoints/pumps").status_code == 204
    assert service.http.get(f"/jobs/{name}").json()["deployment"]["name"] == "torch"
    assert [job["name"] for job in service.http.get("/batch-endpoints/pumps/jobs").json()] == [name]


def test_models_are_versioned_and_the_same_content_is_the_same_version(service: Service) -> None:
    def create(**changes: Any) -> Any:
        return service.http.post("/models", json={"name": "net", "path": str(service.model)} | changes)

    assert create().json()["version"] == "1"
    assert create().json()["version"] == "1"
    (service.model / "weights").write_text("other")
    assert create().json()["version"] == "2"
    assert create(version=7).json()["version"] == "7"
    (service.model / "weights").write_text("third")
    assert create().json()["version"] == "8"
    assert service.http.get("/models/net/versions/2").json()["version"] == "2"
    assert {m["version"] for m in service.http.get("/models/net").json()} == {"1", "2", "7", "8"}
    error_of(service.http.get("/models/net/versions/3"), 404)
    error_of(service.http.get("/models/absent"), 404)
    assert error_of(create(path="/nowhere/model"), 400)["target"] == "path"


# --- deployments: nothing half-created ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"compute": "absent"}, 404, "compute"),
        ({"model": "azureml:absent:1"}, 404, "model"),
        ({"endpoint_name": "other"}, 400, "the address names pumps"),
        ({"model": {"path": "/nowhere/x"}}, 400, "model.path: there is no file or folder /nowhere/x"),
        ({"mini_batch_size": 0}, 400, "mini_batch_size: found the number 0, must be at least 1"),
        ({"instances": 1}, 400, "instances: unknown key"),
        ({"code_configuration": {"code": "src", "scoring_script": "s.py"}}, 400, "must be absolute"),
    ],
)
def test_a_wrong_deployment_changes_nothing(service: Service, changes: dict[str, Any], status: int, said: str) -> None:
    service.http.post("/compute", json={"name": "cpu"})
    service.http.post("/batch-endpoints", json={"name": "pumps"})
    body = service.deployment(**changes)
    response = service.http.post("/batch-endpoints/pumps/deployments?set_default=true", json=body)
    assert said in error_of(response, status)["message"]
    assert service.http.get("/batch-endpoints/pumps/deployments").json() == []
    assert service.http.get("/models").json() == []
    assert service.catalog.endpoint("pumps").default_deployment_name is None


def test_a_scoring_script_that_is_no_python_is_refused_with_its_line(service: Service) -> None:
    service.ready()
    (service.code / "score.py").write_text("def run(mini_batch):\n    return [\n")
    body = service.deployment(name="broken")
    error = error_of(service.http.post("/batch-endpoints/pumps/deployments", json=body), 400)
    assert error["target"] == "code_configuration.scoring_script"
    assert "score.py:2 is no Python" in error["message"]
    skipped = service.http.post("/batch-endpoints/pumps/deployments?skip_script_validation=true", json=body)
    assert skipped.status_code == 200


def test_a_deployment_is_shown_flat_with_its_own_copy_of_the_code(service: Service) -> None:
    service.ready()
    shown = service.http.get("/batch-endpoints/pumps/deployments/torch").json()
    assert shown["retry_settings"] == {"max_retries": 3, "timeout": 30, "bisect": False}
    assert shown["resources"] == {"instance_count": 1}
    assert shown["model"].startswith("azureml:anonymous-")
    assert shown["code_configuration"]["code"] != str(service.code)
    # what is shown can be sent back
    again = service.http.post("/batch-endpoints/pumps/deployments", json=shown)
    assert again.json()["code_configuration"] == shown["code_configuration"]


def test_a_deployment_is_replaced_by_what_was_shown_and_changed(service: Service) -> None:
    shown = service.ready().http.get("/batch-endpoints/pumps/deployments/torch").json()
    service.clock.advance(timedelta(seconds=5))
    path = "/batch-endpoints/pumps/deployments/torch"
    changed = service.http.put(path, json=shown | {"mini_batch_size": 77}).json()
    assert changed["mini_batch_size"] == 77
    assert changed["creation_context"]["created_at"] == shown["creation_context"]["created_at"]
    assert changed["creation_context"]["last_modified_at"] > shown["creation_context"]["last_modified_at"]
    assert error_of(service.http.put(path, json=shown | {"name": "other"}), 400)["target"] == "name"
    error_of(service.http.put("/batch-endpoints/pumps/deployments/absent", json=shown | {"name": "absent"}), 404)


def test_compute_local_needs_no_cluster_to_be_made(service: Service) -> None:
    service.ready()
    response = service.http.post("/batch-endpoints/pumps/deployments", json=service.deployment(compute="local"))
    assert response.json()["compute"] == "local"
    assert service.http.get("/compute/local").json()["type"] == "amlcompute"


def test_only_an_mlflow_model_is_deployed_without_a_script(service: Service) -> None:
    service.ready()
    body = service.deployment(name="bare", code_configuration=None)
    error = error_of(service.http.post("/batch-endpoints/pumps/deployments", json=body), 400)
    assert error["target"] == "code_configuration"
    assert "and this one is custom_model" in error["message"]
    body["model"]["type"] = "mlflow_model"
    error = error_of(service.http.post("/batch-endpoints/pumps/deployments", json=body), 400)
    assert error["target"] == "model.path"
    (service.model / "MLmodel").write_text("flavors: {}\n")
    shown = service.http.post("/batch-endpoints/pumps/deployments", json=body).json()
    assert shown["code_configuration"] is None
    # with a script of its own it is loaded by that
    body["code_configuration"] = service.deployment()["code_configuration"]
    shown = service.http.post("/batch-endpoints/pumps/deployments", json=body).json()
    assert shown["code_configuration"]["scoring_script"] == "score.py"


# --- jobs -----------------------------------------------------------------------------------------------------------


def test_invoking_makes_a_queued_job_and_wakes_the_runner(service: Service) -> None:
    response = invoke(service.ready())
    assert response.status_code == 201
    job = response.json()
    assert (job["status"], job["trigger"], job["endpoint_name"]) == ("Queued", "user", "pumps")
    assert job["input"] == {"type": "uri_folder", "path": str(service.data)}
    assert job["outputs"]["score"]["path"].endswith(f"jobs/{job['name']}/outputs/score")
    assert response.headers["location"] == f"http://testserver/batch-endpoints/pumps/jobs/{job['name']}"
    assert response.headers["azureml-model-deployment"] == "torch"
    assert response.headers["x-ms-request-id"]
    assert service.wakes == [1]
    assert service.http.get(f"/jobs/{job['name']}").json() == job


def test_the_same_request_again_is_the_same_job(service: Service) -> None:
    service.ready()
    key = {"repeatability_request-id": "abc"}
    first, again = (invoke(service, **key).json()["name"] for _ in range(2))
    assert first == again
    assert invoke(service, **{"repeatability_request-id": "def"}).json()["name"] != first
    assert len(service.http.get("/jobs").json()) == 2


def test_an_invocation_overrides_its_deployment_for_its_job_alone(service: Service) -> None:
    body = {
        "input": {"path": str(service.data)},
        "mini_batch_size": 3,
        "output_file_name": "x.csv",
        "retry_settings": {"timeout": 5},
        "job_name": "mine",
        "experiment_name": "trial",
    }
    job = invoke(service.ready(), body).json()
    assert (job["name"], job["experiment_name"]) == ("mine", "trial")
    assert job["deployment"]["mini_batch_size"] == 3
    assert job["deployment"]["retry_settings"] == {"max_retries": 3, "timeout": 5, "bisect": False}
    assert job["output"]["file_name"] == "x.csv"
    assert service.catalog.deployment("pumps", "torch").mini_batch_size == 10
    assert "exists already" in error_of(invoke(service, body), 409)["message"]


def test_the_header_chooses_the_deployment(service: Service) -> None:
    service.ready()
    service.http.post("/batch-endpoints/pumps/deployments", json=service.deployment(name="second"))
    assert invoke(service, **{"azureml-model-deployment": "second"}).json()["deployment_name"] == "second"
    error_of(invoke(service, **{"azureml-model-deployment": "third"}), 404)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "input: missing"),
        ({"input": {"path": "/nowhere"}}, 400, "/nowhere does not exist"),
        ({"input": {"path": "rel"}}, 400, "must be absolute"),
        ({"input": {"path": "/x"}, "endpoint": "other"}, 400, "the address names pumps"),
        ({"input": {"path": "/x"}, "deployment": "absent"}, 404, "absent"),
        ({"input": {"path": "/x"}, "model": "m"}, 400, "model: cannot be changed for one job"),
    ],
)
def test_a_wrong_invocation_makes_no_job(service: Service, body: dict[str, Any], status: int, said: str) -> None:
    assert said in error_of(invoke(service.ready(), body), status)["message"]
    assert service.http.get("/jobs").json() == []


def test_an_output_that_exists_is_refused_at_once(service: Service) -> None:
    service.sink.taken.add("predictions.csv")
    error_of(invoke(service.ready()), 409)
    assert service.http.get("/jobs").json() == []


def test_a_waiting_job_is_canceled_at_once(service: Service) -> None:
    name = invoke(service.ready()).json()["name"]
    for _ in range(2):
        response = service.http.post(f"/jobs/{name}/cancel")
        assert (response.status_code, response.json()["status"]) == (202, "Canceled")
    assert response.json()["ended_at"] is not None


def test_a_job_at_work_is_asked_to_end(service: Service) -> None:
    name = invoke(service.ready()).json()["name"]
    claimed = service.jobs.claim("runner", timedelta(seconds=30))
    assert claimed is not None
    assert service.http.post(f"/jobs/{name}/cancel").json()["status"] == "CancelRequested"


def test_a_job_that_has_ended_cannot_be_canceled(service: Service) -> None:
    name = invoke(service.ready()).json()["name"]
    claimed = service.jobs.claim("runner", timedelta(seconds=30))
    assert claimed is not None
    service.jobs.save(replace(claimed, status=JobStatus.FAILED, status_reason="x"))
    assert "is Failed and cannot be canceled" in error_of(service.http.post(f"/jobs/{name}/cancel"), 409)["message"]
    error_of(service.http.post("/jobs/absent/cancel"), 404)


def test_jobs_are_listed_newest_first_and_by_status(service: Service) -> None:
    service.ready()
    names = [invoke(service).json()["name"] for _ in range(3)]
    service.http.post(f"/jobs/{names[1]}/cancel")
    assert [j["name"] for j in service.http.get("/jobs").json()] == names[::-1]
    assert [j["name"] for j in service.http.get("/jobs?status=Canceled").json()] == [names[1]]
    assert len(service.http.get("/jobs?max_results=1").json()) == 1
    assert "status" in error_of(service.http.get("/jobs?status=Lost"), 400)["message"]


# --- schedules ------------------------------------------------------------------------------------------------------


def a_schedule(service: Service, **changes: Any) -> dict[str, Any]:
    return {
        "name": "often",
        "trigger": {"type": "recurrence", "frequency": "second", "interval": 10},
        "create_job": {"type": "batch_endpoint", "endpoint": "pumps", "input": {"path": str(service.data)}},
    } | changes


def test_a_schedule_is_anchored_enabled_and_due(service: Service) -> None:
    shown = service.ready().http.post("/schedules", json=a_schedule(service)).json()
    assert shown["is_enabled"] is True
    assert shown["next_fire"] == "2026-01-01T00:00:00Z"
    assert shown["trigger"]["start_time"] == "2026-01-01T00:00:00+00:00"
    disabled = service.http.post("/schedules/often/disable").json()
    assert (disabled["is_enabled"], disabled["next_fire"]) == (False, None)
    service.clock.advance(timedelta(seconds=25))
    assert service.http.post("/schedules/often/enable").json()["next_fire"] == "2026-01-01T00:00:30Z"
    assert service.http.delete("/schedules/often").status_code == 204
    assert service.http.get("/schedules").json() == []


def test_a_schedule_is_fired_by_hand_and_keeps_its_times(service: Service) -> None:
    service.ready().http.post("/schedules", json=a_schedule(service, properties={"shift": "night"}))
    service.clock.advance(timedelta(seconds=3))
    triggered = service.http.post("/schedules/often/trigger").json()
    assert (triggered["next_fire"], triggered["properties"]) == ("2026-01-01T00:00:03Z", {"shift": "night"})
    service.http.post("/schedules/often/disable")
    error = error_of(service.http.post("/schedules/often/trigger"), 409)
    assert "enable it, or invoke endpoint pumps" in error["message"]
    error_of(service.http.post("/schedules/absent/trigger"), 404)


def test_a_schedule_may_be_created_before_its_tables_first_row(service: Service) -> None:
    job = {"type": "batch_endpoint", "endpoint": "pumps", "input": {"type": "table", "path": "lake://windows"}}
    assert service.ready().http.post("/schedules", json=a_schedule(service, create_job=job)).status_code == 200


def test_a_replaced_schedule_remembers_what_it_has_scored(service: Service) -> None:
    service.ready().http.post("/schedules", json=a_schedule(service))
    service.schedules.advance("often", 5)
    before = service.schedules.get("often")
    service.schedules.save(replace(before, last_job_name="job-1"))
    shown = service.http.post("/schedules", json=a_schedule(service, description="new")).json()
    assert (shown["last_version"], shown["last_job_name"], shown["description"]) == (5, "job-1", "new")


def test_an_enabled_schedule_keeps_its_endpoint(service: Service) -> None:
    service.ready().http.post("/schedules", json=a_schedule(service))
    assert "schedule often" in error_of(service.http.delete("/batch-endpoints/pumps"), 409)["message"]
    service.http.post("/schedules/often/disable")
    assert service.http.delete("/batch-endpoints/pumps").status_code == 204


def test_a_wrong_schedule_changes_nothing(service: Service) -> None:
    service.ready()
    trigger = {"type": "cron", "expression": "61 * * * *"}
    error = error_of(service.http.post("/schedules", json=a_schedule(service, trigger=trigger)), 400)
    assert "trigger.expression" in error["message"]
    job = {"type": "batch_endpoint", "endpoint": "absent", "input": {"path": str(service.data)}}
    error_of(service.http.post("/schedules", json=a_schedule(service, create_job=job)), 404)
    assert service.http.get("/schedules").json() == []


# --- bodies, hosts, state -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b'{"name": "x",,}', "no JSON"),
        (b'{,"name": "x"}', "no JSON"),
        (b'{"name": NaN}', "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "the body is a list, wanted an object"),
        (b"[" * 100_000, "no JSON"),
        (b'{"name": "a\\u0000b"}', "U+0000"),
        (b'{"name": "\\ud800"}', "U+D800"),
        (b'{"name": "' + b"x" * 1_000_001 + b'"}', "larger than 1000000 bytes"),
        (b'{"a":' * 50 + b"1" + b"}" * 50, "nested deeper than 32"),
    ],
)
def test_bodies_that_cannot_be_read_are_refused(service: Service, content: bytes, said: str) -> None:
    response = service.http.post("/compute", content=content, headers={"content-type": "application/json"})
    assert said in error_of(response, 400)["message"]


def test_commas_before_closing_brackets_are_taken(service: Service) -> None:
    content = b'{"name": "cpu", "tags": {"a": "x,}", "b": "\\",]",}, }'
    response = service.http.post("/compute", content=content, headers={"content-type": "application/json"})
    assert response.json()["tags"] == {"a": "x,}", "b": '",]'}


def test_a_page_cannot_send_forms(service: Service) -> None:
    response = service.http.post("/compute", content=b'{"name": "cpu"}', headers={"content-type": "text/plain"})
    assert "wanted application/json" in error_of(response, 400)["message"]


def test_a_foreign_host_name_is_refused(service: Service) -> None:
    error_of(service.http.get("/compute", headers={"host": "evil.example:80"}), 400)
    for host in ("127.0.0.1:8080", "localhost", "[::1]:80"):
        assert service.http.get("/compute", headers={"host": host}).status_code == 200


def test_unknown_routes_have_the_same_shape(service: Service) -> None:
    assert error_of(service.http.get("/nothing"), 404)["code"] == "NoSuchRoute"
    error_of(service.http.patch("/compute"), 405)


def test_health_says_what_is_not_well(service: Service) -> None:
    assert service.http.get("/healthz").json() == {"status": "ok", "database": "ok", "loops": "ok"}
    service.away.append(TryAgain("the database did not answer"))
    response = service.http.get("/healthz")
    assert response.status_code == 503
    assert response.json()["database"] == "the database did not answer"


def test_a_store_that_is_away_is_503_and_a_bug_is_500_without_its_text(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(name: str) -> None:
        raise TryAgain("the database did not answer")

    def bug(name: str) -> None:
        raise RuntimeError("password=secret")

    monkeypatch.setattr(service.catalog, "compute", away)
    response = service.http.get("/compute/cpu")
    assert error_of(response, 503)["code"] == "TryAgain"
    assert response.headers["retry-after"] == "1"
    monkeypatch.setattr(service.catalog, "compute", bug)
    error = error_of(service.http.get("/compute/cpu"), 500)
    assert "secret" not in error["message"]


def test_openapi_documents_bodies_and_errors(service: Service) -> None:
    document = service.http.get("/openapi.json").json()
    assert service.http.get("/openapi.json").json() == document
    schemas = document["components"]["schemas"]
    post = document["paths"]["/batch-endpoints/{endpoint_name}/jobs"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"] == {
        "oneOf": [
            {"$ref": "#/components/schemas/InvocationSpec"},
            {"$ref": "#/components/schemas/PipelineInvocationSpec"},
        ]
    }
    assert set(post["responses"]) >= {"201", "400", "404", "409", "503"}
    assert "mini_batch_size" in schemas["InvocationSpec"]["properties"]

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(inner) for inner in value.values()))
        return set().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()

    assert {reference.rpartition("/")[2] for reference in references(document)} <= set(schemas)
