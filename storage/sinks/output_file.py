"""The output file: the rows that every mini-batch returned, in one file, in the order of the input."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring.collect import in_order, output_paths, wants_text
from scoring.errors import Conflict, InvalidInput
from scoring.job import Job
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchResult
from storage.durability import fsync_folder, write_whole
from storage.sinks import formats
from storage.sinks.places import Places

MARKER = "append_row.json"
"""In the job's folder: path and sha256 of the output file, written before the file gets its name."""


class OutputFile:
    """Writes `<output folder>/<output_file_name>`, over a file that this job did not write only where it may.

    A job that was taken up again (`round`) replaces the file of its round before, unless somebody has changed that.
    """

    def __init__(self, places: Places) -> None:
        self._places = places

    def check(self, job: Job) -> None:
        """Raises Conflict where the file may not be replaced, InvalidInput where the folder cannot be."""
        if not wants_text(job):
            return
        target = self._target(job)
        if _exists(target) and self._marked(job, target) is None and not _may_replace(job, target):
            raise _taken(target)
        above = next(folder for folder in target.parents if _exists(folder))
        if not above.is_dir():
            raise InvalidInput(f"{target.parent} cannot be made: {above} is a file", place="output.path")
        if not os.access(above, os.W_OK | os.X_OK):
            raise InvalidInput(f"{above} may not be written to", place="output.path")

    def commit(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> int:
        if not wants_text(job):
            return 0
        parts = [path for result in in_order(results) for path in output_paths(result)]
        rows = sum(result.rows for result in results if result.rows_path is not None)
        target = self._target(job)
        half = target.with_name(f".{target.name}.{job.name}.tmp")
        if self._is_done(job, target):
            half.unlink(missing_ok=True)  # a crash came between the file's two names
            return rows
        target.parent.mkdir(parents=True, exist_ok=True)
        with half.open("wb") as file:
            formats.write(job.deployment, parts, file)
            file.flush()
            os.fsync(file.fileno())
        digest, own = _digest(half), self._of_earlier_round(job, target)
        self._mark(job, target, digest, before=own)
        try:
            _name(half, target, replace=own is not None or _may_replace(job, target))
        finally:
            half.unlink(missing_ok=True)
        fsync_folder(target.parent)
        return rows

    def _target(self, job: Job) -> Path:
        return self._places.output_folder(job) / job.deployment.output_file_name

    def _is_done(self, job: Job, target: Path) -> bool:
        """Whether the file stands there from an earlier try. Raises Conflict for somebody else's."""
        if not _exists(target):
            return False
        written = self._marked(job, target)
        if written is not None and target.is_file() and _digest(target) == written["sha256"]:
            return int(written.get("round", 0)) == job.round
        if self._of_earlier_round(job, target) is None and not _may_replace(job, target):
            raise _taken(target)
        return False

    def _marker(self, job: Job) -> Path:
        return self._places.jobs / job.name / MARKER

    def _of_earlier_round(self, job: Job, target: Path) -> str | None:
        """The hash of the file that stands there, where it is what an earlier round of this job wrote."""
        written = self._marked(job, target)
        if written is None or not target.is_file():
            return None
        found = _digest(target)
        if found == written["sha256"] and written.get("round", 0) < job.round:
            return found
        # the new file was about to take its place
        return found if found == written.get("before") else None

    def _mark(self, job: Job, target: Path, digest: str, *, before: str | None) -> None:
        marker = self._marker(job)
        marker.parent.mkdir(parents=True, exist_ok=True)
        note = {"path": str(target), "sha256": digest, "round": job.round, "before": before}
        write_whole(marker, json.dumps(note).encode())

    def _marked(self, job: Job, target: Path) -> dict[str, Any] | None:
        """What is noted of the file that this job has written, or was about to; None where it has not come so far."""
        try:
            written: dict[str, Any] = json.loads(self._marker(job).read_text())
        except FileNotFoundError:
            return None
        return written if written["path"] == str(target) else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _may_replace(job: Job, target: Path) -> bool:
    return job.output.overwrite and not target.is_dir()


def _name(half: Path, target: Path, *, replace: bool) -> None:
    """Give the file its name, unless the name is taken: a rename would replace what came there meanwhile."""
    if replace:
        half.replace(target)
        return
    try:
        os.link(half, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}:
            raise
        # a file system without hard links
        if _exists(target):
            raise _taken(target) from None
        half.replace(target)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _taken(target: Path) -> Conflict:
    return Conflict(
        f"the output file {target} exists already; name another output folder or output_file_name, "
        "remove the file, or invoke with --overwrite"
    )
