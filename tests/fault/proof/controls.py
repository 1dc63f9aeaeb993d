"""The same faults on workers that lack one piece of the mechanism each: the checks have to see it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.proof.membership import zombies
from tests.fault.proof.power import power_cuts
from tests.fault.proof.proof import Figures, conclude, proof


def position_before_data(bootstrap: str, scratch: Path, count: int, seed: int) -> Figures:
    """Killed between the commit of the position and that of the data: rows are missing."""

    def go() -> None:
        with proof(bootstrap, scratch, "position before data", seed, variant="position-first") as of:
            for _ in range(count):
                of.crew.order("worker-0", "entry on disk", 4, signal.SIGKILL)
                process = of.crew.start("worker-0")
                process.join(timeout=240)
                assert process.exitcode == -signal.SIGKILL
                of.crew.kill("worker-0")
            conclude(of, scratch)

    return _red(go, r"windows: .* [1-9]\d* missing")


def no_fence(bootstrap: str, scratch: Path, count: int, seed: int) -> Figures:
    """Zombies whose sink does not look whether another has committed: rows are doubled."""
    return _red(
        lambda: zombies(bootstrap, scratch, count, seed, variant="unfenced", freezing=["state on disk"]),
        r"[1-9]\d* (of them doubled|that should not be)",
    )


def no_sync(bootstrap: str, scratch: Path, count: int, seed: int) -> Figures:
    """Power cuts of a worker that flushes nothing: what the log names is empty, or the log itself."""
    return _red(
        lambda: power_cuts(bootstrap, scratch, count, seed, variant="unsynced"),
        r"ended by itself.* (cannot be opened|is damaged|is not in|No table metadata)"
        r"|[1-9]\d* (missing|that should not be)",
    )


def _red(check: Callable[[], object], match: str) -> Figures:
    with pytest.raises(AssertionError, match=match) as caught:
        check()
    return {"red, as it has to be": str(caught.value).splitlines()[0][:200]}
