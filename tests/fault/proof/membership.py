"""Workers that come and go, and workers that were frozen while others took over: rebalances and zombies."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from ingestion.steps import STEPS, Step
from tests.fault.proof.crew import Crew
from tests.fault.proof.proof import Figures, Proof, conclude, proof
from tests.fault.proof.worker import Variant

MEMBERS = ("worker-0", "worker-1", "worker-2")
_FREEZING: tuple[Step | None, ...] = (None, *(step for step in STEPS if step != "restored"), None, None)


def rebalances(bootstrap: str, scratch: Path, count: int, seed: int) -> Figures:
    """`count` changes between one, two and three workers of one group: joined, told to leave, killed, replaced.

    Each has to move partitions, and all partitions have to go on after it.
    """
    with proof(bootstrap, scratch, "rebalances", seed) as of:
        crew, random_ = of.crew, random.Random(seed)
        crew.start(MEMBERS[0])
        crew.wait_for_progress()
        done: Counter[str] = Counter()
        sizes: Counter[int] = Counter()
        for number in range(count):
            absent = [member for member in MEMBERS if member not in crew.members]
            change = "joined" if number == 0 or len(absent) == 2 else random_.choice(_changes(absent))
            before = crew.restored()
            _change(crew, change, random_.choice(absent if change == "joined" else sorted(crew.members)))
            crew.wait_for_move(before)
            crew.wait_for_progress()
            done[change] += 1
            sizes[len(crew.members)] += 1
        of.figures |= {"rebalances": count, **done, "with two workers": sizes[2], "with three": sizes[3]}
        of.figures["ended by themselves and came back"] = len(crew.ended)
        return conclude(of, scratch)


def _changes(absent: list[str]) -> list[str]:
    return ["left", "killed", "replaced", *(["joined"] * 3 if absent else [])]


def _change(crew: Crew, change: str, member: str) -> None:
    if change == "left":
        crew.leave(member)
    if change in ("killed", "replaced"):
        crew.kill(member)
    if change in ("joined", "replaced"):
        # under the same name: the group gives it its partitions at once, and knows its predecessor no more
        crew.start(member)


def zombies(
    bootstrap: str,
    scratch: Path,
    count: int,
    seed: int,
    *,
    variant: Variant = "honest",
    freezing: Sequence[Step | None] = _FREEZING,
) -> Figures:
    """`count` workers, two of three at a time, frozen past their session, and woken when others have their partitions.

    Frozen at the steps of a commit in turn, or anywhere; woken when the third has taken over, or has committed too.
    """
    with proof(bootstrap, scratch, "zombies", seed, variant=variant) as of:
        crew, random_ = of.crew, random.Random(seed)
        for member in MEMBERS:
            crew.start(member)
        for member in MEMBERS:
            crew.wait_for_restored(member)
        steps = cycle(freezing)
        woken = fenced = 0
        while woken < count:
            frozen = random_.sample(MEMBERS, min(2, count - woken))
            before = len(crew.ended)
            for member in frozen:
                _freeze(crew, member, next(steps))
            _let_others_take_over(of, frozen, has_committed=random_.random() < 0.6)
            for member in frozen:
                crew.send(member, signal.SIGCONT)
            woken += len(frozen)
            crew.wait_for_progress()
            _let_all_have_work(crew)
            fenced += len(crew.ended) - before
        frozen_at = crew.reached(signal.SIGSTOP)
        of.figures |= {
            "zombies": woken,
            "frozen within a commit": len(frozen_at),
            "at different steps": len(set(frozen_at)),
            "ended by themselves and came back": fenced,
            "commits refused": crew.log.count("the stream stops: Fenced"),
        }
        return conclude(of, scratch)


def _freeze(crew: Crew, member: str, step: Step | None) -> None:
    if step is None:
        crew.send(member, signal.SIGSTOP)
        return
    before = len(crew.reached(signal.SIGSTOP))
    crew.order(member, step, 1, signal.SIGSTOP)
    crew.until(f"{member} froze at {step!r}", lambda: len(crew.reached(signal.SIGSTOP)) > before)


def _let_others_take_over(of: Proof, frozen: list[str], *, has_committed: bool) -> None:
    crew = of.crew
    pids = {crew.members[member].pid for member in frozen}
    before = len(crew.steps())
    crew.until(
        "the partitions of the frozen were taken over",
        lambda: any(line["step"] == "restored" and line["pid"] not in pids for line in crew.steps()[before:]),
    )
    if has_committed:
        crew.wait_for_progress()
    else:
        time.sleep(0.2)


def _let_all_have_work(crew: Crew) -> None:
    """Until every member has committed something: who has no partition cannot become a zombie."""
    before = len(crew.steps())
    crew.until(
        "every member has committed",
        lambda: {line["member"] for line in crew.steps()[before:] if line["step"] == "committed"} >= set(MEMBERS),
    )
