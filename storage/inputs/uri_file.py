"""One file: one item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scoring.errors import InvalidInput
from scoring.job import JobInput
from scoring.minibatch import InputItem
from storage.inputs.reader import PLACE, Places
from storage.local_paths import local_path, storable_uri


class UriFile:
    """The file itself, hidden or not: it was named."""

    def __init__(self, places: Places) -> None:
        del places

    def resolve(self, job_input: JobInput) -> JobInput:
        file = local_path(job_input.path, place=PLACE)
        if not file.is_file():
            what = "a folder; its input type is uri_folder" if file.is_dir() else "not there"
            raise InvalidInput(f"looked for the file {file}: it is {what}", place=PLACE)
        return replace(job_input, path=str(file.resolve()))

    def items(self, job_input: JobInput) -> Sequence[InputItem]:
        try:
            size = Path(job_input.path).stat().st_size
        except OSError as error:
            raise InvalidInput(f"{job_input.path} cannot be read: {error.strerror}", place=PLACE) from error
        return [InputItem(uri=storable_uri(job_input.path, place=PLACE), size_bytes=size)]

    def snapshot(self, job_input: JobInput, folder: Path) -> Path | None:
        return None
