"""kill -9 of workers, at random moments and at every step of a commit."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from ingestion.steps import STEPS, Step
from tests.fault.proof.proof import Figures, Proof, conclude, proof


def kills(bootstrap: str, scratch: Path, count: int, seed: int, *, windows: str | None = None) -> Figures:
    """`count` lives of a worker, each ended by kill -9: at the steps in turn, and between two of them anywhere.

    windows  of a defined stream; without, it is the built-in one
    """
    # bad messages are the built-in stream's to tell of
    steps = [step for step in STEPS if windows is None or not step.startswith("letters")]
    with proof(bootstrap, scratch, "kill -9 of workers", seed, may_end=False, windows=windows) as of:
        random_ = random.Random(seed)
        random_.shuffle(steps)
        for life in range(count):
            if life < len(steps) or life % 2:
                _at_step(of, steps[life % len(steps)], random_.choice([1, 1, 2, 5]))
            else:
                _at_random(of, random_)
        reached = of.crew.reached(signal.SIGKILL)
        assert set(reached) == set(steps) or count < len(steps), f"never reached: {set(steps) - set(reached)}"
        of.figures |= {
            "kills": count,
            "of them at steps": len(reached),
            "steps reached": f"{len(set(reached))} of {len(steps)}",
            "commits": sum(line["step"] == "committed" for line in of.crew.steps()),
        }
        return conclude(of, scratch)


def _at_step(of: Proof, step: Step, times: int) -> None:
    crew = of.crew
    crew.order("worker-0", step, times, signal.SIGKILL)
    process = crew.start("worker-0")
    process.join(timeout=240)
    assert process.exitcode == -signal.SIGKILL, (
        f"it should have died at {step!r}, and {process.exitcode}\n{crew.log[-3000:]}"
    )
    crew.kill("worker-0")


def _at_random(of: Proof, random_: random.Random) -> None:
    """While it starts, or at any moment after it."""
    crew = of.crew
    began = time.monotonic()
    crew.start("worker-0")
    if random_.random() < 0.3:
        time.sleep(random_.uniform(0.0, 1.5))
    else:
        crew.wait_for_restored("worker-0")
        # by the measure of its start: a busy machine is slow
        time.sleep(random_.uniform(0.0, 1.5) * max(1.0, time.monotonic() - began))
    crew.kill("worker-0")
