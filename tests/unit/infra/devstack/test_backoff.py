"""The waits between restarts."""

from __future__ import annotations

import pytest

from infra.devstack.backoff import RestartPolicy


def test_waits_double_up_to_the_longest() -> None:
    policy = RestartPolicy(first=0.5, longest=30)
    assert [policy.delay(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_thousand_failures_are_no_overflow() -> None:
    assert RestartPolicy().delay(5000) == 30


@pytest.mark.parametrize(("before", "ready_seconds", "after"), [(0, 0, 1), (3, 0, 4), (3, 29.9, 4), (3, 30, 1)])
def test_a_stable_part_starts_from_the_first_wait_again(before: int, ready_seconds: float, after: int) -> None:
    assert RestartPolicy(stable=30).failures(before, ready_seconds) == after
