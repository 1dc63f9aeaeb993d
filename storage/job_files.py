"""The files of a job: its logs, its outputs, and what of both is handed out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scoring.errors import NotFound
from scoring.job import Job, JobKind
from storage.content import Found
from storage.local_paths import local_path

OUTPUT = "score"
"""The one output of an invocation of a model."""

_LOG_FOLDERS = ("logs", "azureml-logs", "user_logs")


@dataclass(frozen=True, kw_only=True)
class JobFiles:
    """Where a job's files lie. `folder` is its own one, `places` where each output lies: a folder, or a file."""

    folder: Path
    places: Mapping[str, Path]

    @classmethod
    def of(cls, job: Job, jobs_folder: Path) -> JobFiles:
        folder = jobs_folder / job.name
        if job.kind is not JobKind.SCORING:
            return cls(folder=folder, places={name: Path(output.path) for name, output in job.outputs.items()})
        output = folder / "outputs" / OUTPUT
        if job.output.path is not None:
            output = local_path(job.output.path, place="output.path")
        return cls(folder=folder, places={OUTPUT: output})

    def logs(self) -> Sequence[Found]:
        """Named by their path in the log tree."""
        found = [file for name in _LOG_FOLDERS for file in _below(self.folder / name, f"{name}/")]
        return sorted(found, key=lambda file: file.name)

    def output(self, name: str) -> Sequence[Found]:
        """Files of an output, named by their path in its folder. Raises NotFound where there is none."""
        place = self.places[name]
        if place.is_file():
            return [Found(source=place, name=place.name)]
        if not place.is_dir():
            raise NotFound(f"the output folder {place} is not there: nothing was written, or it was removed")
        return sorted(_below(place, ""), key=lambda file: file.name)


def _below(folder: Path, prefix: str) -> Iterator[Found]:
    """Regular files alone: a script may have left links, which are not followed, and halves of files."""
    if not folder.is_dir():
        return
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not (path.name.startswith(".") and path.suffix == ".tmp"):
            yield Found(source=path, name=prefix + path.relative_to(folder).as_posix())
