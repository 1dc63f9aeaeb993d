"""Where the outputs of earlier jobs lie, so that documents can name them: `azureml://jobs/JOB/outputs/score/paths/P`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scoring.errors import Conflict, NotFound
from scoring.job import JobStatus
from scoring.ports import JobStore

OUTPUT = "score"
"""The one output that a batch job has."""


def job_output(jobs: JobStore, jobs_folder: Path) -> Callable[[str, str], Path]:
    """Call it with a job's and an output's name for its folder.

    Raises NotFound for another name, Conflict for a job that has not Completed: what it wrote may be half of it.
    """

    def folder(job_name: str, output: str) -> Path:
        job = jobs.get(job_name)
        if output != OUTPUT:
            raise NotFound(f"job {job_name} has no output named {output}; there is: {OUTPUT}")
        if job.status is not JobStatus.COMPLETED:
            raise Conflict(f"job {job_name} is {job.status.value}; its output can be used when it is Completed")
        return Path(job.output.path) if job.output.path is not None else jobs_folder / job.name / "outputs" / OUTPUT

    return folder
