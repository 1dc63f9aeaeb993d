"""An environment's YAML: image, conda file or build folder, and no mixture that means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.errors import InvalidInput
from scoring.specs.document import body_document, load_document
from scoring.specs.environment import EnvironmentSpec, InlineEnvironment
from scoring.specs.validation import parse

CONDA = "name: e\nchannels:\n- conda-forge\ndependencies:\n- python=3.8.5\n- pip:\n  - torch==1.13.0\n"


def read(text: str, folder: Path = Path("/folder")) -> EnvironmentSpec:
    return parse(EnvironmentSpec, load_document(text.encode(), file="e.yml", folder=folder))


def test_every_key_is_taken(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "conda.yml").write_text(CONDA)
    spec = read(
        "$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\nname: torch\nversion: 1.10\n"
        "image: mcr.microsoft.com/x:latest\nconda_file: env/conda.yml\nos_type: Linux\ndescription: d\n"
        "tags: {a: 1}\nproperties: {b: true}\ndatastore: azureml:workspaceblobstore\n"
        "inference_config:\n  liveness_route: {port: 5001, path: /}\n  readiness_route: {port: 5001, path: /}\n"
        "  scoring_route: {port: 5001, path: /score}\n",
        tmp_path,
    )
    assert spec.version == "1.10"
    assert spec.conda_file is not None
    assert spec.conda_file["dependencies"] == ["python=3.8.5", {"pip": ["torch==1.13.0"]}]
    assert (spec.os_type, spec.tags, spec.properties) == ("linux", {"a": "1"}, {"b": "true"})
    assert spec.inference_config is not None
    assert (spec.inference_config.scoring_route.port, spec.inference_config.scoring_route.path) == (5001, "/score")
    # what the client read is what a request holds
    assert parse(EnvironmentSpec, body_document(spec.model_dump(mode="json", exclude_none=True))) == spec


def test_a_build_folder_lies_beside_the_file() -> None:
    spec = read("name: b\nbuild:\n  path: docker\n  dockerfile_path: ./sub/Dockerfile\n")
    assert spec.build is not None
    assert (spec.build.path, spec.build.dockerfile_path) == ("/folder/docker", "sub/Dockerfile")


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("name: e\n", "e.yml:1: image: nothing says what is in it; give image, conda_file or build"),
        ("name: e\nimage: i\nbuild: {path: b}\n", "image and build are both given"),
        ("name: e\nbuild: {path: b}\nconda_file: {dependencies: []}\n", "conda_file and build are both given"),
        ("name: e\nimage: i\nbuidl: {path: b}\n", "e.yml:3: buidl: unknown key; did you mean 'build'?"),
        ("name: e\nbuild: {path: b, dockerfile: D}\n", "build.dockerfile: unknown key"),
        ("name: e\nbuild:\n  path: b\n  dockerfile_path: ../D\n", "e.yml:4: build.dockerfile_path: found '../D'"),
        ("name: e\nimage: [i]\n", "e.yml:2: image: found a list, wanted text"),
        ("name: e\nimage: i\nos_type: mac\n", "e.yml:3: os_type: found 'mac', allowed: linux, windows"),
        ("name: e\nconda_file: 3\n", "e.yml:2: conda_file: found the number 3, wanted keys and values"),
        ("name: e\nconda_file: absent.yml\n", "/folder/absent.yml: no such file"),
        ("name: e\nconda_file: {channels: [a]}\n", "e.yml:2: conda_file: dependencies: found nothing, wanted a list"),
        ("name: e\nconda_file: {dependencies: [1.0]}\n", "dependencies[0]: found the number 1.0, wanted a text"),
        ("name: e\nconda_file: {dependencies: [{pip: x}]}\n", "dependencies[0]: found a mapping; the only one"),
        ("name: e\nconda_file: {dependencies: [{npm: [x]}]}\n", "dependencies[0]: found a mapping; the only one"),
        ("name: e\nconda_file: {dependencies: [], channels: c}\n", "channels: found 'c', wanted a list of texts"),
        ("name: CliV2AnonymousEnvironment\nimage: i\n", "e.yml:1: name: found 'CliV2AnonymousEnvironment'"),
        ("name: e\nversion: a/b\nimage: i\n", "e.yml:2: version: found 'a/b'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, refusal: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(text)
    assert refusal in str(refused.value)


def test_a_conda_file_that_is_wrong_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "conda.yml").write_text("dependencies:\n- &a pip\n- *a\n")
    with pytest.raises(InvalidInput, match=r"conda.yml:2: dependencies\[0\]: anchors"):
        read("name: e\nconda_file: conda.yml\n", tmp_path)


def test_a_request_holds_no_path_of_a_conda_file() -> None:
    with pytest.raises(InvalidInput, match="conda_file: found '/etc/passwd'; a request holds what the conda file says"):
        parse(EnvironmentSpec, body_document({"name": "e", "conda_file": "/etc/passwd"}))


def test_an_inline_one_needs_no_name() -> None:
    document = load_document(b"image: python:3.12\n", file="e.yml", folder=Path("/folder"))
    assert parse(InlineEnvironment, document).name is None
