"""Waiting until something can be read, whatever number its descriptor has.

`select.select` refuses numbers of 1024 and more, which a service with many files and connections gives out.
"""

from __future__ import annotations

import select
from typing import Protocol


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def is_readable(source: int | HasDescriptor, seconds: float) -> bool:
    """Whether there is something to read, or its end, within so many seconds. Raises ValueError where it is closed."""
    descriptor = source if isinstance(source, int) else source.fileno()
    if descriptor < 0:
        raise ValueError("it is closed")
    waits = select.poll()
    waits.register(descriptor, select.POLLIN)
    return bool(waits.poll(seconds * 1000))
