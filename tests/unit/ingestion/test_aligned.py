"""Windows that lie far apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from ingestion.aggregator import Aggregator
from ingestion.aligned import _Index
from ingestion.reading import Reading, to_record_batch
from ingestion.shape import WindowShape
from ingestion.window import HoppingWindow


def test_an_index_of_numbers_that_do_not_fit_into_one() -> None:
    index = _Index()
    key = np.array([5_000, 0, 5_000, 70_000], np.int64)
    number = np.array([-(2**52), 2**52, 7, -(2**52)], np.int64)
    index.add(key, number, np.arange(4))
    assert index.find(key, number).tolist() == [0, 1, 2, 3]
    assert index.find(key[::-1], number).tolist() == [3, -1, -1, 0]
    index.remove(np.array([1, 2]))
    assert index.find(key, number).tolist() == [0, -1, -1, 3]


def test_a_reading_late_for_some_of_its_windows_is_counted_in_the_others() -> None:
    window = HoppingWindow(size=timedelta(seconds=20), every=timedelta(seconds=10))
    aggregator = Aggregator(WindowShape(window=window), "t", 0)
    origin = datetime(2026, 3, 1, tzinfo=UTC)
    readings = [
        Reading(machine_id="m", sensor_id="m/s", event_time=origin + timedelta(seconds=t), value=1.0)
        for t in (15, 21, 16)
    ]
    folded = aggregator.fold(to_record_batch(readings), np.arange(3))
    # 16 lies in the windows from 0 and from 10; the first has closed at 20
    assert [(row["offset"], row["window_start"]) for row in folded.late.to_pylist()] == [(2, origin)]
    rows = [*folded.windows.to_pylist(), *aggregator.close_idle(["m"]).to_pylist()]
    starts = [(round((row["window_start"] - origin).total_seconds()), row["count"]) for row in rows]
    assert starts == [(0, 1), (10, 3), (20, 1)]
    assert (aggregator.counters.accepted, aggregator.counters.late) == (5, 1)
