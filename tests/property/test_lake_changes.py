"""Whatever is appended, compacted and deleted: what a version range gained are the rows that were appended in it."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.lake.changes import gained
from tests.contract.lake import append, compact, window_rows
from tests.effort import examples

DAY = date(2026, 3, 1)

# append rows to a day, compact everything, or a checkpoint of the log
STEPS = st.lists(
    st.tuples(st.just("append"), st.integers(1, 4), st.integers(0, 2))
    | st.tuples(st.sampled_from(["compact", "checkpoint"]), st.just(0), st.just(0)),
    min_size=1,
    max_size=6,
)


def rows_in(folder: Path, from_version: int | None, to_version: int) -> list[int]:
    """Row numbers in the listed part files; each file must hold as many rows as it says."""
    found: list[int] = []
    for file in gained(folder, from_version, to_version):
        offsets = pq.ParquetFile(file.path).read(columns=["first_offset"])["first_offset"].to_pylist()
        assert len(offsets) == file.rows
        assert file.path.stat().st_size == file.size_bytes
        found += offsets
    return sorted(found)


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, data=st.data())
def test_a_range_gains_what_was_appended_in_it(steps: list[tuple[str, int, int]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "windows"
        version, number = append(folder, window_rows(1, first=0, day=DAY)), 1
        appended_at = {0: version}  # the model: row number -> version that brought it
        for step, rows, day in steps:
            if step == "append":
                version = append(folder, window_rows(rows, first=number, day=DAY + timedelta(days=day)))
                appended_at |= dict.fromkeys(range(number, number + rows), version)
                number += rows
            elif step == "compact":
                version = compact(folder)
            else:
                DeltaTable(str(folder)).create_checkpoint()
        to_version = data.draw(st.integers(0, version))
        from_version = data.draw(st.none() | st.integers(0, to_version))
        after = -1 if from_version is None else from_version
        expected = [row for row, at in appended_at.items() if after < at <= to_version]
        assert rows_in(folder, from_version, to_version) == expected
        assert gained(folder, from_version, to_version) == gained(folder, from_version, to_version)
