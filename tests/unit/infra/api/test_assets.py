"""The routes of models, data assets, environments and datastores: what may change, what is hidden, what is refused."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from tests.unit.infra.api.conftest import Service


def made(service: Service, noun: str, **document: Any) -> dict[str, Any]:
    answer = service.http.post(f"/{noun}", json=document)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["message"]


@pytest.fixture
def filled(service: Service) -> Service:
    """One of each kind."""
    made(service, "models", name="net", path=str(service.model), tags={"a": "b"}, stage="New")
    made(service, "data", name="images", path=str(service.model))
    made(service, "environments", name="torch", image="python:3.12", conda_file={"dependencies": ["pip"]})
    made(service, "components", **COMPONENT)
    return service


COMPONENT: dict[str, Any] = {
    "name": "prepare",
    "command": "cp -r ${{inputs.data}}/. ${{outputs.made}}",
    "inputs": {"data": {"type": "uri_folder"}, "rate": {"type": "number", "default": 0.5, "min": 0, "max": 1}},
    "outputs": {"made": None},
    "environment": "azureml:torch@latest",
}
NOUNS = [("models", "net"), ("data", "images"), ("environments", "torch"), ("components", "prepare")]


@pytest.mark.parametrize(("noun", "name"), NOUNS)
def test_show_prints_what_update_and_create_take(filled: Service, noun: str, name: str) -> None:
    shown = filled.http.get(f"/{noun}/{name}/versions/latest").json()
    assert shown["id"] == f"azureml:{name}:1"
    assert filled.http.put(f"/{noun}/{name}/versions/1", json=shown).json() == shown
    assert made(filled, noun, **{key: value for key, value in shown.items() if value is not None}) == shown
    changed = filled.http.put(f"/{noun}/{name}/versions/1", json=shown | {"tags": {"n": 1}, "description": "d"}).json()
    assert (changed["tags"], changed["description"]) == ({"n": "1"}, "d")
    assert filled.http.get(f"/{noun}/{name}/versions/1").json() == changed


@pytest.mark.parametrize(
    ("noun", "name", "change", "said"),
    [
        ("models", "net", {"path": "/elsewhere"}, "path: found '/elsewhere', is"),
        ("models", "net", {"type": "mlflow_model"}, "a version never changes"),
        ("models", "net", {"colour": "red"}, "colour: unknown key"),
        ("models", "net", {"tags": ["a"]}, "tags: found a list"),
        ("data", "images", {"name": "other"}, "name: found 'other', is 'images'"),
        ("environments", "torch", {"image": "python:3.13"}, "image: found 'python:3.13'"),
        ("environments", "torch", {"conda_file": {"dependencies": []}}, "conda_file: "),
        ("components", "prepare", {"command": "true"}, "command: found 'true', is"),
        ("components", "prepare", {"inputs": {}}, "inputs: found a mapping, is a mapping; a version never changes"),
    ],
)
def test_what_a_version_holds_does_not_change(
    filled: Service, noun: str, name: str, change: dict[str, Any], said: str
) -> None:
    before = filled.http.get(f"/{noun}/{name}/versions/1").json()
    assert said in refusal(filled.http.put(f"/{noun}/{name}/versions/1", json=before | change))
    assert filled.http.get(f"/{noun}/{name}/versions/1").json() == before


@pytest.mark.parametrize(("noun", "name"), NOUNS)
def test_what_is_archived_is_hidden_and_not_gone(filled: Service, noun: str, name: str) -> None:
    assert filled.http.post(f"/{noun}/{name}/archive?version=1").status_code == 204
    assert filled.http.get(f"/{noun}").json() == []
    assert filled.http.get(f"/{noun}/{name}").json() == []
    assert [a["name"] for a in filled.http.get(f"/{noun}?archived_only=true").json()] == [name]
    assert [a["name"] for a in filled.http.get(f"/{noun}/{name}?include_archived=true").json()] == [name]
    assert filled.http.get(f"/{noun}/{name}/versions/1").json()["is_archived"]
    assert "archived" in refusal(filled.http.get(f"/{noun}/{name}/versions/latest"), 404)
    assert filled.http.post(f"/{noun}/{name}/restore").status_code == 204
    assert filled.http.get(f"/{noun}/{name}/versions/latest").json()["version"] == "1"
    for verb in ("archive", "restore"):
        refusal(filled.http.post(f"/{noun}/absent/{verb}"), 404)
        refusal(filled.http.post(f"/{noun}/{name}/{verb}?version=9"), 404)


def test_lists_are_limited_and_filtered(filled: Service) -> None:
    made(filled, "models", name="other", path=str(filled.model))
    assert [m["name"] for m in filled.http.get("/models").json()] == ["net", "other"]
    assert [m["name"] for m in filled.http.get("/models?max_results=1").json()] == ["net"]
    assert [m["name"] for m in filled.http.get("/models?stage=New").json()] == ["net"]
    assert filled.http.get("/models/other?stage=New").json() == []
    refusal(filled.http.get("/models?max_results=-1"))
    refusal(filled.http.get("/models/absent"), 404)


def test_what_deployments_hold_is_not_listed(service: Service) -> None:
    service.ready()
    assert service.http.get("/models").json() == []
    model = service.http.get("/batch-endpoints/pumps/deployments/torch").json()["model"]
    name, version = model.removeprefix("azureml:").split(":")
    assert service.http.get(f"/models/{name}/versions/{version}").json()["id"] == model


@pytest.mark.parametrize(("noun", "name"), NOUNS[:2])
def test_a_download_is_a_tar_of_the_folder(filled: Service, noun: str, name: str) -> None:
    answer = filled.http.get(f"/{noun}/{name}/versions/1/content")
    assert answer.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert tar.getnames() == ["weights"]
        file = tar.extractfile("weights")
        assert file is not None
        assert file.read() == b"1 2 3"
    refusal(filled.http.get(f"/{noun}/{name}/versions/9/content"), 404)


def test_data_elsewhere_is_not_downloaded(service: Service) -> None:
    made(service, "data", name="web", path="https://host/x.csv", type="uri_file")
    assert "wanted a path of this machine" in refusal(service.http.get("/data/web/versions/1/content"))


def test_a_request_does_not_read_files_for_its_sender(service: Service) -> None:
    secret = service.model / "weights"
    answer = service.http.post("/environments", json={"name": "e", "conda_file": str(secret)})
    assert "a request holds what the conda file says" in refusal(answer)


def test_datastores_are_named_changed_and_deleted(service: Service) -> None:
    document = {"name": "plant", "type": "local_folder", "path": str(service.data)}
    assert made(service, "datastores", **document)["path"] == str(service.data)
    assert [d["name"] for d in service.http.get("/datastores").json()][-1] == "plant"
    changed = service.http.put("/datastores/plant", json=document | {"description": "d"}).json()
    assert changed["description"] == "d"
    refusal(service.http.put("/datastores/absent", json=document | {"name": "absent"}), 404)
    refusal(service.http.put("/datastores/plant", json=document | {"name": "other"}))
    assert "there is no folder" in refusal(service.http.post("/datastores", json=document | {"path": "/nowhere"}))
    for _ in range(2):
        assert service.http.delete("/datastores/plant").status_code == 204
    refusal(service.http.get("/datastores/plant"), 404)
    refusal(service.http.delete("/datastores/workspaceblobstore"), 409)
