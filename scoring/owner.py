"""Whose lease it is: a process of one machine, named so that no other one ever has the name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

_TEXT = re.compile(r"(?P<machine>[^/\s]+)/(?P<pid>\d+)@(?P<started>[^/\s]+)/(?P<number>\d+)")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The `lease_owner` of a job.

    machine  one space of process ids, from its start to its end: another boot, or another container, is another one
    started  when the process began, as its machine counts: a process id is given out again, this with it is not
    number   which of the process's runners
    """

    machine: str
    pid: int
    started: str
    number: int

    def __str__(self) -> str:
        return f"{self.machine}/{self.pid}@{self.started}/{self.number}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None for a name that was made otherwise."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        return cls(
            machine=found["machine"], pid=int(found["pid"]), started=found["started"], number=int(found["number"])
        )


def is_gone(text: str, *, machine: str, started: Callable[[int], str | None]) -> bool:
    """Whether the owner's process has ended for certain: only its own machine can know.

    started  when the process with this id began; None where there is none
    """
    owner = Owner.read(text)
    return owner is not None and owner.machine == machine and started(owner.pid) != owner.started
