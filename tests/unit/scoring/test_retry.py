"""What follows a failed try."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scoring.deployment import RetrySettings
from scoring.retry import Failure, after_failure, backoff, init_gives_up, init_limit


@pytest.mark.parametrize(
    ("failure", "new_process"), [(Failure.RAISED, False), (Failure.TIMED_OUT, True), (Failure.DIED, True)]
)
def test_only_an_exception_leaves_the_process_alive(failure: Failure, new_process: bool) -> None:
    assert after_failure(failure, tries=1, settings=RetrySettings()).new_process is new_process


def test_max_retries_counts_all_tries() -> None:
    three = RetrySettings(max_retries=3)
    assert [after_failure(Failure.RAISED, tries=n, settings=three).requeue for n in (1, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]
    assert not after_failure(Failure.DIED, tries=1, settings=RetrySettings(max_retries=1)).requeue


def test_a_script_that_never_starts_is_given_up_after_three_starts_however_wide_the_deployment() -> None:
    assert not init_gives_up(failures=2, processes=8, ever_ready=False)
    assert init_gives_up(failures=3, processes=8, ever_ready=False)
    assert not init_gives_up(failures=23, processes=8, ever_ready=True)
    assert init_gives_up(failures=24, processes=8, ever_ready=True)


def test_init_may_take_three_timeouts_and_thirty_seconds() -> None:
    assert init_limit(30) == timedelta(seconds=120)


def test_backoff_doubles_up_to_its_longest() -> None:
    assert [backoff(n) for n in range(1, 9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff(10_000) == 5.0
