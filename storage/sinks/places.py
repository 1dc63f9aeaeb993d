"""Where sinks write, and the sinks of an installation."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from scoring.job import Job
from scoring.ports import OutputSink
from storage.local_paths import local_path
from storage.sinks import SINKS


@dataclass(frozen=True, kw_only=True)
class Places:
    """The lake's folder, and the folder with one folder a job."""

    lake: Path
    jobs: Path

    def output_folder(self, job: Job) -> Path:
        """Where the job's files go: what its output names, else its own `outputs/score`. Raises InvalidInput."""
        if job.output.path is None:
            return self.jobs / job.name / "outputs" / "score"
        return local_path(job.output.path, place="output.path")


def all_sinks(places: Places) -> list[OutputSink]:
    """One of each kind, in the order in which they commit."""
    made: list[OutputSink] = []
    for target in SINKS.values():
        module, name = target.split(":")
        made.append(getattr(import_module(module), name)(places))
    return made
