"""A job's folder on this machine: the copy of its code, its logs in Azure's tree, where its rows and outputs go."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from scoring.collect import wants_predictions, wants_text
from scoring.deployment import OutputFormat
from scoring.errors import JobFailed
from scoring.job import Job, JobInputType
from scoring.manifest import Manifest

_LOG_LIMIT = 64 * 1024 * 1024
_LOG_KEPT = 16 * 1024 * 1024


class Workplace:
    """Folders of one job below `job_folder`, made when it begins. Raises JobFailed where code or script is missing."""

    def __init__(self, job: Job, job_folder: Path) -> None:
        self.results = job_folder / "results"
        self.slices = job_folder / "slices"
        self.logs = job_folder / "logs"
        self.code = job_folder / "code"
        self.output = _local(job.output.path) if job.output.path else job_folder / "outputs" / "score"
        self._job = job
        for folder in (self.results, self.logs / "user", self.output):
            folder.mkdir(parents=True, exist_ok=True)
        copied_code(Path(job.deployment.script.code), self.code)
        self.script = self.code / job.deployment.script.scoring_script
        if not self.script.is_file():
            raise JobFailed(f"the scoring script {job.deployment.script.scoring_script} is not in the code folder")

    def message(self, *, node: str, process: str, nodes: int, model_path: str, manifest: Manifest) -> dict[str, Any]:
        """The `job` message for one worker process (see scoring.worker)."""
        job, deployment = self._job, self._job.deployment
        return {
            "op": "job",
            "driver": "script",
            "name": job.name,
            "code": str(self.code),
            "script": str(self.script),
            "output_dir": str(self.output),
            "logs": str(self.logs),
            "node": node,
            "process": process,
            "argv": _argv(job, self.output),
            "environment": {
                **_gpu_environment(node, process, deployment.max_concurrency_per_instance),
                **_environment(job, self.output, model_path, nodes, self.logs.parent / "mlruns"),
            },
            "logging_level": deployment.logging_level,
            "text": wants_text(job) and deployment.output_format is OutputFormat.APPEND_ROW,
            "output": _output(job),
            "predictions": wants_predictions(job),
            "table": _table(job, manifest),
            "input": {
                "format": deployment.input_format.value,
                "header": deployment.input_header,
                "slices": str(self.slices),
            },
        }

    def stem(self, index: int, tries: int) -> str:
        """Result files of a try. The epoch keeps a runner that lost its lease from writing over its successor's."""
        return str(self.results / f"{index:06d}.e{self._job.lease_epoch}.{tries}")

    def note_failure(self, worker: str, index: int, tries: int, error: str, traceback: str | None) -> None:
        """Add a failed try to logs/user/error.txt, which stays readable however many there are."""
        path = self.logs / "user" / "error.txt"
        if path.exists() and path.stat().st_size > _LOG_KEPT:
            return
        with path.open("a", encoding="utf-8") as file:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            file.write(f"{at} {worker}: mini-batch {index}, try {tries}: {error}\n{traceback or ''}\n")

    def cut_long_logs(self, node: str, process: str) -> None:
        """Keep the beginning of what a process printed when it gets out of hand: a disk is not filled by prints."""
        for kind in ("stdout", "stderr"):
            path = self.logs / "user" / kind / node / f"{process}.{kind}.txt"
            try:
                if path.stat().st_size <= _LOG_LIMIT:
                    continue
                os.truncate(path, _LOG_KEPT)
                with path.open("a", encoding="utf-8") as file:
                    file.write(f"\n... (cut: this file had grown beyond {_LOG_LIMIT >> 20} MiB)\n")
            except FileNotFoundError:
                continue

    def clean(self) -> None:
        """Remove the slices that killed workers have left."""
        shutil.rmtree(self.slices, ignore_errors=True)


def copied_code(source: Path | None, target: Path) -> None:
    """Scripts run in a copy: what they write beside themselves must not get into the registry. Done once a job.

    Without a source the folder is empty. Raises JobFailed where the source is not there.
    """
    if target.exists():
        return
    if source is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    if not source.is_dir():
        raise JobFailed(f"the code folder {source} does not exist")
    half = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(source, half, symlinks=True, copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(half):
        Path(folder).chmod(0o755)  # the registry's folders are read-only
    try:
        half.rename(target)
    except OSError:
        shutil.rmtree(half, ignore_errors=True)
        if not target.exists():
            raise


def _local(path: str) -> Path:
    """Paths are checked before a job is stored; what may come here is absolute, or a file:// URL."""
    return Path(unquote(urlparse(path).path)) if path.startswith("file:") else Path(path).expanduser()


def _argv(job: Job, output: Path) -> list[str]:
    """The options that Azure's driver passes; scripts read some of them with parse_known_args."""
    deployment = job.deployment
    return [
        "--scoring_module_name",
        Path(deployment.script.scoring_script).name,
        "--mini_batch_size",
        str(deployment.batch_size),
        "--error_threshold",
        str(deployment.error_threshold),
        "--logging_level",
        deployment.logging_level.upper(),
        "--output_action",
        deployment.output_action.value,
        "--append_row_file_name",
        deployment.output_file_name,
        "--append_row_dataframe_header",
        "False",
        "--run_invocation_timeout",
        str(deployment.retry_settings.timeout),
        "--run_max_try",
        str(deployment.retry_settings.max_retries),
        "--output",
        str(output),
        *deployment.program_arguments,
    ]


def _environment(job: Job, output: Path, model_path: str, nodes: int, runs: Path) -> dict[str, str]:
    return {
        **job_environment(job, runs, nodes=nodes),
        **({"AZUREML_MODEL_DIR": model_path} if model_path else {}),
        "AZUREML_BI_OUTPUT_PATH": str(output),
    }


def job_environment(job: Job, runs: Path, *, nodes: int) -> dict[str, str]:
    """The variables of every process of a job: the user's, and what Azure calls the run that it is of.

    runs  where MLflow's runs go: scripts may log to MLflow without saying where
    """
    return {
        "MLFLOW_TRACKING_URI": runs.absolute().as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",  # MLflow 3 wants to be told that files will do
        **{name: str(value) for name, value in job.deployment.environment_variables.items()},
        "AZUREML_NODE_COUNT": str(nodes),
        "AZUREML_RUN_ID": job.name,
        "AZUREML_EXPERIMENT_NAME": job.experiment_name or job.endpoint_name,
        "AZUREML_EXPERIMENT_ID": job.experiment_name or job.endpoint_name,
        "AZUREML_ARM_SUBSCRIPTION": "local",
        "AZUREML_ARM_RESOURCEGROUP": "local",
        "AZUREML_ARM_WORKSPACE_NAME": "tidemill",
    }


def gpu_count() -> int:
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def _gpu_environment(node: str, process: str, processes: int) -> dict[str, str]:
    """Each process sees one GPU, in turn, as on Azure; nothing where the machine has none."""
    gpus = gpu_count()
    if not gpus:
        return {}
    number = int(node.removeprefix("node")) * processes + int(process.removeprefix("process"))
    return {"AZ_BATCHAI_GPU_COUNT_FOUND": str(gpus), "CUDA_VISIBLE_DEVICES": str(number % gpus)}


def _output(job: Job) -> dict[str, Any] | None:
    """The rows for an output file with columns, or None."""
    deployment = job.deployment
    if not wants_text(job) or deployment.output_format is OutputFormat.APPEND_ROW:
        return None
    return {"format": deployment.output_format.value, "source": deployment.output_source}


def _table(job: Job, manifest: Manifest) -> dict[str, Any] | None:
    if job.input.type is not JobInputType.TABLE:
        return None
    pivot = job.input.pivot
    return {
        "static_path": manifest.static_path,
        "join": list(job.input.join),
        "pivot": None
        if pivot is None
        else {"index": list(pivot.index), "columns": pivot.columns, "values": list(pivot.values)},
    }
