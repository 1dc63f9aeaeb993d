"""What a stack consists of, as values: parts, what each waits for, and which of them a start was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.devstack.errors import NotUsable
from infra.devstack.processes import Launch

Progress = Callable[[str], None]


def nothing_to_prepare(_: Progress) -> None:
    pass


def always(_: int) -> bool:
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One process of the stack, or one step (`once`) that must have ended well before others start.

    `ready` gets the child's pid, must answer within a few seconds, and is asked again and again. The stack is ready
    without a part that is `optional`. A part that comes and goes is ended and started anew where its `edition` changes.
    """

    name: str
    launch: Callable[[], Launch]
    after: tuple[str, ...] = ()
    once: bool = False
    optional: bool = False
    edition: str = ""
    address: str = ""
    prepare: Callable[[Progress], None] = nothing_to_prepare
    ready: Callable[[int], bool] = always
    limit: float = 60.0  # seconds from start to ready
    grace: float = 15.0  # seconds from the request to end to the end


def choose(parts: Sequence[Part], only: Sequence[str]) -> list[Part]:
    """The parts named, and the steps that a named part waits for if what those need is named too; all if none is named.

    Raises NotUsable for a name that is no part.
    """
    known = {part.name: part for part in parts}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise NotUsable(f"unknown part: {', '.join(unknown)}; the parts are {', '.join(known)}")
    if not only:
        return list(parts)
    chosen = set(only)
    for name in only:
        for step in (known[needed] for needed in known[name].after):
            if step.once and set(step.after) <= chosen:
                chosen.add(step.name)
    return [part for part in parts if part.name in chosen]


def waits(part: Part, chosen: Sequence[Part]) -> tuple[str, ...]:
    """The names that `part` must wait for among the parts that were chosen."""
    names = {other.name for other in chosen}
    return tuple(name for name in part.after if name in names)
