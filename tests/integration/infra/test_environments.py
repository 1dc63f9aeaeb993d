"""Deployments in environments of their own, from the command line: made before the first job, told, shared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service_process import ServiceProcess, files, service_on
from tests.wheels import FOREIGN, only_from, wheel

pytestmark = pytest.mark.stack

SCORE = """\
import os, sys
import alpha

def run(mini_batch):
    inside = os.path.basename(os.path.dirname(sys.prefix)) == "environments"
    return [f"{os.path.basename(path)} {alpha.VERSION} {inside}" for path in mini_batch]
"""

DEPLOYMENT = """\
type: model
name: first
endpoint_name: things
model:
  path: model
code_configuration:
  code: code
  scoring_script: score.py
environment:
  image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest
  conda_file: environment/conda.yaml
compute: azureml:cpu
"""

CONDA = """\
name: things-env
channels:
  - conda-forge
dependencies:
  - python=3.8.5
  - pip<22.0
  - pip:
    - alpha==1.4.0
    - azureml-core
    - azureml-dataset-runtime[fuse]
"""


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    with service_on(database_url, tmp_path / "home") as process:
        process.environment.update(only_from(tmp_path / "wheels", tmp_path / "cache"))
        process.start()
        yield process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "code/score.py": SCORE,
        "model/weights.txt": "1 2 3\n",
        "environment/conda.yaml": CONDA,
        "deployment.yml": DEPLOYMENT,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    wheel(tmp_path / "wheels", "alpha", "1.4.0", tag=FOREIGN)
    wheel(tmp_path / "wheels", "alpha", "1.4.2")
    files(tmp_path / "data", 3)
    return tmp_path


def said(service: ServiceProcess, *args: str, code: int = 0) -> str:
    ended = service.command(*args)
    assert ended.returncode == code, ended.stdout + ended.stderr + service.log()
    return ended.stdout if code == 0 else ended.stderr


def test_a_deployment_gets_the_environment_of_its_conda_file(service: ServiceProcess, folder: Path) -> None:
    said(service, "compute", "create", "-n", "cpu", "--type", "amlcompute")
    said(service, "batch-endpoint", "create", "-n", "things")
    yml = str(folder / "deployment.yml")
    shown = json.loads(said(service, "batch-deployment", "create", "-f", yml, "--set-default"))
    assert shown["environment"].startswith("azureml:CliV2AnonymousEnvironment:")
    data = str(folder / "data")
    job = json.loads(said(service, "batch-endpoint", "invoke", "-n", "things", "--input", data))["name"]
    said(service, "job", "stream", "-n", job)
    jobs = service.home / "jobs" / job
    notes = json.loads(said(service, "job", "show", "-n", job))["notes"]
    assert any(note.startswith("alpha==1.4.0: 1.4.2 is used, the same minor version: ") for note in notes)
    assert "azureml-core: left out: only Azure's agent needs it" in notes
    rows = (jobs / "outputs" / "score" / "predictions.csv").read_text().splitlines()
    assert len(rows) == 3
    assert all(row.endswith(" 1.4.2 True") for row in rows)
    log = (jobs / "logs" / "azureml" / "20_image_build_log.txt").read_text()
    assert "note: alpha==1.4.0: 1.4.2 is used, the same minor version" in log
    assert "note: azureml-core: left out: only Azure's agent needs it" in log
    assert "python=3.8.5: " in log

    # another deployment that asks for the same shares it
    said(service, "batch-deployment", "create", "-f", yml, "-n", "second")
    again = json.loads(said(service, "batch-endpoint", "invoke", "-n", "things", "-d", "second", "--input", data))[
        "name"
    ]
    said(service, "job", "stream", "-n", again)
    assert (
        "ready: it was there"
        in (service.home / "jobs" / again / "logs" / "azureml" / "20_image_build_log.txt").read_text()
    )
    assert len(list((service.home / "registry" / "environments").glob("*/environment.json"))) == 1

    # what cannot be made fails the job, in one line
    (folder / "environment" / "conda.yaml").write_text("dependencies:\n- pip:\n  - unheard-of==1.0\n")
    said(service, "batch-deployment", "create", "-f", yml, "-n", "third")
    lost = json.loads(said(service, "batch-endpoint", "invoke", "-n", "things", "-d", "third", "--input", data))["name"]
    said(service, "job", "stream", "-n", lost, code=7)
    failed = json.loads(said(service, "job", "show", "-n", lost))
    assert failed["status"] == "Failed"
    assert "unheard-of was not found" in failed["status_reason"]
    assert "check its name in conda_file" in failed["status_reason"]

    # and what cannot be understood is refused before
    (folder / "environment" / "conda.yaml").write_text("dependencies:\n- pip:\n  - '=='\n")
    refused = said(service, "batch-deployment", "create", "-f", yml, "-n", "fourth", code=2)
    assert "'=='" in refused
