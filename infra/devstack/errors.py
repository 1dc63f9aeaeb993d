"""What can go wrong with the stack's processes, typed by what the catcher does.

StackError
├── NotUsable     a person must change something on this machine (no Java, a port in use, a checksum differs)
├── PartFailed    a part ended or cannot start: its log says why
└── NotReadyInTime  a wait reached its limit; the part may still come
"""

from __future__ import annotations


class StackError(Exception):
    """Base of all errors of the embedded stack."""


class NotUsable(StackError):
    """This machine lacks something that a part needs; the message says what and how to mend it."""


class PartFailed(StackError):
    """A part of the stack ended or could not start."""


class NotReadyInTime(StackError):
    """A part did not become ready within its limit; the message says which and how long."""
