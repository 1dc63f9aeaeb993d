"""Memory of a process and all below it."""

from __future__ import annotations

import psutil


def tree_memory(root: psutil.Process) -> int:
    """Bytes: proportional set size where the system tells it, so that shared pages count once; else resident size."""
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_memory(process) for process in processes)


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.NoSuchProcess:
        return 0
    except psutil.Error:
        try:
            return int(process.memory_info().rss)
        except psutil.Error:
            return 0
