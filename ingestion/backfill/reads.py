"""Which messages of a partition a backfill has to fold, and from where on its rows are those of the live stream. Pure.

A reading further ahead of its record's timestamp than the allowed skew is refused. So what lies before the first record
of `since` less that skew holds no reading of the range, nor one that could have moved a machine's watermark into it:
the fold may begin there with nothing, and its rows are the same as if it had begun with the topic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ingestion.errors import InvalidInput
from ingestion.records import Record

NEVER = datetime.max.replace(tzinfo=UTC)
"""Identical from never on: the partition has no message any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRange:
    """Windows that begin at `since` or later, and before `until`."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        for name, moment in (("from", self.since), ("to", self.until)):
            if moment.utcoffset() is None:
                raise InvalidInput(f"{name} {moment} has no time zone; add Z for UTC, or an offset like +02:00")
        if self.since >= self.until:
            raise InvalidInput(
                f"from {self.since.isoformat()} is not before to {self.until.isoformat()}; give a range of time"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What the broker has of a partition.

    begin, end  the first offset that is kept, and the next to be written
    first_at    the broker's timestamp of the first message that is kept; None where there is none
    """

    begin: int
    end: int
    first_at: datetime | None


class History(Protocol):
    """Messages of the past, by partition."""

    def kept(self) -> Mapping[int, Kept]:
        """What there is now. Raises TryAgain, InvalidInput."""

    def offsets_at(self, moment: datetime) -> Mapping[int, int]:
        """Of each partition the first offset whose timestamp is at `moment` or later; its end where there is none."""

    def read(self, partition: int, begin: int, end: int) -> Iterator[Sequence[Record]]:
        """The messages from `begin` up to but not `end`, in offset order. Raises TryAgain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """Messages of one partition to fold.

    begin, end      offsets
    identical_from  windows that begin here or later are those that the live stream makes; of earlier ones messages are
                    missing
    messages        call it to read them
    """

    partition: int
    begin: int
    end: int
    identical_from: datetime
    messages: Callable[[], Iterator[Sequence[Record]]]


def begin_of(span: EventRange, *, max_future_skew: timedelta, reach: timedelta = timedelta(0)) -> datetime:
    """The broker's timestamp from which on messages are needed.

    reach  how far before its own begin a window depends on readings: sessions on all of them, others on none
    """
    return span.since - reach - max_future_skew


def identical_from(
    span: EventRange, kept: Kept, needed_from: datetime, *, max_future_skew: timedelta, reach: timedelta = timedelta(0)
) -> datetime:
    """From where on a partition's windows are complete: `span.since`, unless messages that were needed are deleted."""
    if kept.begin == 0:
        return span.since
    if kept.first_at is None:
        return NEVER
    if kept.first_at < needed_from:
        return span.since
    # the deleted ones came before the first that is kept, so they held no reading beyond this
    return max(span.since, kept.first_at + max_future_skew + reach)


def reads_of(
    history: History,
    span: EventRange,
    *,
    ends: Mapping[int, int] | None = None,
    max_future_skew: timedelta,
    reach: timedelta = timedelta(0),
) -> list[Read]:
    """What has to be read of every partition.

    ends  up to which offset, by partition; None: all that is there. A partition that is not named is not read.

    Raises InvalidInput where the topic ends before one of `ends`, TryAgain where the broker is away.
    """
    needed_from = begin_of(span, max_future_skew=max_future_skew, reach=reach)
    found = history.kept()
    begins = history.offsets_at(needed_from)
    reads = []
    for partition, kept in sorted(found.items()):
        end = kept.end if ends is None else ends.get(partition)
        if end is None:
            continue
        if end > kept.end:
            raise InvalidInput(
                f"partition {partition} ends at {kept.end}, but the lake stands at {end}: the topic was deleted or "
                "restored; backfill from recorded files (--recordings)"
            )
        begin = min(max(begins[partition], kept.begin), end)
        reads.append(
            Read(
                partition=partition,
                begin=begin,
                end=end,
                identical_from=identical_from(span, kept, needed_from, max_future_skew=max_future_skew, reach=reach),
                messages=lambda p=partition, b=begin, e=end: history.read(p, b, e),  # type: ignore[misc]
            )
        )
    return reads
