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

_MICROSECOND = timedelta(microseconds=1)
MOST_OVERLAP = 1000
"""Hopping windows that a reading may lie in."""

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
class _Lateness:
    """How long windows wait, and how long they can be corrected.

    allowed_lateness  how far event time may run ahead of a window's end before it closes: the watermark of a machine is
                      the greatest event time seen of it, less this
    correction_lateness  how far the watermark may run ahead of a closed window's end while its readings still correct
                         it; 0: a closed window never changes
    """

    allowed_lateness: timedelta = timedelta(0)
    correction_lateness: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.allowed_lateness < timedelta(0):
            raise ValueError("allowed_lateness must not be negative")
        if self.correction_lateness < timedelta(0):
            raise ValueError("correction_lateness must not be negative")

    @property
    def allowed_lateness_us(self) -> int:
        return self.allowed_lateness // _MICROSECOND

    @property
    def correction_lateness_us(self) -> int:
        return self.correction_lateness // _MICROSECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class TumblingWindow(_Lateness):
    """Windows side by side, aligned to the Unix epoch: a reading lies in one.

    size  length of a window; a whole number of microseconds
    """

    size: timedelta

    def __post_init__(self) -> None:
        _Lateness.__post_init__(self)
        if self.size <= timedelta(0):
            raise ValueError("a window's size must be positive")

    @property
    def size_us(self) -> int:
        return self.size // _MICROSECOND

    @property
    def every_us(self) -> int:
        return self.size_us

    @property
    def fingerprint(self) -> str:
        """What must not change while windows are open, as `described` reads it."""
        return f"tumbling {self.size_us}"


@dataclass(frozen=True, kw_only=True, slots=True)
class HoppingWindow(_Lateness):
    """Windows of one size that begin every so often, aligned to the Unix epoch: a reading lies in size / every of them.

    Each window stands for itself: a reading may be in time for one of its windows and late for another. The counters
    of the stream count a reading once for each of its windows.

    size   length of a window
    every  from one window's start to the next one's; the size is a whole multiple of it, at most MOST_OVERLAP
    """

    size: timedelta
    every: timedelta

    def __post_init__(self) -> None:
        _Lateness.__post_init__(self)
        if self.every <= timedelta(0):
            raise ValueError("every must be positive")
        if self.size < self.every or self.size % self.every:
            raise ValueError(
                f"size must be a whole multiple of every, {self.size.total_seconds():g} s is none of "
                f"{self.every.total_seconds():g} s"
            )
        if self.size // self.every > MOST_OVERLAP:
            raise ValueError(
                f"a reading would lie in {self.size // self.every} windows, at most {MOST_OVERLAP} are allowed; "
                "make every longer"
            )

    @property
    def size_us(self) -> int:
        return self.size // _MICROSECOND

    @property
    def every_us(self) -> int:
        return self.every // _MICROSECOND

    @property
    def fingerprint(self) -> str:
        """What must not change while windows are open, as `described` reads it."""
        return f"hopping {self.size_us} {self.every_us}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionWindow(_Lateness):
    """Readings of one key that follow each other by less than the gap: [first reading, last reading + gap).

    A reading that bridges two open sessions makes them one. A session closes when its machine's watermark passes its
    end. Corrected is a closed session by readings that lie in it, which may move its end; its start is its name
    and stays. What would begin before a closed session, or join it with another, is a session of its own, or late.

    gap       how long a key must be silent for its session to end
    max_size  a session holds readings from less than this after its first, then another begins; None: it may last for
              ever, and its state grows as long: by sequence numbers, and by the readings of a time-weighted mean
    """

    gap: timedelta
    max_size: timedelta | None = None

    def __post_init__(self) -> None:
        _Lateness.__post_init__(self)
        if self.gap <= timedelta(0):
            raise ValueError("gap must be positive")
        if self.max_size is not None and self.max_size < self.gap:
            raise ValueError("max_size must not be shorter than the gap")

    @property
    def gap_us(self) -> int:
        return self.gap // _MICROSECOND

    @property
    def max_size_us(self) -> int | None:
        return None if self.max_size is None else self.max_size // _MICROSECOND

    @property
    def fingerprint(self) -> str:
        """What must not change while windows are open, as `described` reads it."""
        return f"session {self.gap_us} {self.max_size_us or 0}"


Window = TumblingWindow | HoppingWindow | SessionWindow


def described(fingerprint: str) -> str:
    """A window's fingerprint for people."""
    name, *lengths = fingerprint.split()
    first, *rest = [f"{int(length) / 1e6:g} s" for length in lengths]
    if name == "tumbling":
        return f"windows of {first}"
    if name == "hopping":
        return f"windows of {first} every {rest[0]}"
    return f"sessions with a gap of {first}" + ("" if lengths[1] == "0" else f" of less than {rest[0]}")
