"""Plays a recording to a publisher, at the speed of its event times or as fast as possible."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.codec import EPOCH
from ingestion.encoding import Encoding
from ingestion.pacing import Pace, Pacer
from ingestion.ports import ReadingPublisher
from ingestion.recording import Recording


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplaySpec:
    """How a recording is played.

    longest_pause       gaps in the recording are waited for this long at most, in event time
    readings_a_message  at most, for the arrow encoding
    """

    pace: Pace = field(default_factory=Pace)
    longest_pause: timedelta = timedelta(minutes=5)
    encoding: Encoding = "arrow"
    readings_a_message: int = 600


@dataclass(slots=True)
class ReplayReport:
    """What has left so far."""

    readings: int = 0
    messages: int = 0
    seconds: float = 0.0
    reached: datetime | None = None
    is_stopped: bool = False


def play(
    recording: Recording,
    spec: ReplaySpec,
    publisher: ReadingPublisher,
    *,
    stop: threading.Event,
    progress: Callable[[ReplayReport], None] = lambda report: None,
) -> ReplayReport:
    """Publish all readings in order of event time, or until `stop` is set, then flush. Raises TryAgain."""
    began = time.monotonic()
    report = ReplayReport()
    table = recording.readings.combine_chunks()
    if table.num_rows == 0:
        return report
    batch = table.to_batches()[0]
    times_us = np.asarray(batch.column("event_time").cast(pa.int64()))
    paced_us = _without_long_pauses(times_us, spec.longest_pause)
    first = _moment(int(times_us[0]))
    pacer = Pacer(spec.pace, first_event=first, stop=stop)
    begin = 0
    while begin < len(times_us):
        end = _end_of_piece(paced_us, begin, spec)
        if not pacer.wait(_moment(int(paced_us[end - 1])), begin):
            report.is_stopped = True
            break
        piece = batch.slice(begin, end - begin)
        publisher.publish(piece, spec.encoding)
        report.readings = end
        report.messages += (
            len(piece) if spec.encoding == "json" else pc.count_distinct(piece.column("machine_id")).as_py()
        )
        report.reached = _moment(int(times_us[end - 1]))
        report.seconds = time.monotonic() - began
        progress(report)
        begin = end
    publisher.flush(timedelta(seconds=120))
    report.seconds = time.monotonic() - began
    return report


def _end_of_piece(paced_us: np.ndarray, begin: int, spec: ReplaySpec) -> int:
    """At most one message's readings, and at most a second of wall-clock time."""
    most = int(min(spec.readings_a_message, max(1.0, spec.pace.rate)))
    end = min(begin + most, len(paced_us))
    if spec.pace.speed < 1e9:
        limit_us = int(paced_us[begin]) + round(spec.pace.speed * 1e6)
        end = min(end, max(begin + 1, int(np.searchsorted(paced_us, limit_us, side="left"))))
    return end


def _without_long_pauses(times_us: np.ndarray, longest: timedelta) -> np.ndarray:
    steps = np.diff(times_us, prepend=times_us[0])
    paced: np.ndarray = times_us[0] + np.cumsum(np.minimum(steps, longest // timedelta(microseconds=1)))
    return paced


def _moment(time_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=time_us)
