"""A stream declared in Python: a frozen value with the keys of the YAML document, and that document. Pure.

    from datetime import timedelta
    from ingestion.declaration import AggregateSpec, Stream, TumblingWindow

    flow = Stream(
        name="flow_minutes",
        filter="sensor_id like '%/flow'",
        window=TumblingWindow(size=timedelta(minutes=1)),
        aggregates=[AggregateSpec(column="mean", function="mean")],
    )

What is wrong with it is told when the document is read, as of a YAML file: nothing is judged here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ingestion.aggregates.spec import AggregateSpec
from ingestion.alerts.rules import AlertRule, Rate, Silence, Threshold
from ingestion.definition import ExtraField, StaticJoin
from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow, Window

__all__ = [
    "AggregateSpec",
    "AlertRule",
    "ExtraField",
    "HoppingWindow",
    "Rate",
    "SessionWindow",
    "Silence",
    "StaticJoin",
    "Stream",
    "Threshold",
    "TumblingWindow",
]

_MILLISECOND = timedelta(milliseconds=1)
_KINDS = {TumblingWindow: "tumbling", HoppingWindow: "hopping", SessionWindow: "session"}
_LENGTHS = ("size", "every", "gap", "max_size", "allowed_lateness", "correction_lateness")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """What a document of a stream says; every key of docs/streams.md has its field here.

    topic     default that of the readings
    fields    optional fields of messages
    table     of the lake; default the stream's name
    place     file and line of the declaration, for errors
    """

    name: str
    window: Window
    aggregates: Sequence[AggregateSpec]
    description: str = ""
    topic: str | None = None
    fields: Sequence[ExtraField] = ()
    joins: Sequence[StaticJoin] = ()
    filter: str | None = None
    derived: Mapping[str, str] = field(default_factory=dict)
    key: Sequence[str] | None = None
    table: str | None = None
    alerts: Sequence[AlertRule] = ()
    place: tuple[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        caller = sys._getframe(2)
        object.__setattr__(self, "place", (caller.f_code.co_filename, caller.f_lineno))


def document_of(stream: Stream) -> dict[str, Any]:
    """The document that defines the stream. Raises ValueError for what no document can say."""
    source = {
        "topic": stream.topic,
        "fields": _by_name("fields", [(one.name, one.type) for one in stream.fields]),
    }
    document = {
        "name": stream.name,
        "description": stream.description,
        "source": _given(source),
        "join": [{"table": one.table, "on": one.on, "columns": dict(one.columns)} for one in stream.joins],
        "filter": stream.filter,
        "derived": dict(stream.derived),
        "key": None if stream.key is None else list(stream.key),
        "window": _window(stream.window),
        "aggregates": _by_name("aggregates", [(one.column, _aggregate(one)) for one in stream.aggregates]),
        "sink": _given({"table": stream.table}),
        "alerts": [_rule(one) for one in stream.alerts],
    }
    needed = ("name", "window", "aggregates")
    return {key: value for key, value in document.items() if key in needed or value not in (None, "", [], {})}


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def _by_name(what: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{what}: '{name}' is declared twice; give each its own name")
        found[name] = value
    return found


def _aggregate(spec: AggregateSpec) -> Any:
    if spec.of == "value" and not spec.parameters:
        return spec.function
    return {"function": spec.function, "of": spec.of, **spec.parameters}


def _window(window: Window) -> dict[str, Any]:
    kind = _KINDS.get(type(window))
    if kind is None:
        raise ValueError(f"window: found {type(window).__name__}, wanted a Tumbling-, Hopping- or SessionWindow")
    lengths = {name: getattr(window, name, None) for name in _LENGTHS}
    return {"type": kind} | {name: _length(f"window.{name}", held) for name, held in lengths.items() if held}


def _length(what: str, length: timedelta) -> str:
    milliseconds, rest = divmod(length, _MILLISECOND)
    if rest:
        raise ValueError(f"{what}: {length} is no whole number of milliseconds")
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def _rule(rule: AlertRule) -> dict[str, Any]:
    told = _given({"name": rule.name, "severity": rule.severity, "description": rule.description})
    told |= _given({"where": {column: list(globs) for column, globs in rule.where.items()}})
    if rule.for_windows != 1:
        told["for"] = rule.for_windows
    match rule.condition:
        case Threshold() as found:
            told["threshold"] = _threshold(found)
        case Rate() as found:
            within = _length("alerts.rate.within", found.within)
            told["rate"] = {
                "column": found.column, "change": found.change, "within": within, "direction": found.direction
            }  # fmt: skip
        case Silence() as found:
            told["silence"] = {"after": _length("alerts.silence.after", found.after)}
    return told


def _threshold(found: Threshold) -> dict[str, Any]:
    told: dict[str, Any] = {"column": found.column}
    if found.low is not None and found.high is not None:
        told["outside"] = [found.low, found.high]
        if found.clear_low is not None and found.clear_high is not None:
            told["clear"] = [found.clear_low, found.clear_high]
        return told
    told |= _given({"above": found.high, "below": found.low})
    clear = found.clear_high if found.high is not None else found.clear_low
    return told | _given({"clear": clear})
