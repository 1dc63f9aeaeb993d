"""Errors of the reading's path, typed by what the catcher does.

IngestionError
├── InvalidInput      fix the input: a file, a setting or an option; the message names it and the mend
├── TryAgain          wait and try again: the broker or the lake is away
├── PoisonMessage     skip and count: goes to the dead-letter topic with its reason
└── Fenced            stop: another worker owns this partition now; nothing was written
"""

from __future__ import annotations


class IngestionError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidInput(IngestionError):
    """The caller's input is wrong; the message names the field, file or row, and the mend."""


class TryAgain(IngestionError):
    """A part that we depend on is away; the same call may succeed later."""


class PoisonMessage(IngestionError):
    """A message that can never be processed. `reason` is a stable short code, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Fenced(IngestionError):
    """Another writer committed for this partition since we read its position; our work must be dropped."""
