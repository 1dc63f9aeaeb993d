"""All pumps of all sites, their readings in event time, sliced by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from ingestion.codec import to_microseconds
from ingestion.errors import InvalidInput
from ingestion.reading import READING_SCHEMA
from ingestion.sensors.catalogue import CATALOGUE
from ingestion.sensors.faults import FaultEpisode, FaultPlan, check_episodes, plan_episodes
from ingestion.sensors.machine import BLOCK, Machine, Samples, samples
from ingestion.sensors.noise import key_of, uniform
from ingestion.sensors.quantity import QUANTITIES, sensor_id
from ingestion.sensors.sites import Site, sites

MOST_MACHINES = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetSpec:
    """A fleet of `machines` pumps dealt out over `sites` sites.

    interval   time between two readings of one sensor
    faults     what goes wrong and how often, planned by `episodes_of`
    """

    machines: int = 12
    sites: int = 3
    seed: int = 1
    interval: timedelta = timedelta(seconds=1)
    faults: FaultPlan = field(default_factory=FaultPlan)

    def __post_init__(self) -> None:
        if not 1 <= self.machines <= MOST_MACHINES:
            raise InvalidInput(f"machines: {self.machines} asked for; 1 to {MOST_MACHINES} are allowed")
        if self.interval < timedelta(milliseconds=1):
            raise InvalidInput(f"interval: {self.interval.total_seconds()} s asked for; at least 0.001 s is allowed")
        sites(self.sites)

    @property
    def sites_used(self) -> tuple[Site, ...]:
        """Sites that have a pump: the last ones have none where there are fewer pumps than sites."""
        return sites(self.sites)[: self.machines]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """All readings with start <= event_time < end: one batch (READING_SCHEMA) a machine, each in event-time order."""

    start: datetime
    end: datetime
    batches: tuple[pa.RecordBatch, ...]

    @property
    def readings(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    def in_event_time(self) -> pa.RecordBatch:
        """All machines' readings as one batch, ordered by event time."""
        if not self.batches:
            return pa.RecordBatch.from_pylist([], schema=READING_SCHEMA)
        table = pa.Table.from_batches(self.batches, schema=READING_SCHEMA)
        order = np.argsort(np.asarray(table.column("event_time").cast(pa.int64())), kind="stable")
        return table.take(pa.array(order)).combine_chunks().to_batches()[0] if len(order) else self.batches[0]


def machines_of(spec: FleetSpec) -> tuple[Machine, ...]:
    """The fleet's pumps, site by site, e.g. `north-pump-01`. Their types do not depend on the seed."""
    used = spec.sites_used
    per_site = [spec.machines // len(used) + (number < spec.machines % len(used)) for number in range(len(used))]
    found: list[Machine] = []
    for site, count in zip(used, per_site, strict=True):
        for number in range(count):
            found.append(
                Machine(
                    machine_id=f"{site.site_id}-pump-{number + 1:02d}",
                    site_id=site.site_id,
                    model=CATALOGUE[(number + len(found) // 4) % len(CATALOGUE)],
                    climate=site.climate,
                )
            )
    return tuple(found)


def episodes_of(spec: FleetSpec, *, starts_at: datetime, ends_at: datetime) -> tuple[FaultEpisode, ...]:
    """The faults that the spec's plan gives this fleet over this time."""
    names = [machine.machine_id for machine in machines_of(spec)]
    return plan_episodes(spec.faults, seed=spec.seed, machines=names, starts_at=starts_at, ends_at=ends_at)


class Fleet:
    """Readings of a fleet from `starts_at` on. Which readings there are does not depend on how they are sliced."""

    def __init__(self, spec: FleetSpec, *, starts_at: datetime, episodes: Sequence[FaultEpisode] = ()) -> None:
        """Raises InvalidInput for an episode that does not fit the fleet."""
        self.spec = spec
        self.starts_at = starts_at
        self.machines = machines_of(spec)
        self.episodes = tuple(episodes)
        check_episodes(self.episodes, [machine.machine_id for machine in self.machines])

    def reader(self) -> FleetReader:
        """Reads the fleet from its start."""
        return FleetReader(self.starts_at, [self._source(machine) for machine in self.machines])

    def slices(self, length: timedelta) -> Iterator[Slice]:
        """Consecutive slices of event time, the first at `starts_at`, without end."""
        reader = self.reader()
        while True:
            yield reader.next(length)

    def _source(self, machine: Machine) -> _Source:
        # pumps do not sample in step; milliseconds, as loggers write them
        interval_us = self.spec.interval // timedelta(microseconds=1)
        share = float(uniform(key_of(self.spec.seed, machine.machine_id, "phase"), np.array([0]))[0])
        phase_us = int(share * interval_us) // 1000 * 1000
        first_us = to_microseconds(self.starts_at) + phase_us
        return _Source(
            machine,
            samples(machine, self.episodes, seed=self.spec.seed, first_us=first_us, interval_us=interval_us),
        )


class FleetReader:
    """One passage through a fleet's readings, in slices of any lengths."""

    def __init__(self, starts_at: datetime, sources: Sequence[_Source]) -> None:
        self.position = starts_at
        self._sources = sources

    def next(self, length: timedelta) -> Slice:
        """The readings of the next `length` of event time."""
        if length <= timedelta(0):
            raise ValueError(f"a slice's length must be positive, not {length}")
        start, end = self.position, self.position + length
        end_us = to_microseconds(end)
        cut = tuple(batch for source in self._sources for batch in [source.until(end_us)] if batch.num_rows)
        self.position = end
        return Slice(start=start, end=end, batches=cut)


class _Source:
    """One machine's samples as record batches, cut at any time."""

    def __init__(self, machine: Machine, blocks: Iterator[Samples]) -> None:
        names = [sensor_id(machine.machine_id, quantity.name) for quantity in QUANTITIES]
        units = [quantity.unit for quantity in QUANTITIES]
        # the same in every batch: built once, then sliced without copying
        self._machine_ids = pa.array([machine.machine_id] * (BLOCK * len(names)), pa.string())
        self._sensor_ids = pa.array(names * BLOCK, pa.string())
        self._units = pa.array(units * BLOCK, pa.string())
        self._blocks = blocks
        self._block = next(blocks)
        self._taken = 0

    def until(self, end_us: int) -> pa.RecordBatch:
        """Readings not taken yet that lie before `end_us`."""
        parts = []
        while True:
            stop = int(np.searchsorted(self._block.time_us, end_us, side="left"))
            if stop > self._taken:
                parts.append(self._cut(self._taken, stop))
                self._taken = stop
            if stop < len(self._block.time_us):
                break
            self._block = next(self._blocks)
            self._taken = 0
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return pa.RecordBatch.from_pylist([], schema=READING_SCHEMA)
        return pa.Table.from_batches(parts, schema=READING_SCHEMA).combine_chunks().to_batches()[0]

    def _cut(self, begin: int, stop: int) -> pa.RecordBatch:
        channels = len(QUANTITIES)
        rows = (stop - begin) * channels
        values = np.ascontiguousarray(self._block.values[:, begin:stop].T).reshape(-1)
        times = np.repeat(self._block.time_us[begin:stop], channels)
        columns = [
            self._machine_ids.slice(0, rows),
            self._sensor_ids.slice(0, rows),
            pa.array(times, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            pa.array(values, pa.float64()),
            self._units.slice(0, rows),
            pa.array(np.repeat(self._block.sequence[begin:stop], channels), pa.int64()),
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=READING_SCHEMA)
        made = ~np.isnan(values)
        return batch if made.all() else batch.filter(pa.array(made))
