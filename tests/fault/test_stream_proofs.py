"""The proofs of exactly once with small counts; `make proof` takes the full ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.devstack.kafka import KafkaBroker
from infra.devstack.ports import free_ports
from tests.fault.proof.catalog import PROOFS
from tests.fault.proof.power import cannot_mount

pytestmark = [pytest.mark.stack, pytest.mark.fault]

SHARE = float(os.environ.get("TIDEMILL_PROOF_SHARE", "0.1"))
SEED = int(os.environ.get("TIDEMILL_PROOF_SEED", "7"))
NEEDS_A_DISK = {"power-cuts", "control-sync"}


@pytest.fixture(scope="module")
def broker(stack_home: Path) -> Iterator[KafkaBroker]:
    """A broker of their own: one of the proofs kills it."""
    home = stack_home / "proof"
    home.mkdir(mode=0o755)
    port, controller_port = free_ports(2)
    broker = KafkaBroker(home, port=port, controller_port=controller_port)
    try:
        broker.start(limit=180)
        yield broker
    finally:
        broker.stop()


@pytest.mark.timeout(7200 if SHARE > 0.2 else 1800)
@pytest.mark.parametrize("name", PROOFS)
def test_nothing_is_lost_and_nothing_counted_twice(name: str, broker: KafkaBroker, tmp_path: Path) -> None:
    if name in NEEDS_A_DISK and (reason := cannot_mount(tmp_path)):
        pytest.skip(reason)
    print(PROOFS[name].run(broker, tmp_path / "proof", SHARE, SEED))
