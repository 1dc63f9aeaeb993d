"""From an error to one clear line on stderr and an exit code.

0 done · 1 the service refused or failed · 2 the input is wrong · 3 not found: these are az's. Beyond them, for who
follows a job: 7 it Failed · 8 it was Canceled · 9 a wait reached its limit. 130 interrupted.
"""

from __future__ import annotations

import sys

import click

from ingestion import errors as ingestion_errors
from scoring import errors as scoring_errors


class JobEnded(Exception):
    """A job that somebody waited for ended otherwise than Completed."""

    def __init__(self, name: str, status: str, reason: str | None) -> None:
        super().__init__(f"job {name} ended {status}: {reason or 'no reason given'}")
        self.exit_code = 8 if status == "Canceled" else 7


class WaitedTooLong(Exception):
    """A wait reached its limit; the message says what for and how long."""


class NotConfirmed(Exception):
    """Somebody was asked, and said no; nothing was changed."""


_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (scoring_errors.InvalidInput, 2),
    (ingestion_errors.InvalidInput, 2),
    (scoring_errors.NotFound, 3),
    (WaitedTooLong, 9),
)


def exit_code_of(error: BaseException) -> int:
    """Print the error's one line to stderr and return its exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        print("interrupted", file=sys.stderr)
        return 130
    if isinstance(error, BrokenPipeError):
        return 0
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    print(f"error: {error or type(error).__name__}", file=sys.stderr)
    if isinstance(error, JobEnded):
        return error.exit_code
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)
