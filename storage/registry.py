"""Content-addressed store of models, code, build folders and data: what a job runs is what was registered.

`<root>/models/<hash>/<base name>` holds a registered file or folder under its own name, as scripts expect it below
AZUREML_MODEL_DIR; `<root>/code/<hash>/` holds the content of a code folder, `<root>/builds/<hash>/` that of a folder
to build an environment from; data lies as a model does, in the datastore it was put into. The hash is over names and
bytes. A folder appears under its hash by one rename, complete and synced, and is never written again; the same content
is the same path.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from scoring.errors import Conflict, InvalidInput
from storage.content import NOT_CODE, ContentHash, Found, chunks_of, code_content, named_content
from storage.durability import fsync_folder

CODE_FILES_MAX = 10_000
CODE_BYTES_MAX = 500_000_000

MODELS, CODE, BUILDS = "models", "code", "builds"
DATA_FOLDER = "LocalUpload"
"""Below a datastore: local files and folders that were registered as data, or given to a job."""

_ABANDONED_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the registry holds now. `path` is the folder named by `content_hash`; `is_new` False where it was there."""

    path: Path
    content_hash: str
    files: int
    size_bytes: int
    is_new: bool


class Registry:
    """One root folder; any number of processes may add to it at the same time."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add_model(self, source: Path) -> Stored:
        """A file, or a folder with all it holds, under its base name. Raises InvalidInput for what cannot be copied."""
        place = "path"
        if source.exists() and (kept := self._kept(source, MODELS) or self._kept(source / "_", MODELS)) is not None:
            return kept
        return self._store(self._root / MODELS, named_content(source, place), place)

    def add_code(
        self,
        source: Path,
        script: str | None,
        *,
        includes: Sequence[Path] = (),
        place: str = "code_configuration.code",
        script_place: str = "code_configuration.scoring_script",
    ) -> Stored:
        """A code folder that holds `script`, with `includes` put beside its files under their base names.

        Caches and version control are left out.
        """
        found = code_files(source, includes, place)
        check_script(found, source, script, script_place)
        if includes:
            return self._within_bounds(source, found, CODE, place)
        return self._folder(source, found, CODE, place)

    def add_build(self, source: Path, dockerfile: str) -> Stored:
        """A folder that an environment is built from."""
        place = "build.path"
        found = code_content(source, place)
        if not any(f.name == dockerfile for f in found):
            raise InvalidInput(f"there is no file {dockerfile} in {source}", place="build.dockerfile_path")
        return self._folder(source, found, BUILDS, place)

    def add_data(self, source: Path, datastore: Path, *, place: str = "path") -> Stored:
        """A file, or a folder with all it holds, copied into a datastore's folder."""
        folder = datastore / DATA_FOLDER
        if source.parent.parent == folder and is_hash(source.parent.name) and source.exists():
            return _kept_at(source.parent)
        return self._store(folder, named_content(source, place), place)

    def add_upload(self, kind: str, unpacked: Path) -> Stored:
        """What came from another machine, as an archive of `models`, `code` or `builds` was unpacked."""
        if kind == MODELS:
            return self._store(self._root / MODELS, named_content(only_entry(unpacked), "archive"), "archive")
        return self._folder(unpacked, code_content(unpacked, "archive"), kind, "archive")

    def find(self, kind: str, content_hash: str) -> Path | None:
        """The folder that is named by this hash; None where the content is not here."""
        if not is_hash(content_hash):
            return None
        path = self._root / kind / content_hash
        return path if path.is_dir() else None

    def scratch(self) -> Path:
        """A new empty folder on the registry's disk; whoever asked for it removes it, or `sweep` does."""
        folder = self._root / "tmp" / uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def _folder(self, source: Path, found: Sequence[Found], kind: str, place: str) -> Stored:
        if (kept := self._kept(source / "_", kind)) is not None:
            return kept
        return self._within_bounds(source, found, kind, place)

    def _within_bounds(self, source: Path, found: Sequence[Found], kind: str, place: str) -> Stored:
        size = sum(f.source.stat().st_size for f in found)
        if len(found) > CODE_FILES_MAX or size > CODE_BYTES_MAX:
            raise InvalidInput(
                f"{source} holds {len(found)} files of {size:,} bytes together; a code folder may hold "
                f"{CODE_FILES_MAX:,} files of {CODE_BYTES_MAX:,} bytes: data belongs into the model or the input",
                place=place,
            )
        return self._store(self._root / kind, found, place)

    def _kept(self, source: Path, kind: str) -> Stored | None:
        """What is in the registry already, such as an upload, needs no copy: it cannot have changed."""
        folder = source.parent
        if folder.parent != self._root / kind or not is_hash(folder.name) or not folder.is_dir():
            return None
        return _kept_at(folder)

    def sweep(self) -> None:
        """Remove what a killed process left half-copied; called when the service starts."""
        for left in (self._root / "tmp").glob("*"):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)

    def _store(self, parent: Path, found: Sequence[Found], place: str) -> Stored:
        copy = self.scratch()
        try:
            content_hash, size = _copy(found, copy, place)
            path = parent / content_hash
            parent.mkdir(parents=True, exist_ok=True)
            is_new = _rename(copy, path)
        except OSError as error:
            raise no_room(error) from error
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        return Stored(path=path, content_hash=content_hash, files=len(found), size_bytes=size, is_new=is_new)


def code_files(source: Path, includes: Sequence[Path], place: str) -> list[Found]:
    """What a code folder is to hold, by name. Raises InvalidInput, also for two files of one name."""
    found = {file.name: file for file in code_content(source, place)}
    for number, path in enumerate(includes):
        at = f"{place.rpartition('.')[0]}.additional_includes[{number}]".lstrip(".")
        for file in named_content(path, at):
            if NOT_CODE.intersection(Path(file.name).parts) or file.name.endswith(".pyc"):
                continue
            if file.name in found:
                raise InvalidInput(f"{path} holds {file.name}, which is in {source}, too", place=at)
            found[file.name] = file
    return sorted(found.values(), key=lambda file: file.name)


def check_script(found: Sequence[Found], source: Path, script: str | None, place: str) -> None:
    """Raises InvalidInput where the script is not among the files."""
    if script is not None and not any(file.name == script for file in found):
        raise InvalidInput(f"there is no file {script} in {source}; {_scripts_in(found)}", place=place)


def _copy(found: Sequence[Found], target: Path, place: str) -> tuple[str, int]:
    """Copy and hash in one read: what is hashed is what was copied, although somebody may be writing to the source."""
    whole, total = ContentHash(), 0
    for file in found:
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("wb") as copy:
            for chunk in chunks_of(file, place):
                digest.update(chunk)
                copy.write(chunk)
                total += len(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        is_program = file.source.stat().st_mode & stat.S_IXUSR
        path.chmod(0o555 if is_program else 0o444)
        whole.add(file.name, digest.digest())
    for folder in {target, *((target / f.name).parent for f in found)}:
        fsync_folder(folder)
    return whole.hexdigest(), total


def no_room(error: OSError) -> Exception:
    """The error itself, unless it is one that its reader can mend."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
        return error
    return Conflict(f"the service's disk is full, nothing was registered: make room and try again ({error.strerror})")


def _rename(copy: Path, path: Path) -> bool:
    """Whether the copy took its place; not where the content was there already."""
    try:
        copy.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        return False
    fsync_folder(path.parent)
    return True


def is_hash(name: str) -> bool:
    """Whether it has the form of a content's hash."""
    return len(name) == 64 and all(character in "0123456789abcdef" for character in name)


def _kept_at(folder: Path) -> Stored:
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return Stored(path=folder, content_hash=folder.name, files=len(files), size_bytes=size, is_new=False)


def only_entry(folder: Path) -> Path:
    """The one file or folder that a folder holds. Raises InvalidInput where it holds another number of them."""
    entries = list(folder.iterdir())
    if len(entries) != 1:
        raise InvalidInput(f"the archive holds {len(entries)} files and folders side by side, wanted one")
    return entries[0]


def _scripts_in(found: Sequence[Found]) -> str:
    scripts = [f.name for f in found if f.name.endswith(".py")][:8]
    return f"it holds {', '.join(scripts)}" if scripts else "it holds no .py file"
