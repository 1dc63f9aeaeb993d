"""When readings may leave: by the speed of event time, by readings a second, and never ahead of the clock."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingestion.errors import InvalidInput


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """speed   seconds of event time a second; infinity is as fast as possible
    rate    readings a second at most; infinity is no limit"""

    speed: float = math.inf
    rate: float = math.inf

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise InvalidInput(f"speed: {self.speed} given; a number above 0, or max, is allowed")
        if not self.rate > 0:
            raise InvalidInput(f"rate: {self.rate} given; a number of readings a second above 0 is allowed")

    def slice_seconds(self, readings_a_second: float, longest: float) -> float:
        """Event time that may leave at once, so that no burst is longer than a second of wall-clock time."""
        by_rate = self.rate / readings_a_second if readings_a_second > 0 else math.inf
        return min(longest, self.speed, by_rate)


class Pacer:
    """Holds a sender back to its pace. `stop` ends every wait at once."""

    def __init__(self, pace: Pace, *, first_event: datetime, stop: threading.Event) -> None:
        self._pace = pace
        self._first_event = first_event
        self._stop = stop
        self._began = time.monotonic()

    def wait(self, last_event: datetime, readings_before: int) -> bool:
        """Wait until readings up to `last_event` may leave, `readings_before` having left. False: asked to stop.

        Whoever starts in the past catches up at its pace, then goes on with the clock: a reading from the future would
        be refused by the stream.
        """
        event_s = (last_event - self._first_event).total_seconds()
        due = self._began + max(event_s / self._pace.speed, readings_before / self._pace.rate)
        while not self._stop.is_set():
            ahead = timedelta(0)
            if self._first_event <= (now := datetime.now(UTC)):
                ahead = last_event - now
            left = max(due - time.monotonic(), ahead.total_seconds())
            if left <= 0:
                return True
            self._stop.wait(left)
        return False
