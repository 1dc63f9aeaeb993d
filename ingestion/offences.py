"""What a JSON message has wrong, as its dead letter says it: reason, field, what was expected and what was found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

_EXPECTED = {
    "machine_id": "a string",
    "sensor_id": "a string",
    "event_time": "an RFC 3339 time with a zone",
    "value": "a finite number",
    "unit": "a string, or none",
    "sequence": "an integer of 64 bits, or none",
}
"""Of each field of a reading."""

_LONGEST_SHOWN = 80
_PATH = re.compile(r"`\$\.(\w+)((?:\[(?:\d+|\.\.\.)\])*)`")
_MISSING = re.compile(r"missing required field `(\w+)`")


@dataclass(frozen=True, slots=True)
class _Offence:
    """How a message of msgspec is told: the text to look for, and our reason."""

    text: str
    reason: str


_OFFENCES = (
    _Offence("missing required field", "missing_field"),
    _Offence("got `null`", "missing_field"),
    _Offence("timezone component", "bad_time"),
    _Offence("RFC3339", "bad_time"),
    _Offence("Number out of range", "not_finite"),
    _Offence("Expected `object`", "bad_json"),
)


def offence_of(text: str) -> str:
    """The reason behind a message of msgspec's validation."""
    return next((offence.reason for offence in _OFFENCES if offence.text in text), "wrong_type")


def told(text: str, value: bytes) -> str:
    """A message of msgspec's validation about `value`, with the field, what it should be and what it is."""
    missing = _MISSING.search(text)
    if missing is not None:
        name = missing[1]
        return f"field {name!r} is missing; {_EXPECTED.get(name, 'it')} is needed"
    path = _PATH.search(text)
    if path is None or path[1] not in _EXPECTED:
        return text
    name, place = path[1], path[2]
    found = _found(value, name)
    return f"field {name!r}{place} is {found}; {_EXPECTED[name]} is needed"


def _found(value: bytes, name: str) -> str:
    """The field as it was written, or so much of it as is good to be shown."""
    try:
        held = msgspec.json.decode(value, type=dict[str, msgspec.Raw])[name]
    except (msgspec.MsgspecError, RecursionError, ValueError, KeyError):
        return "not readable"
    text = bytes(held).decode(errors="replace")
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"


def shown(found: Any) -> str:
    """A value in a dead letter's text, cut where it is long."""
    text = repr(found)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters)"
