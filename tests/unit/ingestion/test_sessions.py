"""Sessions, one rule after another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ingestion.aggregates.spec import AggregateSpec
from ingestion.aggregator import Aggregator
from ingestion.reading import Reading, to_record_batch
from ingestion.shape import WindowShape
from ingestion.window import SessionWindow

ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)
SPECS = (AggregateSpec(column="n", function="count"), AggregateSpec(column="sum", function="sum"))

Session = tuple[int, int, int, int]
"""Seconds of start and end, count, revision."""


def sessions(
    *at: int | tuple[str, int], gap: int = 10, lateness: int = 0, correction: int = 0, longest: int | None = None
) -> tuple[list[Session], list[int]]:
    """Sessions of sensor `s` by readings in this order, each folded alone and all at once alike; and late readings."""
    window = SessionWindow(
        gap=timedelta(seconds=gap),
        max_size=None if longest is None else timedelta(seconds=longest),
        allowed_lateness=timedelta(seconds=lateness),
        correction_lateness=timedelta(seconds=correction),
    )
    named = [("s", one) if isinstance(one, int) else one for one in at]
    readings = [
        Reading(machine_id="m", sensor_id=sensor, event_time=ORIGIN + timedelta(seconds=t), value=t / 3)
        for sensor, t in named
    ]
    found = []
    for size in (1, len(readings)):
        aggregator = Aggregator(WindowShape(window=window, aggregates=SPECS), "t", 0)
        rows, late = [], []
        for begin in range(0, len(readings), size):
            offsets = np.arange(begin, min(begin + size, len(readings)))
            folded = aggregator.fold(to_record_batch(readings[begin : begin + size]), offsets)
            rows += folded.windows.to_pylist()
            late += folded.late["offset"].to_pylist()
        rows += aggregator.close_idle(aggregator.machines_with_open_windows()).to_pylist()
        seconds = [
            (
                round((row["window_start"] - ORIGIN).total_seconds()),
                round((row["window_end"] - ORIGIN).total_seconds()),
                row["n"],
                row["revision"],
            )
            for row in rows
            if row["sensor_id"] == "s"
        ]
        found.append((sorted(seconds), late))
    assert found[0] == found[1]
    return found[0]


def test_readings_apart_by_less_than_the_gap_are_one_session() -> None:
    assert sessions(0, 9, 18, 28) == ([(0, 28, 3, 0), (28, 38, 1, 0)], [])


def test_a_reading_bridges_two_open_sessions() -> None:
    assert sessions(0, 15, 8, lateness=30) == ([(0, 25, 3, 0)], [])
    assert sessions(0, 15, lateness=30) == ([(0, 10, 1, 0), (15, 25, 1, 0)], [])


def test_a_reading_before_an_open_session_begins_it_earlier() -> None:
    assert sessions(10, 3, 12) == ([(3, 22, 3, 0)], [])


def test_a_late_reading_whose_session_is_open_is_counted() -> None:
    # the watermark is far ahead of 2 + gap, but the session is open yet
    assert sessions(0, 5, 11, 20, 2, lateness=5)[1] == []


def test_a_session_closes_by_the_clock_of_its_machine() -> None:
    assert sessions(0, ("other", 10), 5) == ([(0, 10, 1, 0)], [2])
    assert sessions(0, ("other", 9), 5) == ([(0, 15, 2, 0)], [])


def test_what_began_before_a_closed_session_is_late() -> None:
    assert sessions(0, 12, 9, 13) == ([(0, 10, 1, 0), (12, 23, 2, 0)], [2])


def test_a_correction_may_move_the_end_and_not_the_start() -> None:
    assert sessions(0, 12, 9, 40, correction=60)[0] == [
        (0, 10, 1, 0), (0, 19, 2, 1), (12, 22, 1, 0), (40, 50, 1, 0),
    ]  # fmt: skip
    assert sessions(20, 60, 15, 99, correction=99)[0][:2] == [(15, 25, 1, 0), (20, 30, 1, 0)]


def test_bridged_sessions_know_each_others_repeats() -> None:
    window = SessionWindow(gap=timedelta(seconds=10), allowed_lateness=timedelta(seconds=30))
    aggregator = Aggregator(WindowShape(window=window, aggregates=SPECS), "t", 0)
    for offset, second in enumerate((0, 15, 8, 15, 0, 8)):
        moment = ORIGIN + timedelta(seconds=second)
        reading = Reading(machine_id="m", sensor_id="s", event_time=moment, value=1.0, sequence=second)
        aggregator.fold(to_record_batch([reading]), np.array([offset]))
    assert aggregator.close_idle(["m"])["n"].to_pylist() == [3]
    assert aggregator.counters.duplicates == 3


def test_no_session_is_longer_than_the_greatest_size() -> None:
    assert sessions(*range(0, 40, 5), longest=12)[0] == [(0, 12, 3, 0), (15, 27, 3, 0), (30, 42, 2, 0)]
    assert sessions(0, 14, 7, lateness=50, longest=12)[0] == [(0, 12, 2, 0), (14, 24, 1, 0)]


@pytest.mark.parametrize("gap", [1, 3])
def test_many_keys_of_one_poll(gap: int) -> None:
    at = [(sensor, t) for t in range(20) for sensor in ("s", "r", "q")]
    assert sessions(*at, gap=gap)[0] == ([(0, 22, 20, 0)] if gap == 3 else [(t, t + 1, 1, 0) for t in range(20)])
