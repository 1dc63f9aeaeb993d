"""Alert rules: values, and how they are read from the list `alerts` of a document.

```yaml
alerts:
  - name: hot
    severity: warning                               # info | warning (default) | critical
    description: Bearings run hot.
    where: {sensor_id: "*/bearing_temperature"}     # a glob, or a list of them, for each column
    threshold: {column: mean, above: 90, clear: 85} # or below: 10, or outside: [10, 90]
    for: 3                                          # windows in a row
  - {name: jump, rate: {column: mean, change: 10, within: 1m, direction: rise}}
  - {name: mute, silence: {after: 5m}}
```
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

import pyarrow as pa

from ingestion.definition_problems import described
from ingestion.duration import duration
from ingestion.errors import InvalidInput

Severity = Literal["info", "warning", "critical"]
Direction = Literal["any", "rise", "fall"]

MOST_RULES = 100
LONGEST_RUN = 1000
FORGET_AFTER = timedelta(days=30)
"""Event time after which a key that sent nothing more is no longer waited for, whatever the rule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """Fires where the column lies beyond a bound; ends where it is back within the clear bounds.

    low, high              None where there is no such bound; a value equal to a bound is within
    clear_low, clear_high  as low and high unless there is a hysteresis: then they lie further in
    """

    column: str
    low: float | None = None
    high: float | None = None
    clear_low: float | None = None
    clear_high: float | None = None

    def broken_bound(self, value: float) -> float | None:
        """The bound that the value lies beyond; None where it lies within."""
        if self.high is not None and value > self.high:
            return self.high
        return self.low if self.low is not None and value < self.low else None

    def is_clear(self, value: float) -> bool:
        return (self.clear_high is None or value <= self.clear_high) and (
            self.clear_low is None or value >= self.clear_low
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """Fires where the column changed by more than `change` between two windows of a key.

    within  the later one ends at most this long after the earlier one's end
    """

    column: str
    change: float
    within: timedelta
    direction: Direction = "any"


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """Fires where a key that has sent before has no window for longer than `after`; ends with its next window."""

    after: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertRule:
    """One rule on the windows of one stream.

    where        globs by column: a row is meant where each of the columns matches one of its globs
    for_windows  how many windows of a key in a row must be beyond before it fires; 1 for a silence
    """

    name: str
    condition: Threshold | Rate | Silence
    severity: Severity = "warning"
    description: str = ""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    for_windows: int = 1

    def concerns(self, row: Mapping[str, object]) -> bool:
        """Is the row of a key meant? A null matches nothing."""
        return all(
            isinstance(value := row.get(column), str) and any(fnmatchcase(value, glob) for glob in globs)
            for column, globs in self.where.items()
        )

    @property
    def columns(self) -> set[str]:
        """Of a window's row, what the rule looks at beside its key."""
        found = set(self.where)
        if not isinstance(self.condition, Silence):
            found.add(self.condition.column)
        return found

    @property
    def fingerprint(self) -> str:
        """Of what decides when it fires: a rule with another one begins anew."""
        decisive = repr((self.condition, sorted(self.where.items()), self.for_windows))
        return hashlib.sha256(decisive.encode()).hexdigest()[:16]


# --- from documents -------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KINDS = ("threshold", "rate", "silence")


def rules_of(document: object, columns: pa.Schema, *, path: str = "alerts") -> tuple[AlertRule, ...]:
    """The rules of a list; none of None.

    columns  of the table of windows that they are evaluated on
    path     of the list in its document, for errors: each names the field (`alerts[1].threshold.above: found …`)

    Raises InvalidInput.
    """
    if document is None:
        return ()
    if not isinstance(document, list):
        raise _wrong(path, document, "a list of rules")
    if len(document) > MOST_RULES:
        raise InvalidInput(f"{path}: found {len(document)} rules, at most {MOST_RULES} are allowed")
    rules: list[AlertRule] = []
    for number, entry in enumerate(document):
        rule = _rule(entry, f"{path}[{number}]", columns)
        if rule.name in {other.name for other in rules}:
            raise InvalidInput(f"{path}[{number}].name: an earlier rule is named '{rule.name}' too; take another name")
        rules.append(rule)
    return tuple(rules)


def _rule(entry: object, path: str, columns: pa.Schema) -> AlertRule:
    fields = _mapping(entry, path, ("name", "severity", "description", "where", "for", *_KINDS))
    name = fields.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(f"{path}.name", name, "a name: a small letter, then small letters, digits and underscores")
    severity = _choice(fields.get("severity", "warning"), f"{path}.severity", get_args(Severity))
    description = fields.get("description", "")
    if not isinstance(description, str):
        raise _wrong(f"{path}.description", description, "a text")
    kinds = [kind for kind in _KINDS if kind in fields]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        raise InvalidInput(f"{path}: found {found}, wanted exactly one of threshold, rate, silence")
    run = fields.get("for", 1)
    if not isinstance(run, int) or isinstance(run, bool) or not 1 <= run <= LONGEST_RUN:
        raise _wrong(f"{path}.for", run, f"a number of windows, 1 to {LONGEST_RUN}")
    if kinds == ["silence"] and "for" in fields:
        raise InvalidInput(f"{path}.for: a silence counts no windows; give the time in {path}.silence.after")
    where = f"{path}.{kinds[0]}"
    condition: Threshold | Rate | Silence
    if kinds == ["threshold"]:
        condition = _threshold(fields["threshold"], where, columns)
    elif kinds == ["rate"]:
        condition = _rate(fields["rate"], where, columns)
    else:
        condition = _silence(fields["silence"], where)
    return AlertRule(
        name=name,
        condition=condition,
        severity=severity,
        description=description.strip(),
        where=_where(fields.get("where"), f"{path}.where", columns),
        for_windows=int(run),
    )


def _threshold(entry: object, path: str, columns: pa.Schema) -> Threshold:
    fields = _mapping(entry, path, ("column", "above", "below", "outside", "clear"))
    column = _column(fields.get("column"), f"{path}.column", columns)
    given = [kind for kind in ("above", "below", "outside") if kind in fields]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise InvalidInput(f"{path}: found {found}, wanted exactly one of above, below, outside")
    low: float | None = None
    high: float | None = None
    if given == ["above"]:
        high = _number(fields["above"], f"{path}.above")
    elif given == ["below"]:
        low = _number(fields["below"], f"{path}.below")
    else:
        low, high = _pair(fields["outside"], f"{path}.outside")
    clear_low, clear_high = low, high
    if "clear" in fields:
        if given == ["outside"]:
            clear_low, clear_high = _pair(fields["clear"], f"{path}.clear")
        else:
            clear = _number(fields["clear"], f"{path}.clear")
            clear_low, clear_high = (None, clear) if low is None else (clear, None)
        if (high is not None and clear_high is not None and clear_high > high) or (
            low is not None and clear_low is not None and clear_low < low
        ):
            raise InvalidInput(f"{path}.clear: it lies beyond {path}.{given[0]}, and an alert could not stay")
    return Threshold(column=column, low=low, high=high, clear_low=clear_low, clear_high=clear_high)


def _rate(entry: object, path: str, columns: pa.Schema) -> Rate:
    fields = _mapping(entry, path, ("column", "change", "within", "direction"))
    change = _number(fields.get("change"), f"{path}.change")
    if change <= 0:
        raise _wrong(f"{path}.change", fields["change"], "a number above 0; the way is told by `direction`")
    return Rate(
        column=_column(fields.get("column"), f"{path}.column", columns),
        change=change,
        within=_duration(fields.get("within"), f"{path}.within"),
        direction=_choice(fields.get("direction", "any"), f"{path}.direction", get_args(Direction)),
    )


def _silence(entry: object, path: str) -> Silence:
    fields = _mapping(entry, path, ("after",))
    return Silence(after=_duration(fields.get("after"), f"{path}.after"))


def _where(entry: object, path: str, columns: pa.Schema) -> dict[str, tuple[str, ...]]:
    texts = [column.name for column in columns if pa.types.is_string(column.type)]
    found: dict[str, tuple[str, ...]] = {}
    for column, globs in _mapping({} if entry is None else entry, path, texts).items():
        listed = globs if isinstance(globs, list) else [globs]
        if not listed or not all(isinstance(glob, str) for glob in listed):
            raise _wrong(f"{path}.{column}", globs, "a text such as 'north-*', or a list of them")
        found[column] = tuple(str(glob) for glob in listed)
    return found


def _mapping(entry: object, path: str, allowed: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise _wrong(path, entry, f"a mapping with {', '.join(allowed)}")
    for key in entry:
        if key not in allowed:
            raise InvalidInput(f"{path}: found the key '{key}', allowed are {', '.join(allowed)}")
    return entry


def _column(name: object, path: str, columns: pa.Schema) -> str:
    numbers = [
        column.name for column in columns if pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    ]
    if not isinstance(name, str) or name not in numbers:
        raise _wrong(path, name, f"a column of numbers: {', '.join(numbers)}")
    return name


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(path, value, "a number")
    return float(value)


def _pair(value: object, path: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise _wrong(path, value, "two numbers: [lowest, highest]")
    low, high = _number(value[0], f"{path}[0]"), _number(value[1], f"{path}[1]")
    if low > high:
        raise InvalidInput(f"{path}: {value[0]} is greater than {value[1]}; wanted [lowest, highest]")
    return low, high


def _duration(value: object, path: str) -> timedelta:
    if not isinstance(value, str):
        raise _wrong(path, value, "a duration such as 90s, 15m, 6h")
    try:
        return duration(value)
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}") from None


def _choice(value: object, path: str, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise _wrong(path, value, f"one of {', '.join(allowed)}")
    return value


def _wrong(path: str, found: object, wanted: str) -> InvalidInput:
    return InvalidInput(f"{path}: found {described(found)}, wanted {wanted}")
