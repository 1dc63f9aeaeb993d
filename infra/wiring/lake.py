"""The lake: what looks after it, what the simulator writes to it, and where the read side reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.wiring.stores import listing

if TYPE_CHECKING:
    from ingestion.sensors.faults import FaultEpisode
    from storage.lake.upkeep import LakeUpkeep
    from storage.queries.stores import Stores


def lake_upkeep(settings: Settings) -> LakeUpkeep:
    """Joins small files of the lake and deletes what neither jobs nor schedules need."""
    from storage.lake.upkeep import LakeUpkeep

    return LakeUpkeep(
        settings.paths.lake,
        lambda: lake_needed_from(settings),
        every=timedelta(seconds=settings.lake_upkeep_seconds),
        retention=timedelta(hours=settings.lake_retention_hours),
    )


def lake_needed_from(settings: Settings) -> Mapping[str, int]:
    """From which version on jobs, schedules and alerts need a lake table's history. Raises TryAgain, InvalidInput."""
    from infra.wiring.alerts import alerts_needed_from
    from scoring.job import JobStatus
    from storage.inputs.history import needed_from

    lists = listing(settings)
    unended = [status for status in JobStatus if not status.is_terminal]
    found = needed_from(lists.jobs(statuses=unended, limit=100_000), lists.schedules())
    for table, version in alerts_needed_from(settings).items():
        found[table] = min(version, found.get(table, version))
    return found


def fault_writer(settings: Settings) -> Callable[[Sequence[FaultEpisode]], int]:
    """Call it with fault episodes to store them in the lake's `faults` table; returns how many were new."""
    from storage.lake.faults import write_faults

    return lambda episodes: write_faults(settings.paths.lake, episodes)


def stores(settings: Settings) -> Stores:
    """Where the read side reads. Raises InvalidInput where no stack is known."""
    from storage.queries.stores import Stores

    url = settings.postgres_url.get_secret_value() if settings.postgres_url else settings.address().postgres_url
    return Stores(lake=settings.paths.lake, postgres_url=url)
