"""Which stream writes the dead letters of a topic that several read: the first that asked, while it is defined."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from storage.durability import fsync_folder, write_synced


def holds_claim(folder: Path, topic: str, stream: str, *, is_defined: Callable[[str], bool]) -> bool:
    """Whether the stream writes the topic's letters; it takes the claim where nobody has it, or who had it is gone."""
    path = folder / f"letters-of-{topic}"
    for _ in range(3):
        try:
            holder = path.read_text()
        except FileNotFoundError:
            holder = ""
        if holder == stream:
            return True
        if holder and is_defined(holder):
            return False
        if holder:
            path.unlink(missing_ok=True)
        _take(path, stream)
    return False


def _take(path: Path, stream: str) -> None:
    """Whole or not at all, and by one alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{stream}.{os.getpid()}.tmp")
    write_synced(draft, stream.encode())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    fsync_folder(path.parent)
