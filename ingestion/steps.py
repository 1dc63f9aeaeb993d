"""The steps of a commit by name: where a worker can die, and what is on disk by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

Step = Literal[
    "restored",
    "commit begun",
    "letters sent",
    "letters stored",
    "late part on disk",
    "late entry written",
    "late entry on disk",
    "state drafted",
    "state on disk",
    "part on disk",
    "entry written",
    "entry on disk",
    "committed",
]
"""In their order. A part or an entry that is of late readings has the word in front."""

STEPS: tuple[Step, ...] = get_args(Step)

Listener = Callable[[Step], None]
"""Is told each step once it is done, in the thread that did it."""


def unheard(step: Step) -> None:
    """Nobody listens."""
