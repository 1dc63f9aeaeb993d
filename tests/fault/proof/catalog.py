"""Every proof by name, with its full count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.devstack.kafka import KafkaBroker
from tests.fault.proof import controls, cuts, kills, membership, outages, poison, power
from tests.fault.proof.proof import Figures

Run = Callable[[KafkaBroker, Path, int, int], Figures]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One proof.

    full   how many faults make it whole
    least  how many it needs to mean anything
    check  does that many with a seed; raises AssertionError where the result is not the undisturbed one
    """

    full: int
    least: int
    check: Run

    def run(self, broker: KafkaBroker, scratch: Path, share: float, seed: int) -> str:
        """The line of figures."""
        figures = self.check(broker, scratch, max(self.least, round(self.full * share)), seed)
        return ", ".join(f"{key} {value}" for key, value in figures.items())


PROOFS: Mapping[str, Entry] = {
    "kills": Entry(full=100, least=16, check=lambda broker, *rest: kills.kills(broker.bootstrap, *rest)),
    "kills-hopping": Entry(
        full=40, least=5, check=lambda broker, *rest: kills.kills(broker.bootstrap, *rest, windows="hopping")
    ),
    "kills-session": Entry(
        full=40, least=5, check=lambda broker, *rest: kills.kills(broker.bootstrap, *rest, windows="session")
    ),
    "rebalances": Entry(full=20, least=4, check=lambda broker, *rest: membership.rebalances(broker.bootstrap, *rest)),
    "zombies": Entry(full=50, least=4, check=lambda broker, *rest: membership.zombies(broker.bootstrap, *rest)),
    "outages": Entry(full=20, least=2, check=outages.outages),
    "cuts": Entry(full=50, least=5, check=lambda broker, *rest: cuts.cuts(*rest)),
    "power-cuts": Entry(full=24, least=4, check=lambda broker, *rest: power.power_cuts(broker.bootstrap, *rest)),
    "poison": Entry(full=100_000, least=20_000, check=lambda broker, *rest: poison.poison(broker.bootstrap, *rest)),
    "control-position": Entry(
        full=4, least=2, check=lambda broker, *rest: controls.position_before_data(broker.bootstrap, *rest)
    ),
    # one that hears of its end before it has committed doubles nothing: among six are some that do not
    "control-fence": Entry(full=8, least=6, check=lambda broker, *rest: controls.no_fence(broker.bootstrap, *rest)),
    "control-sync": Entry(full=6, least=6, check=lambda broker, *rest: controls.no_sync(broker.bootstrap, *rest)),
}
