"""Connections between clients and broker are cut and held up, and answers are lost, while readings arrive."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from tests.fault.proof.connections import FETCH, PRODUCE, Proxy
from tests.fault.proof.proof import Figures, conclude, proof

_HELD = (0.2, 1.0, 3.0, 9.0)
"""Seconds; the last is longer than a worker's session, and its partitions go to the other."""


class ProxiedBroker(KafkaBroker):
    """A broker with a second listener, which tells its clients the address of a proxy."""

    def __init__(self, home: Path, *, listener: int, advertised: int, port: int, controller_port: int) -> None:
        super().__init__(home, port=port, controller_port=controller_port)
        self._more = {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{listener},"
            f"CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{advertised}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
        }

    def prepare(self, progress: Callable[[str], None] = lambda _: None) -> None:
        super().prepare(progress)
        with (self.directory / "server.properties").open("a") as properties:
            properties.writelines(f"{key}={value}\n" for key, value in self._more.items())


def cuts(scratch: Path, count: int, seed: int) -> Figures:
    """`count` faults of the network, on a broker of this proof's own."""
    with (
        _behind_proxy(scratch / "broker") as (broker, proxy),
        proof(broker.bootstrap, scratch, "cuts of connections", seed, through=proxy.address) as of,
    ):
        crew, random_ = of.crew, random.Random(seed)
        crew.start_all("worker-0", "worker-1")
        done: Counter[str] = Counter()
        for number in range(count):
            time.sleep(random_.uniform(0.0, 1.0))
            done[_fault(proxy, number, random_)] += 1
            if number % 5 == 4:
                crew.wait_for_progress()
        crew.wait_for_progress()
        assert done["an answer to the publisher lost"], f"no answer to the publisher was lost: {done}"
        assert {PRODUCE, FETCH} <= set(proxy.cut), f"nobody waited for an answer: {proxy.cut}"
        of.figures |= {
            "faults": count,
            **dict(sorted(done.items())),
            "connections cut": proxy.cut[None],
            "while sending": proxy.cut[PRODUCE],
            "while fetching": proxy.cut[FETCH],
            "workers that ended and came back": len(crew.ended),
        }
        return conclude(of, scratch)


def _fault(proxy: Proxy, number: int, random_: random.Random) -> str:
    """Each kind in turn, so that few faults are of all kinds."""
    kind = number % 5
    if kind == 0:
        is_lost = proxy.lose_answers(PRODUCE, 10.0)
        return "an answer to the publisher lost" if is_lost else "answers lost, none to the publisher"
    if kind == 1:
        proxy.hold(random_.choice(_HELD), then_reset=False)
        return "held up"
    if kind == 2:
        proxy.reset(1.0, random_.random)
        return "all cut"
    if kind == 3:
        proxy.hold(random_.choice(_HELD), then_reset=True)
        return "held up and cut"
    proxy.reset(0.5, random_.random)
    return "some cut"


@contextmanager
def _behind_proxy(home: Path) -> Iterator[tuple[KafkaBroker, Proxy]]:
    home.mkdir(parents=True, mode=0o755)
    port, controller_port, listener, advertised = free_ports(4)
    broker = ProxiedBroker(home, listener=listener, advertised=advertised, port=port, controller_port=controller_port)
    try:
        broker.start(limit=240)
        with Proxy(advertised, listener) as proxy:
            yield broker, proxy
    finally:
        broker.stop()
