"""The broker goes away and comes back while readings are sent and folded: told to stop, or killed."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from infra.devstack.kafka import KafkaBroker
from tests.fault.proof.proof import Figures, conclude, proof


def outages(broker: KafkaBroker, scratch: Path, count: int, seed: int) -> Figures:
    """`count` restarts of a broker that is this proof's own; it runs again in the end."""
    with proof(broker.bootstrap, scratch, "restarts of the broker", seed) as of:
        crew, random_ = of.crew, random.Random(seed)
        crew.start_all("worker-0", "worker-1")
        done: Counter[str] = Counter()
        for number in range(count):
            time.sleep(random_.uniform(0.0, 2.0))
            if number % 2:
                kill(broker)
                done["killed"] += 1
            else:
                broker.stop()
                done["told to stop"] += 1
            time.sleep(random_.choice([0.0, 0.5, 3.0]))
            broker.start(limit=240)
            crew.wait_for_progress()
        of.figures |= {"restarts": count, **done, "workers that ended and came back": len(crew.ended)}
        return conclude(of, scratch)


def kill(broker: KafkaBroker) -> None:
    """kill -9: what the broker has confirmed lies in the system's cache, which outlives it."""
    process = broker._process
    assert process is not None
    process.kill()
    process.wait(timeout=60)
    broker.stop()
