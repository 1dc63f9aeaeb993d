"""When a runner may still write."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scoring.lease import Lease


def test_a_lease_is_held_until_its_length_after_the_question() -> None:
    lease = Lease(length=timedelta(seconds=15), asked_at=100.0)
    assert lease.is_held(114.9)
    assert not lease.is_held(115.0)


def test_it_is_renewed_after_a_third_so_that_two_renewals_may_fail() -> None:
    lease = Lease(length=timedelta(seconds=15), asked_at=100.0)
    assert not lease.is_due(104.9)
    assert lease.is_due(105.0)
    assert lease.renewed(105.0).ends_at == 120.0


def test_a_lease_has_a_length() -> None:
    with pytest.raises(ValueError, match="positive"):
        Lease(length=timedelta(0), asked_at=0.0)
