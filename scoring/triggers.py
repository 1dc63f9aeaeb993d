"""The two kinds of trigger: a cron expression, and a recurrence (every so often, at these times).

Both know their wall clock: `0 8 * * *` in Europe/Berlin is 8 o'clock there, summer and winter. Where the clock jumps
over a fire time it fires at the end of the gap; a time of day that comes twice fires the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from cronsim import CronSim, CronSimError

from scoring.errors import InvalidInput
from scoring.time_zones import instant_of, zone_of

WEEK_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Frequency(StrEnum):
    """`second` is tidemill's own; the others are Azure's."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_FIXED = {
    Frequency.SECOND: timedelta(seconds=1),
    Frequency.MINUTE: timedelta(minutes=1),
    Frequency.HOUR: timedelta(hours=1),
}


@dataclass(frozen=True, kw_only=True)
class CronTrigger:
    """Five fields: minutes, hours, days of the month, months, days of the week. All five count (Azure ignores two).

    start_time, end_time  fires only at or after the one, and at or before the other (UTC-aware)
    time_zone             IANA or Windows name of the clock that the expression means
    """

    expression: str
    start_time: datetime | None = None
    end_time: datetime | None = None
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        _check_bounds(self.start_time, self.end_time)
        zone_of(self.time_zone, place="trigger.time_zone")
        if len(self.expression.split()) != 5:
            raise InvalidInput(
                f"{self.expression!r} has {len(self.expression.split())} fields; a cron expression has 5: "
                "minutes hours days months days-of-week",
                place="trigger.expression",
            )
        try:
            CronSim(self.expression, datetime(2000, 1, 1, tzinfo=UTC))
        except (CronSimError, ValueError) as error:
            message = str(error) or "not a cron expression"
            raise InvalidInput(
                f"{self.expression!r}: {message[0].lower()}{message[1:]}; the fields are "
                "minutes hours days months days-of-week, e.g. '*/15 * * * *'",
                place="trigger.expression",
            ) from None

    def next_after(self, moment: datetime) -> datetime | None:
        after = moment
        if self.start_time is not None and moment < self.start_time:
            after = self.start_time - timedelta(microseconds=1)
        # a step back, so that the first of the two hours of a clock going back is not left out
        local = (after - timedelta(minutes=1)).astimezone(zone_of(self.time_zone))
        for found in CronSim(self.expression, local):
            fire: datetime = found.astimezone(UTC)
            if self.end_time is not None and fire > self.end_time:
                return None
            if fire > after:
                return fire
        return None


@dataclass(frozen=True, kw_only=True)
class RecurrencePattern:
    """At which times of its day, week or month a recurrence fires; an empty field follows the start time.

    week_days  0 is Monday
    """

    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    week_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, low, high in (("hours", 0, 23), ("minutes", 0, 59), ("week_days", 0, 6), ("month_days", 1, 31)):
            values = getattr(self, name)
            wrong = [value for value in values if not low <= value <= high]
            if wrong:
                raise InvalidInput(
                    f"{wrong[0]} is out of range; allowed are {low} to {high}", place=f"trigger.schedule.{name}"
                )
            object.__setattr__(self, name, tuple(sorted(set(values))))

    def __bool__(self) -> bool:
        return bool(self.hours or self.minutes or self.week_days or self.month_days)


@dataclass(frozen=True, kw_only=True)
class RecurrenceTrigger:
    """Every `interval` seconds, minutes, hours, days, weeks or months, counted from `start_time`, which is the first.

    Without a start time it counts from the Unix epoch, so `anchor` it when a schedule is created. Seconds, minutes and
    hours are lengths; days, weeks and months are wall-clock dates of `time_zone`.
    """

    frequency: Frequency
    interval: int
    pattern: RecurrencePattern = field(default_factory=RecurrencePattern)
    start_time: datetime | None = None
    end_time: datetime | None = None
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        _check_bounds(self.start_time, self.end_time)
        zone_of(self.time_zone, place="trigger.time_zone")
        if self.interval < 1:
            raise InvalidInput(f"{self.interval} is too small; allowed are 1 and more", place="trigger.interval")
        if self.pattern and self.frequency in _FIXED:
            raise InvalidInput(
                f"a recurrence by {self.frequency} has no times of its own; leave it out, or use day, week or month",
                place="trigger.schedule",
            )

    def next_after(self, moment: datetime) -> datetime | None:
        if self.frequency in _FIXED:
            fire: datetime | None = self._next_fixed(moment)
        else:
            fire = self._next_dated(moment)
        return None if fire is None or (self.end_time is not None and fire > self.end_time) else fire

    @property
    def _anchor(self) -> datetime:
        return self.start_time or datetime(1970, 1, 1, tzinfo=UTC)

    def _next_fixed(self, moment: datetime) -> datetime:
        step = _FIXED[self.frequency] * self.interval
        if moment < self._anchor:
            return self._anchor
        return self._anchor + step * ((moment - self._anchor) // step + 1)

    def _next_dated(self, moment: datetime) -> datetime | None:
        zone = zone_of(self.time_zone)
        after = max(moment, self._anchor - timedelta(microseconds=1))
        # two days back cover every difference between the zone's date and UTC's, and a gap's shift
        first = (after - timedelta(days=2)).astimezone(zone).date()
        anchor = self._anchor.astimezone(zone).replace(tzinfo=None)
        for day in self._days(max(first, anchor.date()), anchor.date()):
            fires = (instant_of(datetime.combine(day, at), zone) for at in self._times(anchor.time()))
            later = [fire for fire in fires if fire > after]
            if later:
                return min(later)
        return None  # such as the 30th of every twelfth month from February

    def _times(self, anchor: time) -> list[time]:
        if not self.pattern.hours and not self.pattern.minutes:
            return [anchor]
        hours = self.pattern.hours or (anchor.hour,)
        return [time(hour, minute) for hour in hours for minute in self.pattern.minutes or (0,)]

    def _days(self, first: date, anchor: date) -> Iterator[date]:
        """Days of the next 50 years, `first` included, that the recurrence falls on."""
        last = min(first.toordinal() + 50 * 366, date.max.toordinal() - 2)
        for ordinal in range(first.toordinal(), last):
            day = date.fromordinal(ordinal)
            if self._falls_on(day, anchor):
                yield day

    def _falls_on(self, day: date, anchor: date) -> bool:
        week_days, month_days = self.pattern.week_days, self.pattern.month_days
        if self.frequency is Frequency.DAY:
            periods = (day - anchor).days
        elif self.frequency is Frequency.WEEK:
            periods = (_monday(day) - _monday(anchor)).days // 7
            week_days = week_days or (anchor.weekday(),)
        else:
            periods = (day.year - anchor.year) * 12 + day.month - anchor.month
            if not week_days:
                month_days = month_days or (anchor.day,)
        if periods % self.interval:
            return False
        return (not week_days or day.weekday() in week_days) and (not month_days or day.day in month_days)


def anchored(trigger: CronTrigger | RecurrenceTrigger, now: datetime) -> CronTrigger | RecurrenceTrigger:
    """The trigger as a schedule created `now` keeps it: a recurrence without a start time begins now, as on Azure."""
    if isinstance(trigger, RecurrenceTrigger) and trigger.start_time is None:
        return replace(trigger, start_time=now)
    return trigger


@lru_cache(maxsize=64)
def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _check_bounds(start: datetime | None, end: datetime | None) -> None:
    for name, moment in (("start_time", start), ("end_time", end)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput(f"{moment.isoformat()} has no time zone", place=f"trigger.{name}")
    if start is not None and end is not None and end < start:
        raise InvalidInput(f"{end.isoformat()} is before start_time {start.isoformat()}", place="trigger.end_time")
