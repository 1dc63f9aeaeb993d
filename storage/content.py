"""Files as content: which files a folder holds, and the hash over names and bytes that addresses them.

Both sides of an upload use it: a client hashes what it has, the registry hashes what it got, and equal is equal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from scoring.errors import InvalidInput

NOT_CODE = frozenset({"__pycache__", ".git", ".venv", ".ipynb_checkpoints"})
"""Never part of what a script means; different on every machine."""

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file, and its name inside the content: relative, with slashes."""

    source: Path
    name: str


def named_content(source: Path, place: str) -> list[Found]:
    """A file, or a folder with all it holds, under its base name. Raises InvalidInput for what cannot be copied."""
    if not source.name:
        raise InvalidInput(f"{source} has no name of its own to be kept under", place=place)
    if source.is_dir():
        found = [Found(source=f.source, name=f"{source.name}/{f.name}") for f in files_of(source, place)]
    elif source.is_file():
        found = [Found(source=source, name=source.name)]
    else:
        raise InvalidInput(f"there is no file or folder {source}", place=place)
    if not found:
        raise InvalidInput("the folder holds no file", place=place)
    return sorted(found, key=lambda f: f.name)


def code_content(source: Path, place: str) -> list[Found]:
    """What a folder holds, without caches and version control."""
    if not source.is_dir():
        raise InvalidInput(f"there is no folder {source}", place=place)
    found = sorted(files_of(source, place, NOT_CODE), key=lambda f: f.name)
    if not found:
        raise InvalidInput("the folder holds no file", place=place)
    return found


def files_of(folder: Path, place: str, left_out: Set[str] = frozenset()) -> Iterator[Found]:
    """Every file below a folder; compiled Python goes with what else is left out. Raises InvalidInput for the rest."""
    for directory, folders, names in os.walk(folder, onerror=lambda error: unreadable(error, place)):
        folders[:] = sorted(name for name in folders if name not in left_out)
        for name in folders:
            # os.walk does not follow it, and leaving it out in silence would lose files
            if (Path(directory) / name).is_symlink():
                raise InvalidInput(f"{Path(directory) / name} is a link to a folder; put the folder there", place=place)
        for name in sorted(names):
            source = Path(directory) / name
            if name.endswith(".pyc") and left_out:
                continue
            if not source.is_file():
                kind = "a link to nothing" if source.is_symlink() else "no regular file"
                raise InvalidInput(f"{source} is {kind}", place=place)
            yield Found(source=source, name=source.relative_to(folder).as_posix())


def chunks_of(file: Found, place: str) -> Iterator[bytes]:
    """A file's bytes. Raises InvalidInput where it cannot be read."""
    try:
        with file.source.open("rb") as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except OSError as error:
        unreadable(error, place)


class ContentHash:
    """The sha256 over names and bytes; files are added in the order of their names."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, name: str, digest: bytes) -> None:
        """`digest` is the sha256 of the file's bytes."""
        encoded = name.encode("utf-8", "surrogateescape")
        self._digest.update(f"{len(encoded)}:".encode() + encoded + digest)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def hash_of(found: Iterable[Found], place: str) -> str:
    """The hash of files that stay where they are."""
    whole = ContentHash()
    for file in found:
        digest = hashlib.sha256()
        for chunk in chunks_of(file, place):
            digest.update(chunk)
        whole.add(file.name, digest.digest())
    return whole.hexdigest()


def unreadable(error: OSError, place: str) -> None:
    raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}", place=place) from None
