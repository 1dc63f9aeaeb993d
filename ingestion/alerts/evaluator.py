"""All rules of one stream on its windows, one committed version after the other. Pure; its state is bytes.

The same versions give the same alerts however often the work is cut off and taken up again from an older state. Only a
silence that the clock decides depends on when it is looked at; it must be committed with the state that knows of it.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import pyarrow as pa

from ingestion.alerts import words
from ingestion.alerts.alert import Alert, Cause, in_order
from ingestion.alerts.progress import PartitionProgress
from ingestion.alerts.rules import FORGET_AFTER, AlertRule, Rate, Silence, Threshold
from ingestion.alerts.silences import Heard, Key, Silences, SilenceTold
from ingestion.alerts.track import Judge, Point, Told, Track
from ingestion.errors import InvalidInput

_FORMAT = b"tidemill-alert-state/1\n"
_FORGET_US = round(FORGET_AFTER.total_seconds() * 1e6)
_FORGET_EVERY_US = 3600 * 10**6


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertedStream:
    """A stream with rules.

    name        of the stream
    table       of the lake that its windows go to
    key         columns of a window's key, machine_id first
    correction  how long after its close a window may still be corrected
    """

    name: str
    table: str
    key: tuple[str, ...]
    rules: tuple[AlertRule, ...]
    correction: timedelta = timedelta(0)

    @property
    def columns(self) -> list[str]:
        """Of its table, what the rules look at."""
        wanted = {"window_start", "window_end", "revision", "partition", *self.key}
        return sorted(wanted.union(*(rule.columns for rule in self.rules)))


class _Listening(Protocol):
    heard_us: int


@dataclass(slots=True)
class _Levels:
    """A threshold or a rate, with the track of each key."""

    rule: AlertRule
    judge: Judge
    tracks: dict[Key, Track] = field(default_factory=dict)

    def watched(self, *, unheard_since_us: int | None = None) -> list[Key]:
        return _unheard(self.tracks, unheard_since_us)

    def end(self, key: Key, cause: Cause) -> Iterator[Told]:
        """Watch the key no longer."""
        return self.tracks.pop(key).ended(cause, self.judge)


@dataclass(slots=True)
class _Quiet:
    rule: AlertRule
    silences: Silences

    def watched(self, *, unheard_since_us: int | None = None) -> list[Key]:
        return _unheard(self.silences.keys, unheard_since_us)

    def end(self, key: Key, cause: Cause) -> Iterator[SilenceTold]:
        return self.silences.end(key, cause)


class Evaluator:
    """Not for several threads at once."""

    def __init__(self, stream: AlertedStream) -> None:
        self.stream = stream
        self._machine = stream.key.index("machine_id") if "machine_id" in stream.key else 0
        self._progress: dict[int, PartitionProgress] = {}
        self._forgot_us = 0
        self._rules: dict[str, _Levels | _Quiet] = {rule.name: self._held(rule) for rule in stream.rules}

    # -- windows -----------------------------------------------------------------------------------------------------

    def take(self, rows: pa.Table, committed_us: int) -> list[Alert]:
        """What the rows that one version gained say; in the order in which they are to be told.

        rows          the stream's columns, in any order
        committed_us  wall clock of the version, microseconds since 1970
        """
        if rows.num_rows == 0:
            return []
        table = _Rows(rows, self.stream.key)
        found: list[Alert] = []
        for held in self._rules.values():
            if isinstance(held, _Levels):
                found += self._levels(held, table, committed_us)
            else:
                found += self._heard(held, table, committed_us)
        for partition, machine, end in zip(table.partitions, table.machines(self._machine), table.ends, strict=True):
            self._progress.setdefault(partition, PartitionProgress()).take(machine, end, committed_us)
        for partition in sorted(set(table.partitions)):
            progress = self._progress[partition]
            found += self._fallen_silent(partition, "progress", progress.of_machines, progress.farthest())
        if committed_us >= self._forgot_us + _FORGET_EVERY_US:
            self._forgot_us = committed_us
            found += self._forgotten(committed_us - _FORGET_US)
        return in_order(found)

    # -- the clock ---------------------------------------------------------------------------------------------------

    def overdue(self, now_us: int) -> set[int]:
        """Partitions of which the clock would call a key silent, if nothing waits there to be read."""
        return {
            partition
            for partition, progress in self._progress.items()
            for held in self._rules.values()
            if isinstance(held, _Quiet)
            and progress.farthest() + now_us - progress.arrived_us >= held.silences.earliest(partition)
            and held.silences.overdue(partition, _later(progress, now_us))
        }

    def by_clock(self, now_us: int, partitions: Collection[int]) -> list[Alert]:
        """Call the keys silent that are overdue in these partitions. To be committed with the state."""
        found: list[Alert] = []
        for partition in sorted(partitions):
            progress = self._progress[partition]
            farthest = progress.farthest() + now_us - progress.arrived_us
            found += self._fallen_silent(partition, "clock", _later(progress, now_us), farthest)
        return in_order(found)

    # -- the state ---------------------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """All that later versions still depend on."""
        told = {
            "key": list(self.stream.key),
            "forgot_us": self._forgot_us,
            "partitions": {str(number): progress.plain() for number, progress in self._progress.items()},
            "rules": [_plain(held) for held in self._rules.values()],
        }
        return _FORMAT + zlib.compress(json.dumps(told, separators=(",", ":")).encode(), level=1)

    @classmethod
    def restored(cls, stream: AlertedStream, state: bytes) -> tuple[Evaluator, list[Alert]]:
        """From what `save` gave, under the rules of today; with it, the ends of alerts whose rule is another now.

        A rule that decides otherwise than before begins anew with the next windows. Raises InvalidInput.
        """
        told = _unpacked(state)
        made = cls(stream)
        made._forgot_us = told["forgot_us"]
        for number, plain in told["partitions"].items():
            made._progress[int(number)] = PartitionProgress.of_plain(plain)
        ended: list[Alert] = []
        for plain in told["rules"]:
            held = made._rules.get(plain["name"])
            if held is not None and held.rule.fingerprint == plain["fingerprint"] and tuple(told["key"]) == stream.key:
                _fill(held, plain["keys"])
            else:
                ended += made._ends(plain, told["key"])
        return made, in_order(ended)

    @staticmethod
    def has_no_rules(state: bytes) -> bool:
        """Whether nothing was judged when this was saved."""
        return not _unpacked(state)["rules"]

    # -- within ------------------------------------------------------------------------------------------------------

    def _held(self, rule: AlertRule) -> _Levels | _Quiet:
        if isinstance(rule.condition, Silence):
            after = round(rule.condition.after.total_seconds() * 1e6)
            return _Quiet(rule, Silences(after_us=after, machine_of=lambda key: key[self._machine] or ""))
        correction = round(self.stream.correction.total_seconds() * 1e6)
        return _Levels(rule, Judge(condition=rule.condition, run=rule.for_windows, correction_us=correction))

    def _levels(self, held: _Levels, table: _Rows, committed_us: int) -> Iterator[Alert]:
        assert not isinstance(held.rule.condition, Silence)
        touched: dict[Key, Track] = {}
        values = table.column(held.rule.condition.column)
        for index in table.chosen(held.rule):
            value = values[index]
            if value is None or not math.isfinite(value):
                continue
            key = table.keys[index]
            track = held.tracks.get(key)
            if track is None:
                track = held.tracks[key] = Track()
            track.heard_us = committed_us
            point = Point(table.starts[index], table.ends[index], table.revisions[index], float(value))
            if track.put(point):
                touched[key] = track
        for key, track in touched.items():
            for told in track.judge(held.judge):
                yield self._level_alert(held.rule, self._named(key), told)

    def _heard(self, held: _Quiet, table: _Rows, committed_us: int) -> Iterator[Alert]:
        for index in table.chosen(held.rule):
            window = Heard(table.starts[index], table.ends[index], table.revisions[index])
            for told in held.silences.hear(table.keys[index], window, table.partitions[index], committed_us):
                yield self._silence_alert(held.rule, self._named(told.key), told)

    def _fallen_silent(
        self, partition: int, cause: Cause, reached: Callable[[set[str]], Mapping[str, int]], farthest: int
    ) -> Iterator[Alert]:
        for held in self._rules.values():
            if isinstance(held, _Quiet) and farthest >= held.silences.earliest(partition):
                for told in held.silences.fall_silent(held.silences.overdue(partition, reached), cause):
                    yield self._silence_alert(held.rule, self._named(told.key), told)
                held.silences.looked(partition)

    def _forgotten(self, before_us: int) -> Iterator[Alert]:
        """What no commit since then told of: its state would stay for ever."""
        for progress in self._progress.values():
            progress.forget(before_us)
        for held in self._rules.values():
            for key in held.watched(unheard_since_us=before_us):
                yield from self._ended(held, key, "forgotten", self.stream.key)

    def _ends(self, plain: Mapping[str, Any], columns: list[str]) -> list[Alert]:
        """Of a rule that is another now, or gone: its alerts that fire end."""
        condition: Threshold | Rate | Silence
        if plain["kind"] == "silence":
            condition = Silence(after=timedelta(microseconds=plain["after_us"]))
        else:
            condition = Threshold(column=plain["column"])
        rule = AlertRule(name=plain["name"], condition=condition, severity=plain["severity"])
        held = self._held(rule)
        _fill(held, plain["keys"])
        return [alert for key in held.watched() for alert in self._ended(held, key, "rule", columns)]

    def _ended(self, held: _Levels | _Quiet, key: Key, cause: Cause, columns: Sequence[str]) -> Iterator[Alert]:
        """`columns` are those that the key has its values of."""
        named = dict(zip(columns, key, strict=True))
        for told in held.end(key, cause):
            if isinstance(told, SilenceTold):
                yield self._silence_alert(held.rule, named, told)
            else:
                yield self._level_alert(held.rule, named, told)

    def _named(self, key: Key) -> Mapping[str, str | None]:
        return dict(zip(self.stream.key, key, strict=True))

    def _level_alert(self, rule: AlertRule, named: Mapping[str, str | None], told: Told) -> Alert:
        return self._alert(
            rule,
            named,
            told,
            told.point,
            first_us=told.first,
            value=told.verdict.value,
            bound=told.verdict.bound,
            message=words.of_level(rule, named, told),
            raised_us=told.point.end,
        )

    def _silence_alert(self, rule: AlertRule, named: Mapping[str, str | None], told: SilenceTold) -> Alert:
        assert isinstance(rule.condition, Silence)
        after = rule.condition.after
        return self._alert(
            rule,
            named,
            told,
            told.next_ or told.last,
            first_us=told.last.start,
            value=None if told.next_ is None else (told.next_.start - told.last.end) / 1e6,
            bound=after.total_seconds(),
            message=words.of_silence(after, named, told),
            raised_us=told.next_.start if told.next_ else told.last.end + round(after.total_seconds() * 1e6),
        )

    def _alert(
        self,
        rule: AlertRule,
        named: Mapping[str, str | None],
        told: Told | SilenceTold,
        window: Point | Heard,
        *,
        first_us: int,
        value: float | None,
        bound: float | None,
        message: str,
        raised_us: int,
    ) -> Alert:
        return Alert(
            stream=self.stream.name,
            rule=rule.name,
            severity=rule.severity,
            state=told.state,
            cause=told.cause,
            key=named,
            first_us=first_us,
            change=told.change,
            window_start=window.start,
            window_end=window.end,
            revision=window.revision,
            value=value,
            bound=bound,
            message=message,
            raised_us=raised_us,
        )


class _Rows:
    """The rows of one version as lists, in the order in which they are judged."""

    def __init__(self, rows: pa.Table, key: tuple[str, ...]) -> None:
        order = [("window_start", "ascending"), ("window_end", "ascending"), ("revision", "ascending")]
        rows = rows.sort_by(order + [(name, "ascending") for name in key])
        self._rows = rows
        self._columns: dict[str, list[Any]] = {}
        self.keys: list[Key] = list(zip(*(self.column(name) for name in key), strict=True))
        self.starts: list[int] = rows["window_start"].cast(pa.int64()).to_pylist()
        self.ends: list[int] = rows["window_end"].cast(pa.int64()).to_pylist()
        self.revisions: list[int] = rows["revision"].fill_null(0).to_pylist()
        self.partitions: list[int] = rows["partition"].to_pylist()

    def column(self, name: str) -> list[Any]:
        if name not in self._columns:
            self._columns[name] = self._rows[name].to_pylist()
        return self._columns[name]

    def machines(self, place: int) -> list[str]:
        return [key[place] or "" for key in self.keys]

    def chosen(self, rule: AlertRule) -> Collection[int]:
        """Indexes of the rows that the rule is about."""
        if not rule.where:
            return range(len(self.keys))
        names = list(rule.where)
        known: dict[tuple[Any, ...], bool] = {}
        chosen = []
        for index, values in enumerate(zip(*(self.column(name) for name in names), strict=True)):
            concerned = known.get(values)
            if concerned is None:
                concerned = known[values] = rule.concerns(dict(zip(names, values, strict=True)))
            if concerned:
                chosen.append(index)
        return chosen


def _unheard(keys: Mapping[Key, _Listening], since_us: int | None) -> list[Key]:
    """Those of which nothing was committed since; all without a time."""
    return [key for key, one in keys.items() if since_us is None or one.heard_us < since_us]


def _later(progress: PartitionProgress, now_us: int) -> Callable[[set[str]], Mapping[str, int]]:
    """Event time as it would be if it had gone on with the clock since the newest rows came."""
    passed = max(now_us - progress.arrived_us, 0)
    return lambda machines: {machine: end + passed for machine, end in progress.of_machines(machines).items()}


def _unpacked(state: bytes) -> dict[str, Any]:
    if not state.startswith(_FORMAT):
        raise InvalidInput(f"alert state of format {state[:30]!r}; this version reads {_FORMAT!r}")
    told: dict[str, Any] = json.loads(zlib.decompress(state[len(_FORMAT) :]))
    return told


def _plain(held: _Levels | _Quiet) -> dict[str, Any]:
    rule = held.rule
    plain: dict[str, Any] = {"name": rule.name, "fingerprint": rule.fingerprint, "severity": rule.severity}
    if isinstance(held, _Quiet):
        return plain | {"kind": "silence", "after_us": held.silences.after_us, "keys": held.silences.plain()}
    assert not isinstance(rule.condition, Silence)
    keys = [[list(key), track.plain()] for key, track in held.tracks.items()]
    return plain | {"kind": "level", "column": rule.condition.column, "keys": keys}


def _fill(held: _Levels | _Quiet, plain: list[Any]) -> None:
    if isinstance(held, _Quiet):
        held.silences.restore(plain)
    else:
        held.tracks = {tuple(key): Track.of_plain(track) for key, track in plain}
