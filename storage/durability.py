"""What a power cut must not undo."""

from __future__ import annotations

import os
from pathlib import Path


def fsync_folder(folder: Path) -> None:
    """Make a rename or a new file in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    """Make what is in the file survive a power cut, whoever wrote it. Raises FileNotFoundError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_synced(path: Path, data: bytes) -> None:
    """Write the file; its content is on disk, its name may not be."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes) -> None:
    """Put the file in its place, whole or not at all, over one that is there; the folder must exist."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    write_synced(draft, data)
    draft.replace(path)
    fsync_folder(path.parent)
