"""Rows of a lake table: `lake://<table>`, whole or between two versions; its part files are the items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scoring.errors import InvalidInput
from scoring.job import JobInput
from scoring.minibatch import InputItem
from storage.inputs.pivoted_rows import with_pivoted_rows
from storage.inputs.reader import PLACE, Places
from storage.inputs.revised_rows import without_replaced
from storage.inputs.static_tables import JOINABLE, write_snapshot
from storage.lake.changes import current_version, gained

SCHEME = "lake://"


class LakeTableInput:
    """A later commit to the table changes nothing: what is read is fixed by `from_version` and `to_version`."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def resolve(self, job_input: JobInput) -> JobInput:
        folder = self._folder(job_input)
        for name in job_input.join:
            if name not in JOINABLE:
                raise InvalidInput(f"{name} is no static table; allowed are {', '.join(JOINABLE)}", place="input.join")
        version = current_version(folder)
        if version is None:
            raise InvalidInput(
                f"there is no table {folder.name} in the lake; looked for {folder}/_delta_log, {self._tables()}",
                place=PLACE,
            )
        if job_input.to_version is not None:
            return job_input
        return replace(job_input, to_version=version)

    def items(self, job_input: JobInput) -> Sequence[InputItem]:
        """Empty where the versions brought no rows. Raises InvalidInput where their history is gone."""
        if job_input.to_version is None:
            raise ValueError("resolve the input first: its to_version is open")
        folder = self._folder(job_input)
        files = gained(folder, job_input.from_version, job_input.to_version)
        items: Sequence[InputItem] = [
            InputItem(uri=str(file.path), size_bytes=file.size_bytes, rows=file.rows) for file in files
        ]
        items = without_replaced(items, folder)
        return items if job_input.pivot is None else with_pivoted_rows(items, job_input.pivot)

    def snapshot(self, job_input: JobInput, folder: Path) -> Path | None:
        if not job_input.join:
            return None
        write_snapshot(self._places.engine, job_input.join, folder)
        return folder

    def _folder(self, job_input: JobInput) -> Path:
        name = job_input.path.removeprefix(SCHEME).rstrip("/")
        if not job_input.path.startswith(SCHEME) or not name or "/" in name or name.startswith(".") or "\0" in name:
            raise InvalidInput(f"{job_input.path!r} found; a table is named like lake://windows", place=PLACE)
        return self._places.lake / name

    def _tables(self) -> str:
        logs = self._places.lake.glob("*/_delta_log") if self._places.lake.is_dir() else ()
        names = sorted(log.parent.name for log in logs)
        return f"which has {', '.join(names)}" if names else "which is empty so far"
