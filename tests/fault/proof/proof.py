"""A proof: one topic, its feed, its workers, faults of one kind, and the comparison at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.fault.proof import result
from tests.fault.proof.crew import Crew
from tests.fault.proof.defined import DefinedStack
from tests.fault.proof.feed import Feed
from tests.fault.proof.worker import Variant
from tests.stream_process import StreamStack

Figures = dict[str, object]
"""What a proof has to show, by name, in the order in which it is told."""


@dataclass
class Proof:
    """What a kind of fault works on."""

    crew: Crew
    feed: Feed
    figures: Figures = field(default_factory=dict)


def new_stack(bootstrap: str, home: Path, name: str, windows: str | None = None) -> StreamStack:
    """Six partitions, corrections, short sessions; no silence, which the clock tells and not the readings."""
    make = StreamStack if windows is None else partial(DefinedStack, kind=windows)
    stack = make(
        bootstrap=bootstrap,
        home=home,
        topic=f"proof-{name.split()[-1]}-{uuid4().hex[:8]}",
        partitions=6,
        correction_lateness_seconds=20.0,
        session_seconds=6.0,
    )
    stack.create_topics()
    return stack


@contextmanager
def proof(
    bootstrap: str,
    scratch: Path,
    name: str,
    seed: int,
    *,
    home: Path | None = None,
    variant: Variant = "honest",
    may_end: bool = True,
    windows: str | None = None,
    through: str | None = None,
) -> Iterator[Proof]:
    """A crew that nobody is in yet, and a feed that flows.

    may_end  whether workers may end by themselves, as one does that was overtaken
    windows  of a defined stream; without, it is the built-in one
    through  what workers and feed connect to in place of the broker
    """
    stack = new_stack(bootstrap, home or scratch / "home", name, windows)
    stack.through = through
    definition = stack.write_definition(scratch) if isinstance(stack, DefinedStack) else None
    with (
        Crew(stack, scratch / "notes", variant, may_end, definition) as crew,
        Feed(through or bootstrap, stack.topic, seed) as feed,
    ):
        yield Proof(crew, feed)


def conclude(of: Proof, scratch: Path) -> Figures:
    """End the feed, let what is left be read, and compare. Raises AssertionError where anything is lost or doubled."""
    crew, feed = of.crew, of.feed
    feed.stop()
    if not crew.members:
        crew.start("worker-0")
    crew.wait_for_progress()
    for member in list(crew.members):
        crew.kill(member)
    found = result.of_stack(crew.stack)
    result.check_same(found, result.undisturbed(crew.stack, scratch / "undisturbed"))
    if not isinstance(crew.stack, DefinedStack):
        # a defined stream leaves readings out, or counts them in several windows
        result.check_accounts(found, feed, sum(crew.ends().values()))
    of.figures.update(
        {
            "readings": feed.readings,
            "rows equal: windows": found.windows.num_rows,
            "corrections": found.counters["corrections"],
            "late": found.late.num_rows,
            "dead letters": len(found.letters),
            "of them doubled": found.letters_doubled,
        }
    )
    return of.figures
