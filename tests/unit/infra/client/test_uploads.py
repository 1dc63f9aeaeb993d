"""Local files of a client: named as they are where the service sees them, else sent once."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

from infra.client import TidemillClient
from scoring.errors import InvalidInput


class Elsewhere:
    """A service that sees no file of this machine; it keeps what it is sent under /kept."""

    def __init__(self, *, sees: bool = False) -> None:
        self.sees = sees
        self.kept: dict[str, bytes] = {}
        self.bodies: list[tuple[str, dict]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path == "/uploads/seen":
            return httpx2.Response(200, json={"seen": self.sees})
        if path.startswith("/uploads/"):
            if request.method == "PUT":
                assert request.headers["content-type"] == "application/x-tar"
                self.kept[path] = request.read()
            elif path not in self.kept:
                return httpx2.Response(404, json={"error": {"code": "NotFound", "message": "no"}})
            return httpx2.Response(200, json={"path": "/kept" + path.removeprefix("/uploads")})
        self.bodies.append((path, json.loads(request.read())))
        return httpx2.Response(200, json={})

    def client(self) -> TidemillClient:
        return TidemillClient("http://service", transport=httpx2.MockTransport(self))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("model/weights", "code/score.py", "data/a.csv", "docker/Dockerfile"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_the_service_sees_is_not_sent(folder: Path) -> None:
    service = Elsewhere(sees=True)
    service.client().models.create({"name": "net", "path": "model"})
    assert service.bodies == [("/models", {"name": "net", "path": str(folder / "model")})]
    assert service.kept == {}


def test_what_it_does_not_see_is_sent_once_and_named_as_it_was_kept(folder: Path) -> None:
    service = Elsewhere()
    for _ in range(2):
        service.client().models.create({"name": "net", "path": str(folder / "model")})
    (kept,) = service.kept
    assert [body["path"] for _, body in service.bodies] == ["/kept" + kept.removeprefix("/uploads")] * 2
    assert kept.startswith("/uploads/models/")


def test_a_deployments_files_and_an_invocations_input_are_sent(folder: Path) -> None:
    service = Elsewhere()
    client = service.client()
    client.batch_deployments.create(
        "things",
        {
            "model": {"path": "model"},
            "code_configuration": {"code": "code", "scoring_script": "score.py"},
            "environment": {"build": {"path": "docker"}},
        },
    )
    client.batch_endpoints.invoke("things", {"input": {"path": "data"}})
    client.batch_endpoints.invoke("things", {"inputs": {"x": {"path": "data"}, "y": 3}})
    deployment, one, several = (body for _, body in service.bodies)
    assert deployment["model"]["path"].startswith("/kept/models/")
    assert deployment["code_configuration"]["code"].startswith("/kept/code/")
    assert deployment["environment"]["build"]["path"].startswith("/kept/builds/")
    assert one["input"]["path"].startswith("/kept/data/")
    assert several["inputs"] == {"x": one["input"], "y": 3}


@pytest.mark.parametrize(
    "path", ["/nowhere/model", "azureml://datastores/d/paths/p", "azureml:d:1", "https://h/x", "lake://windows", ""]
)
def test_what_is_not_here_is_left_for_the_service_to_judge(folder: Path, path: str) -> None:
    service = Elsewhere()
    service.client().data.create({"name": "d", "path": path})
    service.client().batch_endpoints.invoke("things", {"input": {"path": path}})
    assert service.bodies[0][1]["path"] == path
    assert service.bodies[1][1]["input"]["path"] == path
    assert service.kept == {}


def test_an_environments_conda_file_is_read_here(folder: Path) -> None:
    service = Elsewhere()
    (folder / "conda.yml").write_text("dependencies: [python=3.12]\n")
    service.client().environments.create({"name": "e", "conda_file": "conda.yml"})
    assert service.bodies[0][1]["conda_file"] == {"dependencies": ["python=3.12"]}
    with pytest.raises(InvalidInput, match=r"absent.yml: no such file"):
        service.client().environments.create({"name": "e", "conda_file": "absent.yml"})


def test_the_files_of_a_component_and_of_its_steps_are_sent(folder: Path) -> None:
    service = Elsewhere()
    task = {
        "type": "run_function",
        "code": "code",
        "entry_script": "score.py",
        "environment": {"build": {"path": "docker"}},
    }
    service.client().components.create(
        {
            "name": "whole",
            "type": "pipeline",
            "inputs": {
                "images": {"type": "uri_folder", "default": "data"},
                "word": {"type": "string", "default": "data"},
            },
            "jobs": {
                "prepare": {
                    "component": {"command": "true", "code": "code", "additional_includes": ["data/a.csv"]},
                    "inputs": {"data": "${{parent.inputs.images}}", "more": {"path": "data"}, "word": "data"},
                },
                "score": {"type": "parallel", "task": task},
            },
        }
    )
    ((_, body),) = service.bodies
    prepare, score = body["jobs"]["prepare"], body["jobs"]["score"]
    assert body["inputs"]["images"]["default"].startswith("/kept/data/")
    assert (body["inputs"]["word"]["default"], prepare["inputs"]["word"]) == ("data", "data"), "a literal is no path"
    assert prepare["component"]["code"].startswith("/kept/code/")
    assert prepare["component"]["additional_includes"][0].startswith("/kept/data/")
    assert prepare["inputs"]["data"] == "${{parent.inputs.images}}"
    assert prepare["inputs"]["more"]["path"].startswith("/kept/data/")
    assert score["task"]["code"] == prepare["component"]["code"]
    assert score["task"]["environment"]["build"]["path"].startswith("/kept/builds/")
