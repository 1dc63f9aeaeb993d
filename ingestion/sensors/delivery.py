"""What happens to messages on their way: late, out of order, duplicated, dropped, corrupt. By seed, and counted."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np

from ingestion.errors import InvalidInput
from ingestion.sensors.noise import Floats, key_of, uniform

_DRAWN_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """Bytes on their way to Kafka. `event_us`: event time of its last reading (microseconds since 1970, UTC)."""

    key: bytes
    value: bytes
    event_us: int
    readings: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryShares:
    """Shares of messages (0 to 1) that meet each fate; a message meets one at most.

    late           held back for `late_by` of event time, longer than the stream waits
    out_of_order   held back for `out_of_order_by` of event time, overtaken by those behind it
    duplicated     sent twice
    dropped        never sent
    corrupt        sent as bytes that are no reading any more
    """

    late: float = 0.0
    out_of_order: float = 0.0
    duplicated: float = 0.0
    dropped: float = 0.0
    corrupt: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            share = getattr(self, one.name)
            if not 0 <= share <= 1:
                raise InvalidInput(f"delivery fault {one.name}: {share} given; a share from 0 to 1 is allowed")
        if sum(self.in_order().values()) > 1:
            raise InvalidInput(
                f"delivery faults: the shares add up to {sum(self.in_order().values()):g}; at most 1 is allowed"
            )

    def in_order(self) -> dict[str, float]:
        return {one.name: float(getattr(self, one.name)) for one in fields(self)}


class Delivery:
    """Passes messages on, some of them disturbed. `counts` tells how many met which fate; `lost_readings` how many
    readings never arrive readable. Messages must come in order of event time."""

    def __init__(
        self,
        shares: DeliveryShares,
        *,
        seed: int,
        late_by: tuple[timedelta, timedelta] = (timedelta(minutes=3), timedelta(minutes=10)),
        out_of_order_by: tuple[timedelta, timedelta] = (timedelta(seconds=2), timedelta(seconds=20)),
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.lost_readings = 0
        self._shares = list(shares.in_order().items())
        self._total = sum(share for _, share in self._shares)
        self._delays_us = {"late": _range_us(late_by), "out_of_order": _range_us(out_of_order_by)}
        self._key = key_of(seed, "delivery")
        self._number = 0
        self._draws: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
        self._held: list[tuple[int, int, Message]] = []

    def pass_on(self, message: Message) -> list[Message]:
        """What is sent now: what was held back and is due, and this message unless it meets a fate."""
        due = self._due(message.event_us)
        if self._total == 0:
            return [*due, message]
        choice, detail = self._draw()
        fate = self._fate(choice)
        if fate is None:
            return [*due, message]
        self.counts[fate] += 1
        if fate == "dropped":
            self.lost_readings += message.readings
            return due
        if fate == "duplicated":
            return [*due, message, message]
        if fate == "corrupt":
            self.lost_readings += message.readings
            spoiled = corrupt(message.value, detail)
            return [*due, Message(key=message.key, value=spoiled, event_us=message.event_us, readings=message.readings)]
        shortest, longest = self._delays_us[fate]
        release_us = message.event_us + shortest + int(detail * (longest - shortest))
        heapq.heappush(self._held, (release_us, self._number, message))
        return due

    def drain(self) -> list[Message]:
        """What is still held back, in the order in which it was due; for the end of the stream."""
        return self._due(None)

    def _due(self, now_us: int | None) -> list[Message]:
        due = []
        while self._held and (now_us is None or self._held[0][0] <= now_us):
            due.append(heapq.heappop(self._held)[2])
        return due

    def _draw(self) -> tuple[float, float]:
        place = self._number % _DRAWN_AT_ONCE
        if place == 0:
            index = np.arange(self._number, self._number + _DRAWN_AT_ONCE, dtype=np.int64)
            self._draws = uniform(self._key, index), uniform(self._key ^ 1, index)
        self._number += 1
        return float(self._draws[0][place]), float(self._draws[1][place])

    def _fate(self, choice: float) -> str | None:
        if choice >= self._total:
            return None
        for name, share in self._shares:
            if choice < share:
                return name
            choice -= share
        return None


def corrupt(value: bytes, choice: float) -> bytes:
    """The bytes spoiled in one of several ways, chosen by a number from 0 to 1. Never a readable reading any more."""
    ways = _JSON_WAYS if value[:1] == b"{" else _ARROW_WAYS
    return ways[min(int(choice * len(ways)), len(ways) - 1)](value)


def _cut(value: bytes) -> bytes:
    return value[: len(value) // 2]


def _noise(value: bytes) -> bytes:
    return b"\x81" + bytes(byte ^ 0x5A for byte in value[1:64])


def _empty(_: bytes) -> bytes:
    return b""


def _field_lost(value: bytes) -> bytes:
    return value.replace(b'"value":', b'"valeu":', 1)


def _text_for_number(value: bytes) -> bytes:
    return re.sub(rb'"value":[^,}]+', b'"value":"n/a"', value, count=1)


def _not_a_number(value: bytes) -> bytes:
    return re.sub(rb'"value":[^,}]+', b'"value":NaN', value, count=1)


def _clock_reset(value: bytes) -> bytes:
    return re.sub(rb'"event_time":"[^"]+"', b'"event_time":"1970-01-01T00:00:07Z"', value, count=1)


def _clock_ahead(value: bytes) -> bytes:
    return re.sub(rb'"event_time":"[^"]+"', b'"event_time":"2099-12-31T23:59:59Z"', value, count=1)


_ARROW_WAYS: tuple[Callable[[bytes], bytes], ...] = (_cut, _noise, _empty)
_JSON_WAYS: tuple[Callable[[bytes], bytes], ...] = (
    *_ARROW_WAYS,
    _field_lost,
    _text_for_number,
    _not_a_number,
    _clock_reset,
    _clock_ahead,
)


def _range_us(between: tuple[timedelta, timedelta]) -> tuple[int, int]:
    shortest, longest = (length // timedelta(microseconds=1) for length in between)
    if not 0 < shortest <= longest:
        raise ValueError("a delay's range must be positive and in order")
    return shortest, longest
