"""What the dashboard makes of the service's words, and what leaves as CSV."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from dashboard import data
from infra.api.stream_look import StreamLook
from ingestion.checkpoint import Counters, Progress
from ingestion.errors import TryAgain

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)


def progress(next_offset: int) -> Progress:
    counters = Counters(accepted=90, late=2, duplicates=1, windows=9, dead_letters={"invalid_json": 4, "not_finite": 3})
    return Progress(
        partition=0, next_offset=next_offset, counters=counters, watermark_min=NOW, watermark_max=NOW,
        last_commit_at=NOW, machines=1, open_windows=2,
    )  # fmt: skip


def test_the_services_own_answer_is_understood() -> None:
    answer = StreamLook(lambda: {0: progress(100)}, lambda: {0: 130, 1: 7}, topic="readings")()
    found = data.partitions_of(answer)
    assert list(found["lag"]) == [30, 7]
    assert list(found["dead_letters"]) == [7, 0]
    assert found["watermark"].iloc[0] == NOW
    assert found["watermark"].isna().iloc[1]
    assert data.reasons_of(answer) == {"invalid_json": 4, "not_finite": 3}
    assert data.LiveStream(partitions=found).total("lag") == 37


def test_a_broker_that_is_away_is_not_a_lag_of_zero() -> None:
    def away() -> dict[int, int]:
        raise TryAgain("the broker at b:9092 does not answer")

    answer = StreamLook(lambda: {0: progress(100)}, away, topic="readings")()
    live = data.LiveStream(partitions=data.partitions_of(answer))
    assert live.total("lag") is None
    assert live.total("accepted") == 90


def test_no_answer_is_no_partition() -> None:
    nothing = data.partitions_of({})
    assert list(nothing.columns) == list(data.PARTITION_COLUMNS)
    assert data.LiveStream(partitions=nothing).total("lag") is None


def test_speeds_come_from_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    history = data.StreamHistory()
    assert history.speeds() is None
    for seconds, consumed, end in ((0, 100, 200), (10, 300, 250), (20, 400, 400)):
        monkeypatch.setattr(data, "utc_now", lambda s=seconds: NOW + timedelta(seconds=s))
        history.add(
            data.partitions_of(StreamLook(lambda c=consumed: {0: progress(c)}, lambda e=end: {0: e}, topic="t")())
        )
    assert history.speeds() == (15.0, 10.0)
    assert history.speeds(timedelta(seconds=10)) == (10.0, 15.0)
    assert list(history.frame()["dead_letters"]) == [7, 7, 7]


def test_a_formula_leaves_as_text() -> None:
    frame = pd.DataFrame({"machine_id": ["=cmd()", "+1", "north-pump-01", None], "score": [1.5, -2.0, 3.0, 4.0]})
    lines = data.csv(frame).decode().splitlines()
    assert lines[1:] == ["'=cmd(),1.5", "'+1,-2.0", "north-pump-01,3.0", ",4.0"]


def test_streams_keep_the_services_order_and_what_is_not_known_is_missing() -> None:
    row = {"name": "windows", "state": "ready", "table": "windows", "rows": 3, "lag": None, "watermark": None}
    found = data.streams_of({"streams": [row, {"name": "another", "problem": "wrong"}]})
    assert list(found["name"]) == ["windows", "another"]
    assert pd.isna(found["lag"][0])
    assert found["rows"][0] == 3
    assert found["problem"][1] == "wrong"
    assert list(data.streams_of({}).columns) == list(data.STREAM_COLUMNS)
