"""What follows a failed try: again or not, in the same process or a new one, and after which pause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from scoring.deployment import RetrySettings


class Failure(StrEnum):
    """How a try of a mini-batch failed."""

    RAISED = "raised"  # `run` raised, or returned what it may not
    TIMED_OUT = "timed out"  # `run` took longer than retry_settings.timeout
    DIED = "died"  # the process ended: sys.exit, a signal, out of memory


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """`requeue`: the mini-batch is tried again; `new_process`: the worker must be replaced before it gets anything."""

    requeue: bool
    new_process: bool


def after_failure(failure: Failure, *, tries: int, settings: RetrySettings) -> NextStep:
    """`tries` were made, this failed one included; `max_retries` counts all of them (3 are three calls of `run`)."""
    return NextStep(requeue=tries < settings.max_retries, new_process=failure is not Failure.RAISED)


def init_limit(timeout: int) -> timedelta:
    """How long `init()` may take before its process counts as stuck."""
    return timedelta(seconds=3 * timeout + 30)


def init_gives_up(*, failures: int, processes: int, ever_ready: bool) -> bool:
    """Whether so many failed starts (of all processes of a job) end the job.

    Three a process bear a bad moment. Before any process got ready the script itself is the likely cause, so three in
    all are enough: a wrong script must not cost minutes on a wide deployment.
    """
    return failures >= 3 * (processes if ever_ready else 1)


def backoff(attempt: int, *, first: float = 0.1, longest: float = 5.0) -> float:
    """Seconds to wait before try `attempt + 1` of a store that is away; attempts count from 1, doubling."""
    return min(longest, first * 2.0 ** min(attempt - 1, 30))
