"""Files of a folder: one file is one item."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scoring.errors import InvalidInput
from scoring.job import JobInput
from scoring.minibatch import InputItem
from storage.inputs.reader import PLACE, Places
from storage.local_paths import local_path, storable_uri


class UriFolder:
    """All files below the folder, by their relative path. Hidden files and folders (`.name`) are left out.

    A link to a file counts as that file; a link to a folder is not followed, as it may lead back up.
    """

    def __init__(self, places: Places) -> None:
        del places

    def resolve(self, job_input: JobInput) -> JobInput:
        folder = local_path(job_input.path, place=PLACE)
        if not folder.is_dir():
            what = "a file; its input type is uri_file" if folder.is_file() else "not there"
            raise InvalidInput(f"looked for the folder {folder}: it is {what}", place=PLACE)
        return replace(job_input, path=str(folder.resolve()))

    def items(self, job_input: JobInput) -> Sequence[InputItem]:
        """Raises InvalidInput for a folder without files, and for a file that cannot be looked at."""
        root = Path(job_input.path)
        try:
            found = sorted(_files(root), key=lambda found: found[0])
        except OSError as error:
            raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}", place=PLACE) from error
        if not found:
            raise InvalidInput(f"the folder {root} holds no files; hidden ones are left out", place=PLACE)
        return [InputItem(uri=storable_uri(path, place=PLACE), size_bytes=size) for _, path, size in found]

    def snapshot(self, job_input: JobInput, folder: Path) -> Path | None:
        return None


def _files(folder: Path, parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """(path relative to the root in parts, path, size); by parts, `a/b` comes before `a.txt`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), (*parents, entry.name))
            elif entry.is_file():
                yield (*parents, entry.name), entry.path, entry.stat().st_size
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise FileNotFoundError(2, "it is a link to what does not exist", entry.path)
