"""When a schedule fires, on both sides of a clock change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest

from scoring.errors import InvalidInput
from scoring.schedule import first_fire
from scoring.triggers import CronTrigger, Frequency, RecurrencePattern, RecurrenceTrigger, anchored


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(trigger: CronTrigger | RecurrenceTrigger, after: str, number: int) -> list[str]:
    def following():  # type: ignore[no-untyped-def]
        moment = at(after)
        while (found := trigger.next_after(moment)) is not None:
            yield f"{found:%Y-%m-%d %H:%M}"
            moment = found

    return list(islice(following(), number))


def test_cron_every_quarter_of_an_hour() -> None:
    trigger = CronTrigger(expression="*/15 * * * *")
    assert fires(trigger, "2026-01-01 00:00", 3) == ["2026-01-01 00:15", "2026-01-01 00:30", "2026-01-01 00:45"]


def test_cron_is_strictly_after_to_the_microsecond() -> None:
    trigger = CronTrigger(expression="*/15 * * * *")
    assert trigger.next_after(at("2026-01-01 00:15")) == at("2026-01-01 00:30")
    assert trigger.next_after(at("2026-01-01 00:15") - timedelta(microseconds=1)) == at("2026-01-01 00:15")


def test_cron_keeps_its_wall_clock_over_summer_time() -> None:
    trigger = CronTrigger(expression="0 8 * * *", time_zone="Europe/Berlin")
    assert fires(trigger, "2026-03-28 00:00", 2) == ["2026-03-28 07:00", "2026-03-29 06:00"]
    assert fires(trigger, "2026-10-24 00:00", 2) == ["2026-10-24 06:00", "2026-10-25 07:00"]


def test_cron_in_the_hour_that_never_comes_fires_at_the_end_of_the_gap() -> None:
    trigger = CronTrigger(expression="30 2 * * *", time_zone="Europe/Berlin")
    assert fires(trigger, "2026-03-28 12:00", 2) == ["2026-03-29 01:00", "2026-03-30 00:30"]


def test_cron_in_the_hour_that_comes_twice_fires_once() -> None:
    trigger = CronTrigger(expression="30 2 * * *", time_zone="Europe/Berlin")
    assert fires(trigger, "2026-10-24 12:00", 2) == ["2026-10-25 00:30", "2026-10-26 01:30"]
    # asked between the two: it has fired already
    assert fires(trigger, "2026-10-25 01:10", 1) == ["2026-10-26 01:30"]


def test_a_steady_cron_goes_on_steadily_through_both_changes() -> None:
    trigger = CronTrigger(expression="*/30 * * * *", time_zone="America/New_York")
    for start in ("2026-03-08 05:00", "2026-11-01 04:00"):
        found = [datetime.strptime(text, "%Y-%m-%d %H:%M") for text in fires(trigger, start, 10)]
        assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=30)}


def test_cron_between_its_bounds() -> None:
    trigger = CronTrigger(expression="0 * * * *", start_time=at("2026-01-01 10:00"), end_time=at("2026-01-01 12:00"))
    assert fires(trigger, "2020-01-01 00:00", 9) == ["2026-01-01 10:00", "2026-01-01 11:00", "2026-01-01 12:00"]


def test_days_and_months_of_a_cron_expression_count() -> None:
    trigger = CronTrigger(expression="0 0 1 7 *")
    assert fires(trigger, "2026-01-01 00:00", 2) == ["2026-07-01 00:00", "2027-07-01 00:00"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("* * * *", "has 4 fields; a cron expression has 5"),
        ("0 * * * * *", "has 6 fields"),
        ("61 * * * *", "bad minute"),
        ("* * 30 2 *", "bad day-of-month"),
        ("a b c d e", "bad minute"),
    ],
)
def test_a_wrong_cron_expression_is_refused_by_its_field(expression: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=r"trigger\.expression: .*" + told):
        CronTrigger(expression=expression)


def test_recurrence_by_length_counts_from_its_start() -> None:
    trigger = RecurrenceTrigger(frequency=Frequency.SECOND, interval=20, start_time=at("2026-01-01 00:00:05"))
    moment = at("2026-01-01 00:00:00")
    found = []
    for _ in range(3):
        moment = trigger.next_after(moment)  # type: ignore[assignment]
        found.append(moment.second)
    assert found == [5, 25, 45]


def test_recurrence_after_a_long_absence_is_found_at_once() -> None:
    trigger = RecurrenceTrigger(frequency=Frequency.SECOND, interval=1, start_time=at("1990-01-01 00:00"))
    assert trigger.next_after(at("2026-01-01 00:00")) == at("2026-01-01 00:00:01")


def test_a_recurrence_without_a_start_fires_when_it_is_created() -> None:
    now = at("2026-01-01 10:07")
    trigger = anchored(RecurrenceTrigger(frequency=Frequency.HOUR, interval=2), now)
    assert first_fire(trigger, now) == now
    assert trigger.next_after(now) == at("2026-01-01 12:07")
    started = RecurrenceTrigger(frequency=Frequency.HOUR, interval=2, start_time=at("2030-01-01 00:00"))
    assert anchored(started, now) is started


def test_every_second_week_on_two_days_at_two_times() -> None:
    trigger = RecurrenceTrigger(
        frequency=Frequency.WEEK,
        interval=2,
        pattern=RecurrencePattern(hours=(9, 8), minutes=(30,), week_days=(4, 0)),
        start_time=at("2026-03-02 00:00"),
        time_zone="W. Europe Standard Time",
    )
    assert fires(trigger, "2026-03-15 00:00", 6) == [
        "2026-03-16 07:30",
        "2026-03-16 08:30",
        "2026-03-20 07:30",
        "2026-03-20 08:30",
        "2026-03-30 06:30",  # summer time has come
        "2026-03-30 07:30",
    ]


def test_monthly_on_a_day_that_not_every_month_has() -> None:
    trigger = RecurrenceTrigger(
        frequency=Frequency.MONTH,
        interval=1,
        pattern=RecurrencePattern(month_days=(31,), hours=(6,)),
        start_time=at("2026-01-01 00:00"),
    )
    assert fires(trigger, "2026-01-01 00:00", 3) == ["2026-01-31 06:00", "2026-03-31 06:00", "2026-05-31 06:00"]


def test_a_recurrence_that_can_never_be_ends_the_search() -> None:
    trigger = RecurrenceTrigger(
        frequency=Frequency.MONTH,
        interval=12,
        pattern=RecurrencePattern(month_days=(30,)),
        start_time=at("2026-02-01 00:00"),
    )
    assert trigger.next_after(at("2026-02-01 00:00")) is None


def test_without_a_pattern_days_keep_the_time_of_the_start() -> None:
    trigger = RecurrenceTrigger(
        frequency=Frequency.DAY, interval=1, start_time=at("2026-03-27 22:45"), time_zone="Europe/Berlin"
    )
    assert fires(trigger, "2026-03-27 00:00", 3) == ["2026-03-27 22:45", "2026-03-28 22:45", "2026-03-29 21:45"]


def test_two_times_in_one_gap_are_one_fire() -> None:
    trigger = RecurrenceTrigger(
        frequency=Frequency.DAY,
        interval=1,
        pattern=RecurrencePattern(hours=(2,), minutes=(15, 45)),
        start_time=at("2026-03-01 00:00"),
        time_zone="Europe/Berlin",
    )
    assert fires(trigger, "2026-03-28 12:00", 2) == ["2026-03-29 01:00", "2026-03-30 00:15"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: RecurrenceTrigger(frequency=Frequency.DAY, interval=0), r"trigger\.interval: 0 is too small"),
        (lambda: RecurrencePattern(hours=(24,)), r"trigger\.schedule\.hours: 24 is out of range; allowed are 0 to 23"),
        (lambda: RecurrencePattern(month_days=(0,)), r"trigger\.schedule\.month_days: 0 is out of range"),
        (
            lambda: RecurrenceTrigger(frequency=Frequency.HOUR, interval=1, pattern=RecurrencePattern(minutes=(5,))),
            r"trigger\.schedule: a recurrence by hour has no times of its own",
        ),
        (lambda: CronTrigger(expression="* * * * *", time_zone="Mars/Base"), r"trigger\.time_zone: 'Mars/Base'"),
        (lambda: CronTrigger(expression="* * * * *", time_zone="../etc"), r"trigger\.time_zone"),
        (
            lambda: CronTrigger(
                expression="* * * * *", start_time=at("2026-01-02 00:00"), end_time=at("2026-01-01 00:00")
            ),
            r"trigger\.end_time: .* is before start_time",
        ),
        (lambda: CronTrigger(expression="* * * * *", start_time=datetime(2026, 1, 1)), r"trigger\.start_time: .*zone"),
    ],
)
def test_wrong_triggers_are_refused_with_the_fields_path(make, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=told):
        make()
