"""The simulator's ground truth in the lake: each fault episode once, under its fault_id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import CommitFailedError, DeltaError

from ingestion.errors import TryAgain
from ingestion.sensors.faults import FaultEpisode
from storage.lake.creation import opened
from storage.lake.tables import FAULTS

_ATTEMPTS = 5


def write_faults(lake_root: Path, episodes: Sequence[FaultEpisode]) -> int:
    """Store the episodes in the lake's `faults` table; returns how many it did not know yet.

    An episode that is there already is left as it is, so writing twice is writing once. Two writers at once are both
    served. Raises TryAgain where the lake cannot be written.
    """
    if not episodes:
        return 0
    path = FAULTS.path(lake_root)
    rows = _table(episodes)
    for attempt in range(_ATTEMPTS):
        try:
            merged = (
                opened(lake_root, FAULTS)
                .merge(rows, predicate="kept.fault_id = new.fault_id", source_alias="new", target_alias="kept")
                .when_not_matched_insert_all()
                .execute()
            )
        except CommitFailedError as error:
            if attempt == _ATTEMPTS - 1:
                raise TryAgain(f"the faults table in {path} is busy: {error}") from error
        except (DeltaError, OSError) as error:
            raise TryAgain(f"the faults table in {path} cannot be written: {error}") from error
        else:
            return int(merged["num_target_rows_inserted"])
    raise AssertionError("unreachable")


def _table(episodes: Sequence[FaultEpisode]) -> pa.Table:
    unique = {one.fault_id: one for one in episodes}.values()
    return pa.Table.from_pylist(
        [
            {
                "fault_id": one.fault_id,
                "machine_id": one.machine_id,
                "kind": one.kind.value,
                "sensor_id": one.sensor_id,
                "starts_at": one.starts_at,
                "ends_at": one.ends_at,
                "severity": one.severity,
                "date": one.starts_at.astimezone(UTC).date(),
            }
            for one in unique
        ],
        schema=FAULTS.schema,
    )
