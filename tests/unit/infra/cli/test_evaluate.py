"""What `tidemill evaluate` prints of an evaluation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from infra.cli.evaluate import as_json, as_text
from scoring.evaluation import Episode, Evaluation, ScoredWindow, evaluate

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def found(flags: str = "..xxxx....x.", *episodes: Episode) -> Evaluation:
    windows = [
        ScoredWindow(machine_id="p1", start=T0 + i * MINUTE, end=T0 + (i + 1) * MINUTE, flagged=flag == "x")
        for i, flag in enumerate(flags)
    ]
    return evaluate(windows, episodes, persistence=3)


WEAR = Episode(fault_id="1", machine_id="p1", kind="wear", starts_at=T0 + MINUTE, ends_at=T0 + 7 * MINUTE)


def test_json_holds_plain_figures() -> None:
    figures = as_json(found("..xxxx....x.", WEAR))
    assert figures["precision"] == 0.8
    assert figures["recall"] == round(4 / 6, 4)
    assert (figures["episodes"], figures["episodes_detected"], figures["false_alarms"]) == (1, 1, 0)
    assert figures["median_delay_seconds"] == 240.0
    assert figures["median_lead_seconds"] == 120.0
    assert figures["kinds"] == [
        {
            "kind": "wear",
            "of": "machine",
            "episodes": 1,
            "detected": 1,
            "windows": 6,
            "flagged": 4,
            "median_delay_seconds": 240.0,
            "median_lead_seconds": 120.0,
        }
    ]


def test_text_says_what_was_divided() -> None:
    text = as_text(as_json(found("..xxxx....x.", WEAR)))
    assert "80.0% (4 of 5 flagged windows were faulty)" in text
    assert "66.7% (4 of 6 faulty windows were flagged)" in text
    assert "1 of 1 detected" in text
    assert "4min from an episode's start" in text


def test_nothing_to_divide_by_is_said_not_raised() -> None:
    figures = as_json(found("...."))
    assert (figures["precision"], figures["recall"], figures["median_lead_seconds"]) == (None, None, None)
    assert "- (no flagged windows were faulty)" in as_text(figures)
