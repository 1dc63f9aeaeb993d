"""What some rules tell of the plant's windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ingestion.alerts.evaluator import AlertedStream, Evaluator
from ingestion.alerts.ports import Kept
from ingestion.alerts.rules import rules_of
from ingestion.shape import BUILT_IN_KEY
from ingestion.window import WINDOW_SCHEMA
from storage.lake.alerts import LakeAlerts

RULES: list[dict[str, Any]] = [
    {
        "name": "bearing_hot",
        "severity": "critical",
        "where": {"sensor_id": "*/bearing_temperature"},
        "threshold": {"column": "mean", "above": 66, "clear": 64},
        "for": 3,
    },
    {
        "name": "flow_leaps",
        "where": {"sensor_id": "*/flow"},
        "rate": {"column": "mean", "change": 12, "within": "5m"},
    },
    {"name": "silent", "severity": "info", "silence": {"after": "20m"}},
]


def tell_alerts(lake: Path, windows: pd.DataFrame) -> None:
    """The rules on all windows, three hours at a time, into the table of alerts."""
    rules = rules_of(RULES, WINDOW_SCHEMA)
    evaluator = Evaluator(AlertedStream(name="windows", table="windows", key=BUILT_IN_KEY, rules=rules))
    store = LakeAlerts(lake, lake.parent / "stream-state", "windows")
    store.restore()
    number = 0
    for position, (_, part) in enumerate(windows.groupby(windows["window_start"].dt.floor("3h")), start=1):
        ended = part["window_end"].max().to_pydatetime()
        table = pa.Table.from_pandas(part[WINDOW_SCHEMA.names], schema=WINDOW_SCHEMA, preserve_index=False)
        told = evaluator.take(table, round(ended.timestamp() * 1e6))
        rows = [alert.row(number + index, ended) for index, alert in enumerate(told)]
        number += len(rows)
        store.commit(Kept(position=position, state=evaluator.save(), number=number, published=number), rows)
