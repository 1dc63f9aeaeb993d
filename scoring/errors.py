"""Errors of the job's path, typed by what the catcher does.

ScoringError
├── InvalidInput     fix the input: names the place (`file:line`, field path), what was found, what is allowed
├── NotFound         fix the name: what was looked for, and what exists
├── Conflict         the state forbids it: e.g. the output file exists, the version is immutable
├── TryAgain         wait and try again: a store is away
├── JobFailed        stop this job: its message goes to the job's `status_reason`, the user's traceback to `error`
├── NoInstance       leave the job in the queue: its cluster is full
└── LeaseLost        stop: another runner owns this job now; nothing more may be written for it
"""

from __future__ import annotations


class ScoringError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidInput(ScoringError):
    """What the caller gave is wrong; nothing was changed. `place` is `file:line` or a field path, or both."""

    def __init__(self, message: str, *, place: str | None = None) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


class NotFound(ScoringError):
    """The named thing does not exist."""


class Conflict(ScoringError):
    """The named thing is in a state that does not allow this."""


class TryAgain(ScoringError):
    """A store or a compute is away; the same call may succeed later."""


class JobFailed(ScoringError):
    """The job cannot go on. `user_traceback` is the first traceback of the user's script, if one led here."""

    def __init__(self, reason: str, *, user_traceback: str | None = None) -> None:
        super().__init__(reason)
        self.user_traceback = user_traceback


class LeaseLost(ScoringError):
    """Another runner claimed the job after our lease ended."""


class NoInstance(ScoringError):
    """All instances of the job's cluster work for other jobs: the job is left in the queue, for a later claim."""
