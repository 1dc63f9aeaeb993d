"""The lake's tables: names, places, columns. The contract between the two halves of tidemill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ingestion.alerts.alert import ALERT_SCHEMA
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA

DATE = pa.field("date", pa.date32(), nullable=False)
"""The partition column of every table: the UTC date of the row's event time."""

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("job_name", pa.string(), nullable=False),
        pa.field("endpoint_name", pa.string(), nullable=False),
        pa.field("deployment_name", pa.string(), nullable=False),
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("mini_batch", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),  # within the mini-batch; (job, mini_batch, row) is unique
        pa.field("machine_id", pa.string()),
        pa.field("window_start", pa.timestamp("us", tz="UTC")),
        pa.field("window_end", pa.timestamp("us", tz="UTC")),
        pa.field("source", pa.string()),  # `lake://windows@<from>..<to>` or the file's path
        pa.field("score", pa.float64()),
        pa.field("label", pa.string()),
        pa.field("details", pa.string()),  # every other column that the script returned, as a JSON object
        pa.field("scored_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row per prediction, the same in the lake and in Postgres. A script's columns of the same name fill it."""

FAULT_SCHEMA = pa.schema(
    [
        pa.field("fault_id", pa.string(), nullable=False),
        pa.field("machine_id", pa.string(), nullable=False),
        # cavitation, bearing_damage, wear, sensor_drift, sensor_stuck, …
        pa.field("kind", pa.string(), nullable=False),
        pa.field("sensor_id", pa.string()),  # null where the machine itself is at fault
        pa.field("starts_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("ends_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("severity", pa.float64(), nullable=False),  # 0 to 1, reached at the end of the episode
    ]
)
"""The simulator's ground truth: what was really wrong, and when."""

LETTER_DECISION_SCHEMA = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),  # the dead-letter topic
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("action", pa.string(), nullable=False),  # replay, discard
        pa.field("by", pa.string(), nullable=False),
        pa.field("why", pa.string()),
        pa.field("decided_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("target_partition", pa.int32()),  # of the readings topic, where it is replayed
        pa.field("key", pa.binary()),  # in place of the message's own
        pa.field("patch", pa.string()),  # a JSON merge patch
    ]
)
"""What was decided of a dead letter: one row a letter, and it stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeTable:
    """A Delta table of the lake: `<root>/<name>`, partitioned by `date`."""

    name: str
    schema: pa.Schema

    def path(self, root: Path) -> Path:
        return root / self.name


WINDOWS = LakeTable(name="windows", schema=WINDOW_SCHEMA.append(DATE))
LATE_READINGS = LakeTable(name="late_readings", schema=LATE_SCHEMA.append(DATE))
PREDICTIONS = LakeTable(name="predictions", schema=PREDICTION_SCHEMA.append(DATE))
FAULTS = LakeTable(name="faults", schema=FAULT_SCHEMA.append(DATE))
LETTER_DECISIONS = LakeTable(name="letter_decisions", schema=LETTER_DECISION_SCHEMA.append(DATE))
ALERTS = LakeTable(name="alerts", schema=ALERT_SCHEMA.append(DATE))

TABLES = {table.name: table for table in (WINDOWS, LATE_READINGS, PREDICTIONS, FAULTS, LETTER_DECISIONS, ALERTS)}
