"""Hand-made cases: every figure can be counted on the fingers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scoring.evaluation import Episode, Evaluation, ScoredWindow, evaluate

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(flags: str, *, machine: str = "p1", first: int = 0) -> list[ScoredWindow]:
    """One window a minute; `x` is flagged, `.` is not, a blank was not scored."""
    return [
        ScoredWindow(
            machine_id=machine, start=T0 + (first + i) * MINUTE, end=T0 + (first + i + 1) * MINUTE, flagged=c == "x"
        )
        for i, c in enumerate(flags)
        if c != " "
    ]


def episode(
    start: float, end: float, *, kind: str = "cavitation", machine: str = "p1", sensor: str | None = None
) -> Episode:
    return Episode(
        fault_id=f"{machine}-{kind}-{start}",
        machine_id=machine,
        kind=kind,
        sensor_id=sensor,
        starts_at=T0 + start * MINUTE,
        ends_at=T0 + end * MINUTE,
    )


def counts(found: Evaluation) -> tuple[int, int, int, int]:
    return found.true_positives, found.false_positives, found.false_negatives, found.true_negatives


def test_windows_are_counted_into_the_four_fields() -> None:
    #                        0123456789
    found = evaluate(row("x....xx.x."), [episode(4, 8)], persistence=2)
    assert counts(found) == (2, 2, 2, 4)
    assert found.precision == 0.5
    assert found.recall == 0.5
    assert found.windows == 10
    assert found.machine_days == pytest.approx(10 / 1440)


def test_detection_is_the_end_of_the_window_that_completes_the_alarm() -> None:
    #                        0123456789
    found = evaluate(row("...x.xxx.."), [episode(2, 9)], persistence=3)
    (outcome,) = found.outcomes
    assert outcome.detected_at == T0 + 8 * MINUTE
    assert outcome.delay == 6 * MINUTE
    assert outcome.lead == 1 * MINUTE
    assert (outcome.windows, outcome.flagged) == (7, 4)
    assert found.episode_recall == 1.0
    assert found.median_delay == 6 * MINUTE
    assert found.median_lead == 1 * MINUTE


def test_flagged_windows_before_the_episode_do_not_count_towards_its_detection() -> None:
    found = evaluate(row("xxxx......"), [episode(3, 9)], persistence=2)
    assert found.detected == 0
    assert found.outcomes[0].delay is None
    assert found.false_alarms == 0, "an alarm that runs into an episode is not about nothing"


def test_a_gap_breaks_the_row_of_flagged_windows() -> None:
    assert evaluate(row("xx x"), [episode(0, 4)], persistence=3).detected == 0
    assert evaluate(row("xxx "), [episode(0, 4)], persistence=3).detected == 1
    assert evaluate(row("xx x"), [], persistence=3).false_alarms == 0


def test_false_alarms_are_rows_of_flagged_windows_that_touch_nothing() -> None:
    #                        0123456789012
    found = evaluate(row("xx.xxx.xx...."), [episode(7, 9)], persistence=2)
    assert found.false_alarms == 2
    assert found.episode_precision == pytest.approx(1 / 3)


def test_half_a_window_in_an_episode_makes_it_faulty_less_leaves_it_out() -> None:
    faulty = evaluate(row("x"), [episode(0.5, 5)], persistence=1)
    assert counts(faulty) == (1, 0, 0, 0)
    left_out = evaluate(row("x"), [episode(0.6, 5)], persistence=1)
    assert counts(left_out) == (0, 0, 0, 0)
    assert left_out.skipped == 1


def test_windows_just_after_an_episode_settle() -> None:
    strict = evaluate(row("..xxxx...."), [episode(2, 4)], persistence=2)
    lenient = evaluate(row("..xxxx...."), [episode(2, 4)], persistence=2, settling=2 * MINUTE)
    assert (strict.precision, lenient.precision) == (0.5, 1.0)
    assert lenient.skipped == 2
    assert lenient.windows == 8


def test_machines_are_judged_apart() -> None:
    found = evaluate(
        [*row("xxx", machine="p2"), *row("...")], [episode(0, 3), episode(0, 3, machine="p3")], persistence=2
    )
    assert counts(found) == (0, 3, 3, 0)
    assert len(found.outcomes) == 1, "nobody scored p3: its episode says nothing about the model"
    assert found.false_alarms == 1


def test_the_last_prediction_of_a_window_counts() -> None:
    assert counts(evaluate([*row("x"), *row(".")], [], persistence=1)) == (0, 0, 0, 1)


def test_kinds_are_listed_apart() -> None:
    faults = [episode(0, 2, kind="wear"), episode(4, 6), episode(6, 8, kind="sensor_drift", sensor="p1/flow")]
    found = evaluate(row("xx......"), faults, persistence=2)
    kinds = found.by_kind()
    assert list(kinds) == ["cavitation", "sensor_drift", "wear"]
    assert [o.detected_at is not None for o in kinds["wear"]] == [True]
    assert kinds["sensor_drift"][0].episode.of == "sensor"


def test_nothing_to_compare_gives_no_ratio() -> None:
    found = evaluate([], [])
    assert (found.precision, found.recall, found.episode_recall, found.median_delay) == (None, None, None, None)


def test_persistence_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="persistence"):
        evaluate([], [], persistence=0)
