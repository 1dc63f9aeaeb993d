"""Plays a fleet to a publisher: slices, delivery faults, pace; ground truth first, and counts of all that left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pyarrow as pa

from ingestion.codec import to_microseconds
from ingestion.encoding import Encoding
from ingestion.json_batches import ENCODERS, encode_readings
from ingestion.pacing import Pace, Pacer
from ingestion.ports import ReadingPublisher
from ingestion.sensors.delivery import Delivery, DeliveryShares, Message
from ingestion.sensors.faults import FaultEpisode
from ingestion.sensors.fleet import Fleet, FleetReader, Slice
from ingestion.sensors.quantity import QUANTITIES

_TRUTH_AHEAD = timedelta(hours=24)
_LIVE_SLICE = timedelta(seconds=1)
_MOST_READINGS_A_SLICE = 500_000


class RawPublisher(ReadingPublisher, Protocol):
    """A publisher that also sends what is no reading."""

    def publish_raw(self, key: bytes | None, value: bytes) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulationSpec:
    """How a fleet is played.

    until           event time of the end, or None: until stopped
    readings_a_message  at most, for the arrow encoding
    """

    until: datetime | None
    pace: Pace = field(default_factory=Pace)
    encoding: Encoding = "arrow"
    readings_a_message: int = 600
    delivery: DeliveryShares = field(default_factory=DeliveryShares)


@dataclass(slots=True)
class SimulationReport:
    """What has left so far. `readings` were made by sensors; delivery faults may have lost or doubled some since."""

    readings: int = 0
    messages: int = 0
    seconds: float = 0.0
    reached: datetime | None = None
    faults: int = 0
    delivery: dict[str, int] = field(default_factory=dict)
    lost_readings: int = 0
    is_stopped: bool = False

    @property
    def rate(self) -> float:
        """Readings a second of wall-clock time."""
        return self.readings / self.seconds if self.seconds > 0 else 0.0


def play(
    fleet: Fleet,
    spec: SimulationSpec,
    publisher: RawPublisher,
    *,
    tell_truth: Callable[[Sequence[FaultEpisode]], object],
    stop: threading.Event,
    progress: Callable[[SimulationReport], None] = lambda report: None,
) -> SimulationReport:
    """Publish the fleet's readings until the end or until `stop` is set, then flush.

    `tell_truth` is given each fault episode before any reading of it leaves. Raises TryAgain as the publisher does.
    """
    began = time.monotonic()
    report = SimulationReport()
    delivery = Delivery(spec.delivery, seed=fleet.spec.seed)
    pacer = Pacer(spec.pace, first_event=fleet.starts_at, stop=stop)
    untold = sorted(fleet.episodes, key=lambda one: one.starts_at)
    reader = fleet.reader()
    while spec.until is None or reader.position < spec.until:
        length = _slice_length(fleet, spec, reader)
        piece = reader.next(length)
        told = [one for one in untold if spec.until is not None or one.starts_at < piece.end + _TRUTH_AHEAD]
        if told:
            tell_truth(told)
            report.faults += len(told)
            untold = untold[len(told) :]
        if not pacer.wait(piece.end, report.readings):
            report.is_stopped = True
            break
        report.messages += _send(piece, spec, delivery, publisher)
        report.readings += piece.readings
        report.reached = piece.end
        _update(report, delivery, began)
        progress(report)
    for message in delivery.drain():
        publisher.publish_raw(message.key, message.value)
        report.messages += 1
    publisher.flush(timedelta(seconds=120))
    _update(report, delivery, began)
    return report


def _slice_length(fleet: Fleet, spec: SimulationSpec, reader: FleetReader) -> timedelta:
    interval_s = fleet.spec.interval.total_seconds()
    a_second = len(fleet.machines) * len(QUANTITIES) / interval_s
    longest_s = max(1, spec.readings_a_message // len(QUANTITIES)) * interval_s
    longest_s = min(longest_s, max(interval_s, _MOST_READINGS_A_SLICE / a_second))
    length = timedelta(seconds=max(0.001, spec.pace.slice_seconds(a_second, longest_s)))
    behind = datetime.now(UTC) - reader.position
    if timedelta(0) < behind < length:
        length = max(min(length, behind), min(length, _LIVE_SLICE))
    if timedelta(0) >= behind:
        length = min(length, _LIVE_SLICE)
    if spec.until is not None:
        length = min(length, spec.until - reader.position)
    return length


def _send(piece: Slice, spec: SimulationSpec, delivery: Delivery, publisher: RawPublisher) -> int:
    if spec.delivery == DeliveryShares():
        batches = (piece.in_event_time(),) if spec.encoding == "json" else piece.batches
        for batch in batches:
            publisher.publish(batch, spec.encoding)
        return piece.readings if spec.encoding == "json" else len(piece.batches)
    sent = 0
    for message in _messages(piece, spec.encoding):
        for passed in delivery.pass_on(message):
            publisher.publish_raw(passed.key, passed.value)
            sent += 1
    return sent


def _messages(piece: Slice, encoding: Encoding) -> Iterator[Message]:
    if encoding == "json":
        batch = piece.in_event_time()
        times = batch.column("event_time").cast(pa.int64()).to_pylist()
        keys = batch.column("machine_id").to_pylist()
        for key, value, event_us in zip(keys, encode_readings(batch), times, strict=True):
            yield Message(key=key.encode(), value=value, event_us=event_us)
        return
    for batch in piece.batches:
        yield Message(
            key=batch.column("machine_id")[0].as_py().encode(),
            value=ENCODERS[encoding](batch),
            event_us=to_microseconds(batch.column("event_time")[-1].as_py()),
            readings=batch.num_rows,
        )


def _update(report: SimulationReport, delivery: Delivery, began: float) -> None:
    report.seconds = time.monotonic() - began
    report.delivery = dict(delivery.counts)
    report.lost_readings = delivery.lost_readings
