"""Where a partition stands: its position and all that later readings still depend on. Values and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """What became of the partition's readings since its first: exact, as they are committed with the position.

    accepted      readings counted into a window
    late          readings written to `late_readings`
    duplicates    readings dropped because the same (sensor_id, event_time, sequence) was counted already
    windows       rows written to `windows`
    dead_letters  by reason: readings (a message that could not be decoded counts as one)
    """

    accepted: int = 0
    late: int = 0
    duplicates: int = 0
    windows: int = 0
    dead_letters: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted,
            "late": self.late,
            "duplicates": self.duplicates,
            "windows": self.windows,
            "dead_letters": dict(self.dead_letters),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One partition's progress, as pages and the API show it.

    next_offset     the first offset not yet folded
    watermark_min   the least and the greatest watermark over the machines; None before the first reading
    last_commit_at  wall-clock time of the commit
    machines        machines seen
    open_windows    windows (one per sensor) that have not closed
    """

    partition: int
    next_offset: int
    counters: Counters
    watermark_min: datetime | None
    watermark_max: datetime | None
    last_commit_at: datetime | None
    machines: int
    open_windows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One partition's committed position and its state (bytes that only the aggregator reads)."""

    partition: int
    next_offset: int
    state: bytes
