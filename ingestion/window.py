"""Half-open windows [start, end) of event time, and the columns of a closed window's row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

WINDOW_SCHEMA = pa.schema(
    [
        pa.field("machine_id", pa.string(), nullable=False),
        pa.field("sensor_id", pa.string(), nullable=False),
        pa.field("window_start", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("window_end", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("unit", pa.string()),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("min", pa.float64(), nullable=False),
        pa.field("max", pa.float64(), nullable=False),
        pa.field("stddev", pa.float64()),  # of the sample (n - 1); null where count is 1
        pa.field("last", pa.float64(), nullable=False),
        pa.field("median", pa.float64(), nullable=False),
        pa.field("p95", pa.float64(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("first_offset", pa.int64(), nullable=False),
        pa.field("last_offset", pa.int64(), nullable=False),
        pa.field("revision", pa.int32()),  # 0 when the window closes; null in rows from before there were corrections
    ]
)
"""One row per (sensor_id, window_start, revision): written when the window closes, and anew for each correction.

The rows of a machine's window are written together: those of its greatest revision are the window. The offsets say
where a row came from.
"""

LATE_SCHEMA = pa.schema(
    [
        pa.field("machine_id", pa.string(), nullable=False),
        pa.field("sensor_id", pa.string(), nullable=False),
        pa.field("event_time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("unit", pa.string()),
        pa.field("sequence", pa.int64()),
        pa.field("window_start", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("watermark", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
"""Readings whose window could no longer be corrected when they came: kept, not counted into any window."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowSpec:
    """Tumbling windows aligned to the Unix epoch.

    size              length of a window; a whole number of microseconds
    allowed_lateness  how far event time may run ahead of a window's end before it closes: the watermark of a machine is
                      the greatest event time seen of it, less this
    correction_lateness  how far the watermark may run ahead of a closed window's end while its readings still correct
                         it; 0: a closed window never changes
    """

    size: timedelta
    allowed_lateness: timedelta = timedelta(0)
    correction_lateness: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.size <= timedelta(0):
            raise ValueError("a window's size must be positive")
        if self.allowed_lateness < timedelta(0):
            raise ValueError("allowed_lateness must not be negative")
        if self.correction_lateness < timedelta(0):
            raise ValueError("correction_lateness must not be negative")

    @property
    def size_us(self) -> int:
        return self.size // timedelta(microseconds=1)

    @property
    def allowed_lateness_us(self) -> int:
        return self.allowed_lateness // timedelta(microseconds=1)

    @property
    def correction_lateness_us(self) -> int:
        return self.correction_lateness // timedelta(microseconds=1)
