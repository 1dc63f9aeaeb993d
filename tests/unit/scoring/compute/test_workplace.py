"""A job's folder, and what its workers are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.compute import workplace
from scoring.compute.workplace import Workplace
from scoring.errors import JobFailed
from scoring.job import Job
from scoring.manifest import Manifest
from tests.contract.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def told(engine: Engine, job: Job, *, node: str = "node0", process: str = "process000") -> dict[str, object]:
    place = Workplace(job, engine.folder / "jobs" / job.name)
    manifest = Manifest(job_name=job.name, mini_batches=())
    return place.message(node=node, process=process, nodes=3, model_path="/models/net/1", manifest=manifest)


def test_a_worker_is_told_what_azure_promises_to_scripts(engine: Engine) -> None:
    engine.deploy(environment_variables={"SETTING": "7", "AZUREML_MODEL_DIR": "elsewhere"}, logging_level="debug")
    job = engine.invoke()
    message = told(engine, job)
    output = str(engine.folder / "jobs" / job.name / "outputs" / "score")
    environment = message["environment"]
    assert isinstance(environment, dict)
    assert (
        environment.items()
        >= {
            "SETTING": "7",
            "AZUREML_MODEL_DIR": "/models/net/1",
            "AZUREML_BI_OUTPUT_PATH": output,
            "AZUREML_NODE_COUNT": "3",
            "AZUREML_RUN_ID": job.name,
            "AZUREML_EXPERIMENT_NAME": "pumps",
            "AZUREML_ARM_WORKSPACE_NAME": "tidemill",
        }.items()
    )
    argv = message["argv"]
    assert isinstance(argv, list)
    options = dict(zip(argv[::2], argv[1::2], strict=True))
    assert (
        options.items()
        >= {
            "--scoring_module_name": "score.py",
            "--mini_batch_size": "2",
            "--logging_level": "DEBUG",
            "--error_threshold": "-1",
            "--run_invocation_timeout": "30",
            "--run_max_try": "3",
            "--append_row_file_name": "predictions.csv",
            "--output": output,
        }.items()
    )


def test_processes_share_the_gpus_in_turn_and_the_deployments_own_choice_wins(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace, "gpu_count", lambda: 2)
    engine.deploy(max_concurrency_per_instance=3)
    job = engine.invoke()
    seen = []
    for node in range(2):
        for process in range(3):
            environment = told(engine, job, node=f"node{node}", process=f"process{process:03d}")["environment"]
            assert isinstance(environment, dict)
            assert environment["AZ_BATCHAI_GPU_COUNT_FOUND"] == "2"
            seen.append(environment["CUDA_VISIBLE_DEVICES"])
    assert seen == ["0", "1", "0", "1", "0", "1"]
    engine.deploy(environment_variables={"CUDA_VISIBLE_DEVICES": ""})
    environment = told(engine, engine.invoke())["environment"]
    assert isinstance(environment, dict)
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_a_machine_without_gpus_says_nothing_of_them(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "gpu_count", lambda: 0)
    environment = told(engine, engine.invoke())["environment"]
    assert isinstance(environment, dict)
    assert "CUDA_VISIBLE_DEVICES" not in environment


def test_the_code_is_copied_and_must_hold_the_script(engine: Engine) -> None:
    job = engine.invoke()
    place = Workplace(job, engine.folder / "jobs" / job.name)
    assert place.script.read_bytes() == (engine.folder / "code" / "score.py").read_bytes()
    assert place.code != engine.folder / "code"
    (engine.folder / "code" / "score.py").unlink()
    with pytest.raises(JobFailed, match=r"the scoring script score.py is not in the code folder"):
        Workplace(engine.invoke(), engine.folder / "jobs" / "another")
