"""What a silence rule says of the keys of one stream: which of them have sent nothing for too long.

It begins where event time has passed a key's last window by more than it may, whoever tells: a later window of the key
itself, the other machines of its partition, or the clock where all of them are silent. It ends with the key's next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ingestion.alerts.alert import AlertState, Cause

Key = tuple[str | None, ...]

_NEVER = 2**62


class Heard(NamedTuple):
    """A window of a key. Times in microseconds since 1970."""

    start: int
    end: int
    revision: int


class SilenceTold(NamedTuple):
    """last: the window before the silence; next_: the one that ended it."""

    key: Key
    change: int
    state: AlertState
    cause: Cause
    last: Heard
    next_: Heard | None


@dataclass(slots=True)
class _Listened:
    last: Heard
    partition: int
    heard_us: int
    is_silent: bool = False


@dataclass(slots=True)
class Silences:
    """Of one rule. `machine_of` gives the machine of a key."""

    after_us: int
    machine_of: Callable[[Key], str]
    keys: dict[Key, _Listened] = field(default_factory=dict)
    _earliest: dict[int, int] = field(default_factory=dict)

    def hear(self, key: Key, window: Heard, partition: int, committed_us: int) -> Iterator[SilenceTold]:
        """The windows of a key in their order; one that lies before its newest says nothing."""
        self._earliest[partition] = min(window.end, self._earliest.get(partition, window.end))
        known = self.keys.get(key)
        if known is None:
            self.keys[key] = _Listened(last=window, partition=partition, heard_us=committed_us)
            return
        known.heard_us = committed_us
        if window.end <= known.last.end:
            return
        if not known.is_silent and window.start - known.last.end >= self.after_us:
            known.is_silent = True
            yield SilenceTold(key, 0, "firing", "window", known.last, None)
        if known.is_silent:
            known.is_silent = False
            yield SilenceTold(key, 1, "resolved", "window", known.last, window)
        known.last, known.partition = window, partition

    def earliest(self, partition: int) -> int:
        """At or before the event time at which the next key of the partition could be called silent."""
        return self._earliest.get(partition, _NEVER) + self.after_us

    def overdue(self, partition: int, reached: Callable[[set[str]], Mapping[str, int]]) -> list[Key]:
        """Keys of the partition whose machine's event time has passed them by too much."""
        waiting = {
            key: listened
            for key, listened in self.keys.items()
            if listened.partition == partition and not listened.is_silent
        }
        times = reached({self.machine_of(key) for key in waiting})
        return [
            key for key, listened in waiting.items() if times[self.machine_of(key)] - listened.last.end >= self.after_us
        ]

    def fall_silent(self, keys: list[Key], cause: Cause) -> Iterator[SilenceTold]:
        for key in keys:
            listened = self.keys[key]
            listened.is_silent = True
            yield SilenceTold(key, 0, "firing", cause, listened.last, None)

    def looked(self, partition: int) -> None:
        """All of the partition that is overdue was called: from which key on the next can be."""
        waiting = (one.last.end for one in self.keys.values() if one.partition == partition and not one.is_silent)
        self._earliest[partition] = min(waiting, default=_NEVER)

    def end(self, key: Key, cause: Cause) -> Iterator[SilenceTold]:
        """Wait for the key no longer."""
        listened = self.keys.pop(key)
        if listened.is_silent:
            yield SilenceTold(key, 1, "resolved", cause, listened.last, None)

    # -- as plain values ---------------------------------------------------------------------------------------------

    def plain(self) -> list[Any]:
        return [
            [list(key), list(one.last), one.partition, one.heard_us, one.is_silent] for key, one in self.keys.items()
        ]

    def restore(self, plain: list[Any]) -> None:
        for key, last, partition, heard_us, is_silent in plain:
            self.keys[tuple(key)] = _Listened(
                last=Heard(*last), partition=partition, heard_us=heard_us, is_silent=is_silent
            )
        for partition in {one.partition for one in self.keys.values()}:
            self.looked(partition)
