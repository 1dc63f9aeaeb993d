"""One row of an alert: what was said of it, and when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from ingestion.checkpoint import from_microseconds

AlertState = Literal["firing", "resolved"]

Cause = Literal["window", "progress", "clock", "correction", "rule", "forgotten"]
"""What decided: a window, the progress of others (silence), the clock (all are silent), a correction of a window that
was judged before, a change of the rules, a key that sent nothing for a month."""

ALERT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("change", pa.int32(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),  # of the stream's rows, from 0, without gaps
        pa.field("stream", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("machine_id", pa.string()),
        pa.field("sensor_id", pa.string()),
        pa.field("key", pa.string(), nullable=False),  # every column of the key, as a JSON object
        pa.field("window_start", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("window_end", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("bound", pa.float64()),  # that was crossed; a change; seconds of silence
        pa.field("message", pa.string(), nullable=False),
        pa.field("raised_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("committed_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row per (id, change): `firing` when it begins, `resolved` when it ends. The row of the greatest change counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One row, before it is committed. Times in microseconds since 1970.

    key           the key's columns, in the stream's order
    window_start  of the window that decided; of a silence that begins, the last one
    raised_us     event time of the decision
    """

    stream: str
    rule: str
    severity: str
    state: AlertState
    cause: Cause
    key: Mapping[str, str | None]
    first_us: int
    change: int
    window_start: int
    window_end: int
    revision: int
    value: float | None
    bound: float | None
    message: str
    raised_us: int

    @property
    def id(self) -> str:
        """The same for all rows of an alert: of its stream, rule, key and first window."""
        named = json.dumps([self.stream, self.rule, list(self.key.items()), self.first_us])
        return hashlib.sha256(named.encode()).hexdigest()[:20]

    def row(self, number: int, committed_at: datetime) -> dict[str, Any]:
        """As ALERT_SCHEMA has it."""
        return {
            "id": self.id,
            "change": self.change,
            "number": number,
            "stream": self.stream,
            "rule": self.rule,
            "severity": self.severity,
            "state": self.state,
            "cause": self.cause,
            "machine_id": self.key.get("machine_id"),
            "sensor_id": self.key.get("sensor_id"),
            "key": json.dumps(dict(self.key), ensure_ascii=False),
            "window_start": from_microseconds(self.window_start),
            "window_end": from_microseconds(self.window_end),
            "revision": self.revision,
            "value": self.value,
            "bound": self.bound,
            "message": self.message,
            "raised_at": from_microseconds(self.raised_us),
            "committed_at": committed_at,
        }


def in_order(alerts: Sequence[Alert]) -> list[Alert]:
    """As they are numbered: by the event time of the decision."""
    return sorted(alerts, key=lambda a: (a.raised_us, a.rule, [value or "" for value in a.key.values()], a.change))
