"""Content-addressed store of models and code: what a job runs is what was registered, byte for byte.

`<root>/models/<hash>/<base name>` holds a registered file or folder under its own name, as scripts expect it below
AZUREML_MODEL_DIR; `<root>/code/<hash>/` holds the content of a code folder. The hash is over names and bytes. A folder
appears under its hash by one rename, complete and synced, and is never written again; the same content is the same
path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from scoring.errors import InvalidInput

CODE_FILES_MAX = 10_000
CODE_BYTES_MAX = 500_000_000

# never part of what a script means; different on every machine
_NOT_CODE = {"__pycache__", ".git", ".venv", ".ipynb_checkpoints"}

_CHUNK = 1 << 20
_ABANDONED_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the registry holds now. `path` is the folder named by `content_hash`; `is_new` False where it was there."""

    path: Path
    content_hash: str
    files: int
    size_bytes: int
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class _Found:
    source: Path
    name: str


class Registry:
    """One root folder; any number of processes may add to it at the same time."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add_model(self, source: Path) -> Stored:
        """A file, or a folder with all it holds, under its base name. Raises InvalidInput for what cannot be copied."""
        if not source.name:
            raise InvalidInput(f"{source} has no name of its own to be kept under", place="path")
        if source.is_dir():
            found = [_Found(source=f.source, name=f"{source.name}/{f.name}") for f in _files(source, "path", set())]
        elif source.is_file():
            found = [_Found(source=source, name=source.name)]
        else:
            raise InvalidInput(f"there is no file or folder {source}", place="path")
        return self._store("models", found, "path")

    def add_code(self, source: Path, script: str) -> Stored:
        """A code folder that holds `script`. Caches and version control are left out."""
        place = "code_configuration.code"
        if not source.is_dir():
            raise InvalidInput(f"there is no folder {source}", place=place)
        found = list(_files(source, place, _NOT_CODE))
        if not any(f.name == script for f in found):
            raise InvalidInput(
                f"there is no file {script} in {source}; {_scripts_in(found)}",
                place="code_configuration.scoring_script",
            )
        size = sum(f.source.stat().st_size for f in found)
        if len(found) > CODE_FILES_MAX or size > CODE_BYTES_MAX:
            raise InvalidInput(
                f"{source} holds {len(found)} files of {size:,} bytes together; a code folder may hold "
                f"{CODE_FILES_MAX:,} files of {CODE_BYTES_MAX:,} bytes: data belongs into the model or the input",
                place=place,
            )
        return self._store("code", found, place)

    def sweep(self) -> None:
        """Remove what a killed process left half-copied; called when the service starts."""
        for left in (self._root / "tmp").glob("*"):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)

    def _store(self, kind: str, found: list[_Found], place: str) -> Stored:
        if not found:
            raise InvalidInput("the folder holds no file", place=place)
        copy = self._root / "tmp" / uuid4().hex
        copy.mkdir(parents=True)
        try:
            content_hash, size = _copy(sorted(found, key=lambda f: f.name), copy, place)
            path = self._root / kind / content_hash
            path.parent.mkdir(exist_ok=True)
            is_new = _rename(copy, path)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        return Stored(path=path, content_hash=content_hash, files=len(found), size_bytes=size, is_new=is_new)


def _files(folder: Path, place: str, left_out: set[str]) -> Iterator[_Found]:
    for directory, folders, names in os.walk(folder, onerror=lambda error: _unreadable(error, place)):
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
            yield _Found(source=source, name=source.relative_to(folder).as_posix())


def _copy(found: list[_Found], target: Path, place: str) -> tuple[str, int]:
    """Copy and hash in one read: what is hashed is what was copied, although somebody may be writing to the source."""
    digest, total = hashlib.sha256(), 0
    for file in found:
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        content, size = hashlib.sha256(), 0
        try:
            with file.source.open("rb") as source, path.open("wb") as copy:
                while chunk := source.read(_CHUNK):
                    content.update(chunk)
                    copy.write(chunk)
                    size += len(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            is_program = file.source.stat().st_mode & stat.S_IXUSR
        except PermissionError as error:
            _unreadable(error, place)
        path.chmod(0o555 if is_program else 0o444)
        name = file.name.encode("utf-8", "surrogateescape")
        digest.update(f"{len(name)}:".encode() + name + content.digest())
        total += size
    for folder in {target, *(target / f.name for f in found)}:
        _sync_folder(folder if folder == target else folder.parent)
    return digest.hexdigest(), total


def _rename(copy: Path, path: Path) -> bool:
    """Whether the copy took its place; not where the content was there already."""
    try:
        copy.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        return False
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(error: OSError, place: str) -> None:
    raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}", place=place) from None


def _scripts_in(found: list[_Found]) -> str:
    scripts = [f.name for f in found if f.name.endswith(".py")][:8]
    return f"it holds {', '.join(scripts)}" if scripts else "it holds no .py file"
