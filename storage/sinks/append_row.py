"""`append_row`: the lines that every mini-batch returned, in one file, in the order of the manifest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from scoring.collect import in_order, text_path, wants_text
from scoring.errors import Conflict, InvalidInput, JobFailed
from scoring.job import Job
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchOutcome, MiniBatchResult
from storage.sinks.places import Places

MARKER = "append_row.json"
"""In the job's folder: path and sha256 of the output file, written before the file gets its name."""


class AppendRow:
    """Writes `<output folder>/<output_file_name>`; never over a file that this job did not write."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def check(self, job: Job) -> None:
        """Raises Conflict where the file exists and is not this job's, InvalidInput where the folder cannot be."""
        if not wants_text(job):
            return
        target = self._target(job)
        if _exists(target) and self._marked(job, target) is None:
            raise _taken(target)
        above = next(folder for folder in target.parents if _exists(folder))
        if not above.is_dir():
            raise InvalidInput(f"{target.parent} cannot be made: {above} is a file", place="output.path")
        if not os.access(above, os.W_OK | os.X_OK):
            raise InvalidInput(f"{above} may not be written to", place="output.path")

    def commit(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> int:
        if not wants_text(job):
            return 0
        parts = [r for r in in_order(results) if r.outcome is MiniBatchOutcome.SUCCEEDED and r.rows_path is not None]
        rows = sum(part.rows for part in parts)
        target = self._target(job)
        if self._is_done(job, target):
            return rows
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.{job.name}.tmp")
        with half.open("wb") as file:
            digest = _copy(parts, file)
            file.flush()
            os.fsync(file.fileno())
        self._mark(job, target, digest)
        try:
            _name(half, target)
        finally:
            half.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return rows

    def _target(self, job: Job) -> Path:
        return self._places.output_folder(job) / job.deployment.output_file_name

    def _is_done(self, job: Job, target: Path) -> bool:
        """Whether the file stands there from an earlier try. Raises Conflict for somebody else's."""
        if not _exists(target):
            return False
        digest = self._marked(job, target)
        if digest is None or not target.is_file():
            raise _taken(target)
        with target.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise _taken(target)
        return True

    def _marker(self, job: Job) -> Path:
        return self._places.jobs / job.name / MARKER

    def _mark(self, job: Job, target: Path, digest: str) -> None:
        marker = self._marker(job)
        marker.parent.mkdir(parents=True, exist_ok=True)
        half = marker.with_suffix(".tmp")
        with half.open("w") as file:
            json.dump({"path": str(target), "sha256": digest}, file)
            file.flush()
            os.fsync(file.fileno())
        half.replace(marker)
        _sync_folder(marker.parent)

    def _marked(self, job: Job, target: Path) -> str | None:
        """The hash of the file that this job has written, or was about to; None where it has not come so far."""
        try:
            written = json.loads(self._marker(job).read_text())
        except FileNotFoundError:
            return None
        return str(written["sha256"]) if written["path"] == str(target) else None


def _copy(parts: Sequence[MiniBatchResult], file: BinaryIO) -> str:
    for part in parts:
        path = text_path(part)
        if path is None:
            raise JobFailed(f"the result file of mini-batch {part.index} is gone: {part.rows_path}")
        with path.open("rb") as lines:
            shutil.copyfileobj(lines, file, 1 << 20)
    file.flush()
    with open(file.name, "rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def _name(half: Path, target: Path) -> None:
    """Give the file its name, unless the name is taken: a rename would replace what came there meanwhile."""
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
        f"the output file {target} exists already; name another output folder or output_file_name, or remove the file"
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
