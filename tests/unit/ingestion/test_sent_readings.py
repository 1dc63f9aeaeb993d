from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingestion.backfill.reads import Kept
from ingestion.codec import encode_batch, encode_reading
from ingestion.counted_letters import LetterId, replay_header
from ingestion.reading import Reading, to_record_batch
from ingestion.records import Message, Record
from ingestion.sent_readings import Sent, SentReadings
from ingestion.settings import StreamSettings, TopicSettings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MS = int(NOON.timestamp() * 1000)
SETTINGS = StreamSettings(topics=TopicSettings(readings="t", dead_letters="t-dead-letters"))


def reading(sequence: int | None, value: float = 1.0) -> Reading:
    return Reading(machine_id="m", sensor_id="m/a", event_time=NOON, value=value, sequence=sequence)


def identity(sequence: int) -> tuple[str, str, int, int]:
    return ("m", "m/a", MS * 1000, sequence)


@dataclass
class Past:
    records: Sequence[Message]
    begins: int = 0

    def kept(self) -> Mapping[int, Kept]:
        return {1: Kept(begin=0, end=len(self.records), first_at=NOON)}

    def offsets_at(self, moment: datetime) -> Mapping[int, int]:
        self.asked = moment
        return {1: next((r.offset for r in self.records if r.timestamp >= moment.timestamp() * 1000), 0)}

    def read(self, partition: int, begin: int, end: int) -> Iterator[Sequence[Record]]:
        self.begins = begin
        for record in self.records[begin:end]:
            yield [record]


def test_readings_that_count_are_found_and_refused_ones_are_not() -> None:
    single = encode_reading(reading(4))
    past = Past(
        [
            Message(0, MS - 3_600_000, b"m", single),  # the broker had it an hour before it was measured: refused
            Message(1, MS, b"other", single),  # another machine's key: refused
            Message(2, MS, b"m", single),
            Message(3, MS, b"m", encode_batch(to_record_batch([reading(5), reading(6, float("nan")), reading(None)]))),
            Message(4, MS, b"m", single, [replay_header("t-dead-letters", LetterId(0, 9))]),
            Message(5, MS, b"m", single, [replay_header("t-warm-dead-letters", LetterId(0, 9))]),  # another stream's
            Message(6, MS, b"m", b"{"),
        ]
    )
    found = SentReadings(past, SETTINGS, "t-dead-letters").find({1: [identity(n) for n in (4, 5, 6, 7)]})
    assert found == {
        identity(4): [Sent(1, 2, None), Sent(1, 4, LetterId(0, 9))],
        identity(5): [Sent(1, 3, None)],
    }
    assert past.begins == 1, "read from where the timestamps reach the reading's time, less the skew"
    assert past.asked == NOON - timedelta(minutes=5)


def test_a_time_that_no_message_can_have_is_not_looked_for() -> None:
    past = Past([])
    assert SentReadings(past, SETTINGS, "t-dead-letters").find({1: [("m", "m/a", -(2**55), 1)]}) == {}


def test_what_a_stream_refuses_does_not_count_there() -> None:
    past = Past([Message(0, MS, b"m", encode_reading(reading(4)))])
    refuses = SentReadings(
        past, SETTINGS, "t-warm-dead-letters", lambda partition, records, intake: type(intake)(
            readings=intake.readings.slice(0, 0), offsets=intake.offsets[:0], dead_letters=[]
        )
    )  # fmt: skip
    assert refuses.find({1: [identity(4)]}) == {}
