"""What every kind of window and every aggregate promises, one reading at a time, in plain Python. Times are seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow, Window

NEVER = -(10**9)
Row = dict[str, Any]
"""A reading: machine_id, sensor_id, site, t, sequence, value, ambient, cycles, mode, on, unit."""


@dataclass
class Held:
    """What is published together: of an aligned window all keys, of a session one. `of` has each key's readings."""

    machine: str
    start: int
    last: int
    closed: bool
    of: dict[tuple[str, ...], list[tuple[int, Row]]] = field(default_factory=dict)
    published: int = 0
    changed: int | None = None


class Model:
    def __init__(self, window: Window, key: tuple[str, ...]) -> None:
        second = timedelta(seconds=1)
        self.key = key
        self.lateness, self.correction = window.allowed_lateness // second, window.correction_lateness // second
        self.gap = window.gap // second if isinstance(window, SessionWindow) else 0
        longest = window.max_size if isinstance(window, SessionWindow) else None
        self.longest = longest // second if longest else 10**9
        if not isinstance(window, SessionWindow):
            self.size = window.size // second
            self.tick = self.size if isinstance(window, TumblingWindow) else window.every // second
        else:
            self.tick = self.gap
        self.hops = isinstance(window, HoppingWindow)
        self.clock: dict[str, int] = {}
        self.held: list[Held] = []
        self.floor: dict[tuple[str, ...], int] = {}
        self.rows: list[tuple[tuple[str, ...], int, int, int, list[tuple[int, Row]], int]] = []
        self.late: list[tuple[int, int]] = []
        self.duplicates = self.corrections = self.accepted = 0

    def fold(self, offset: int, reading: Row) -> None:
        machine, key = reading["machine_id"], tuple(reading[name] or "" for name in self.key)
        self.tend(machine, max(self.clock.get(machine, NEVER), reading["t"] - self.lateness), False)
        places = self.session(machine, key, reading["t"]) if self.gap else self.aligned(machine, reading["t"])
        for start, held in list(places):
            if held is None:
                self.late.append((offset, start))
                continue
            counted = held.of.setdefault(key, [])
            mark = (reading["t"], reading["sequence"])
            if reading["sequence"] is not None and any((r["t"], r["sequence"]) == mark for _, r in counted):
                self.duplicates += 1
                continue
            counted.append((offset, reading))
            self.accepted += 1
            if held.closed:
                self.corrections += 1
                held.changed = self.clock[machine] // self.tick

    def aligned(self, machine: str, t: int) -> Iterator[tuple[int, Held | None]]:
        for start in range(t // self.tick * self.tick - self.size + self.tick, t + 1, self.tick):
            end, now = start + self.size, self.clock[machine]
            found = [held for held in self.held if (held.machine, held.start) == (machine, start)]
            if end <= now and end + self.correction <= now:
                yield start, None
            else:
                yield start, found[0] if found else self.begin(machine, start, end <= now)

    def session(self, machine: str, key: tuple[str, ...], t: int) -> Iterator[tuple[int, Held | None]]:
        mine = sorted((held for held in self.held if key in held.of), key=lambda held: held.start)
        before, after = [s for s in mine if s.start <= t], [s for s in mine if s.start > t]
        end, now = t + self.gap, self.clock[machine]
        if before and t < self.end(before[-1]):
            found = before[-1]
            found.last = max(found.last, t)
            following = after[0] if after and not (found.closed or after[0].closed) else None
            is_near = following and following.start < found.last + self.gap
            if following and is_near and following.last < found.start + self.longest:
                found.last = max(found.last, following.last)
                found.of[key] = sorted(found.of[key] + following.of[key], key=lambda counted: counted[0])
                self.held.remove(following)
            yield found.start, found
        elif t < self.floor.get(key, NEVER):
            yield t, None
        elif after and not after[0].closed and after[0].start < end and after[0].last < t + self.longest:
            after[0].start = t
            yield t, after[0]
        elif end + self.correction <= now:
            yield t, None
        else:
            yield t, self.begin(machine, t, end <= now)

    def begin(self, machine: str, start: int, closed: bool) -> Held:
        self.held.append(Held(machine, start, start, closed))
        return self.held[-1]

    def end(self, held: Held) -> int:
        return min(held.last + self.gap, held.start + self.longest) if self.gap else held.start + self.size

    def tend(self, machine: str, now: int, silent: bool) -> None:
        """Move the machine's clock: publish, close, forget what it passes."""
        self.clock[machine] = now
        for held in [held for held in self.held if held.machine == machine]:
            if held.changed is not None and (now // self.tick > held.changed or silent):
                self.publish(held)
            if not held.closed and self.end(held) <= now:
                held.closed = True
                self.publish(held)
            if held.closed and self.end(held) + self.correction <= now:
                if held.changed is not None:
                    self.publish(held)
                self.held.remove(held)
                for key in held.of:
                    self.floor[key] = max(self.floor.get(key, NEVER), self.end(held))

    def silence(self) -> None:
        for machine in self.clock:
            ends = [self.end(held) for held in self.held if held.machine == machine and not held.closed]
            self.tend(machine, max([self.clock[machine], *ends]), True)

    def publish(self, held: Held) -> None:
        for key, counted in held.of.items():
            until = held.last if self.gap else self.end(held)
            self.rows.append((key, held.start, self.end(held), held.published, list(counted), until))
        held.published, held.changed = held.published + 1, None


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def aggregate(function: str, of: str, counted: list[tuple[int, Row]], until: int, number: float = 0) -> Any:
    """The aggregate's value; times of `until` and `per` are seconds."""
    found = [(r["t"], offset, r[of]) for offset, r in counted if r[of] is not None and r[of] == r[of]]
    values = [value for _, _, value in found]
    if function == "count":
        return len(values)
    if not values:
        return None
    first = min(found, key=lambda reading: reading[0])
    last = max(found, key=lambda reading: reading[:2])
    n = len(values)
    mean = sum(values) / n if isinstance(values[0], int | float) else 0.0
    match function:
        case "sum":
            return float(sum(values))
        case "mean":
            return mean
        case "stddev":
            return None if n == 1 else math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "first":
            return first[2]
        case "last":
            return last[2]
        case "latest":
            return values[-1]
        case "rate":
            return None if first[0] == last[0] else (last[2] - first[2]) / (last[0] - first[0]) * number
        case "median" | "p95" | "quantile":
            return quantile(values, {"median": 0.5, "p95": 0.95}.get(function, number))
    course = sorted({t: value for t, _, value in found}.items())  # of one moment the last one
    held = [(value, after - t) for (t, value), (after, _) in zip(course, [*course[1:], (until, 0)], strict=True)]
    time = sum(length for _, length in held)
    return sum(value * length for value, length in held) / time if time else course[-1][1]
