from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infra.api.stream_look import StreamLook
from ingestion.checkpoint import Counters, Progress
from ingestion.errors import TryAgain

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def progress(partition: int, next_offset: int) -> Progress:
    return Progress(
        partition=partition,
        next_offset=next_offset,
        counters=Counters(accepted=7, late=2, duplicates=1, windows=3, dead_letters={"bad_json": 4, "nan": 1}),
        watermark_min=AT,
        watermark_max=AT,
        last_commit_at=AT,
        machines=2,
        open_windows=5,
    )


def test_lag_is_the_topics_end_less_the_commits_position() -> None:
    look = StreamLook(lambda: {0: progress(0, 10)}, lambda: {0: 15, 1: 3}, topic="t")
    answer = look()
    assert (answer["topic"], answer["state"], answer["lag"]) == ("t", "ok", 8)
    first, second = answer["partitions"]
    assert (first["next_offset"], first["end_offset"], first["lag"]) == (10, 15, 5)
    assert (first["accepted"], first["late"], first["duplicates"], first["dead_letters"]) == (7, 2, 1, 5)
    assert first["dead_letters_by_reason"] == {"bad_json": 4, "nan": 1}
    assert first["watermark"] == first["last_commit_at"] == "2026-01-02T03:04:05Z"
    # a partition without a commit has everything before it
    assert (second["next_offset"], second["lag"], second["accepted"]) == (None, 3, 0)


def test_a_broker_that_is_away_is_said_in_words() -> None:
    def away() -> Mapping[int, int]:
        raise TryAgain("kafka at x:1 gave no answer within 4 s")

    answer = StreamLook(lambda: {0: progress(0, 10)}, away, topic="t")()
    assert answer["state"] == "kafka at x:1 gave no answer within 4 s"
    assert answer["lag"] is None
    assert answer["partitions"][0]["next_offset"] == 10
    assert answer["partitions"][0]["lag"] is None


def test_open_letters_are_counted_where_there_are_letters() -> None:
    look = StreamLook(lambda: {0: progress(0, 10)}, lambda: {0: 15}, topic="t", open_letters=lambda: 3)
    assert look()["open_letters"] == 3
    none = StreamLook(dict, lambda: {0: 15}, topic="t", open_letters=lambda: 3)
    assert none()["open_letters"] == 0

    def away() -> int:
        raise TryAgain("no broker")

    look = StreamLook(lambda: {0: progress(0, 10)}, lambda: {0: 15}, topic="t", open_letters=away)
    assert (look()["open_letters"], look()["state"]) == (None, "ok")


def test_an_answer_is_good_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.api.stream_look._LOOK_AGAIN_SECONDS", 60.0)  # a moment of a machine that is busy
    asked = []

    def ends() -> Mapping[int, int]:
        asked.append(1)
        return {0: 1}

    look = StreamLook(dict, ends, topic="t")
    assert look() == look()
    assert len(asked) == 1


def test_how_soon_windows_are_readable_is_told_of_the_last_minutes() -> None:
    minute = int(time.time() // 60)
    old = replace(progress(0, 10), freshness={minute - 60: {50: 1000}})
    new = replace(progress(1, 10), freshness={minute: {48: 96, 90: 4}})
    told = StreamLook(lambda: {0: old, 1: new}, lambda: {0: 15}, topic="t")()["freshness"]
    assert (told["minutes"], told["windows"]) == (5, 100)
    assert 0.5 < told["p95_seconds"] < 1.5
    none = StreamLook(lambda: {0: old}, lambda: {0: 15}, topic="t")()["freshness"]
    assert (none["windows"], none["p95_seconds"]) == (0, None)


def test_all_streams_are_told_and_one_that_cannot_be_read_hides_nothing_else() -> None:
    rows = [{"name": "windows", "lag": 3}, {"name": "pumps", "lag": None}]
    assert StreamLook(dict, dict, topic="t", streams=lambda: rows)()["streams"] == rows

    def away() -> list[dict[str, object]]:
        raise TryAgain("the lake is away")

    answer = StreamLook(lambda: {0: progress(0, 10)}, lambda: {0: 15}, topic="t", streams=away)()
    assert (answer["streams"], answer["lag"]) == ([], 5)
