"""How the worker's process deals with memory and start: what it does without, and what it keeps.

Many workers may run on a small machine.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

import pyarrow as pa

SWITCH_SECONDS = 0.0005
"""How long a thread keeps the interpreter while another waits; what fetches and decodes waits for what folds."""

KEPT_BYTES = 64 * 1024 * 1024
"""Freed memory that the process keeps for its next fetch, at most: what two of them take, decoded."""

GIVEN_BACK_SECONDS = 10.0
"""Time between two moments at which all free memory goes back, wherever it lies.

What is kept lies at the end of the heap. Before it are holes, some held open by a few bytes that stay: they grew by
megabytes every ten seconds, with nothing held. A fetch takes a hundredth of this time, so taking its memory anew once
is cheap.
"""

LAKE_MEMORY = "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0"
"""How delta-rs deals with memory, in the words of its own allocator.

Each commit takes megabytes for a moment. Left alone, its threads do so in several places a core, each of which keeps
what it took for some seconds: memory grows with the commits, although nothing of them is held.
"""

_LAKE_MEMORY_VARIABLE = "_RJEM_MALLOC_CONF"

# of glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024


class _Without(MetaPathFinder):
    """Tells whoever tries to import these packages that they are not installed."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name in self._packages:
            raise ModuleNotFoundError(f"{name} is not for the stream's worker", name=name)
        return None


def become_lean() -> None:
    """To be called once, by a process that is nothing but a worker, before it loads anything of the lake."""
    # read when the library is loaded; what the user has set comes last, and so wins
    given = os.environ.get(_LAKE_MEMORY_VARIABLE)
    os.environ[_LAKE_MEMORY_VARIABLE] = f"{LAKE_MEMORY},{given}" if given else LAKE_MEMORY
    # the first pa.array() of a list imports pandas if it can: half a second and 50 MB, for nothing
    sys.meta_path.insert(0, _Without("pandas"))
    sys.setswitchinterval(SWITCH_SECONDS)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let the columns of a fetch be made in the memory of those before it.

    An allocator gives blocks of megabytes back to the system as soon as they are free, and the next fetch pays for
    each of their pages again: on a busy virtual machine that was up to half of the decoding thread's time. Other C
    libraries than glibc are left as they are.
    """
    library = ctypes.CDLL(None)
    adjust = getattr(library, "mallopt", None)
    if adjust is None:
        return
    adjust(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    adjust(_TRIM_THRESHOLD, KEPT_BYTES)
    # the columns that one thread makes are freed by another: with one arena that memory is everybody's
    adjust(_ARENA_MAX, 1)
    pa.set_memory_pool(pa.system_memory_pool())
    give_back = getattr(library, "malloc_trim", None)
    if give_back is not None:
        threading.Thread(target=_give_back, args=(give_back,), name="free memory", daemon=True).start()


def _give_back(trim: Callable[[int], int]) -> None:
    while True:
        time.sleep(GIVEN_BACK_SECONDS)
        trim(KEPT_BYTES)
