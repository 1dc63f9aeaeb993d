"""What a worker process is told of its job: variables, options, GPUs, as Azure's scripts expect them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scoring.compute.workplace import Workplace
from scoring.deployment import CodeConfiguration
from scoring.job import Job, JobOutput
from tests.contract.values import a_job, a_manifest


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").touch()
    job = a_job()
    code = CodeConfiguration(code=str(tmp_path / "code"), scoring_script="score.py")
    deployment = replace(
        job.deployment, code_configuration=code, environment_variables={"A": "$HOME"}, max_concurrency_per_instance=4
    )
    return replace(job, deployment=deployment, output=JobOutput(path=str(tmp_path / "out")))


def told(job: Job, folder: Path, *, node: str = "node0", process: str = "process000") -> dict[str, Any]:
    workplace = Workplace(job, folder / "job")
    return workplace.message(
        node=node, process=process, nodes=3, model_path="/models/net", manifest=a_manifest(job.name)
    )


def test_a_script_finds_azures_variables(job: Job, tmp_path: Path) -> None:
    environment = told(replace(job, experiment_name=None), tmp_path)["environment"]
    assert {name: environment[name] for name in environment if name.startswith(("AZUREML_", "A"))} == {
        "A": "$HOME",
        "AZUREML_MODEL_DIR": "/models/net",
        "AZUREML_BI_OUTPUT_PATH": str(tmp_path / "out"),
        "AZUREML_NODE_COUNT": "3",
        "AZUREML_RUN_ID": job.name,
        "AZUREML_EXPERIMENT_NAME": job.endpoint_name,
        "AZUREML_EXPERIMENT_ID": job.endpoint_name,
        "AZUREML_ARM_SUBSCRIPTION": "local",
        "AZUREML_ARM_RESOURCEGROUP": "local",
        "AZUREML_ARM_WORKSPACE_NAME": "tidemill",
    }
    assert told(replace(job, experiment_name="trial"), tmp_path)["environment"]["AZUREML_EXPERIMENT_NAME"] == "trial"
    assert environment["MLFLOW_TRACKING_URI"] == (tmp_path / "job" / "mlruns").as_uri()
    chosen = replace(job, deployment=replace(job.deployment, environment_variables={"MLFLOW_TRACKING_URI": "file:/x"}))
    assert told(chosen, tmp_path)["environment"]["MLFLOW_TRACKING_URI"] == "file:/x"


def test_a_script_finds_the_drivers_options_in_argv(job: Job, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--logging_level", "--mini_batch_size", "--error_threshold", "--output_action", "--output"):
        parser.add_argument(name)
    for name in ("--append_row_file_name", "--scoring_module_name"):
        parser.add_argument(name)
    known, _ = parser.parse_known_args(told(job, tmp_path)["argv"])
    deployment = job.deployment
    assert vars(known) == {
        "logging_level": deployment.logging_level.upper(),
        "mini_batch_size": str(deployment.batch_size),
        "error_threshold": str(deployment.error_threshold),
        "output_action": deployment.output_action.value,
        "output": str(tmp_path / "out"),
        "append_row_file_name": deployment.output_file_name,
        "scoring_module_name": "score.py",
    }


def test_processes_take_gpus_in_turn(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Path.glob

    def glob(path: Path, pattern: str) -> Iterator[Path]:
        return iter([path / "nvidia0", path / "nvidia1"]) if str(path) == "/dev" else looked(path, pattern)

    monkeypatch.setattr(Path, "glob", glob)
    seen = [
        told(job, tmp_path, node=f"node{node}", process=f"process{process:03}")["environment"]
        for node, process in ((0, 0), (0, 1), (0, 2), (1, 1))
    ]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["0", "1", "0", "1"]
    assert {one["AZ_BATCHAI_GPU_COUNT_FOUND"] for one in seen} == {"2"}
    monkeypatch.setattr(Path, "glob", lambda path, pattern: iter(()))
    assert "CUDA_VISIBLE_DEVICES" not in told(job, tmp_path)["environment"]
