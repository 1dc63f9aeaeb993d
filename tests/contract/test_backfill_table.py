"""What every BackfillTable promises: it sees a range whole, adds beside the live stream, and another one fences it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.backfill.ports import BackfillTable
from ingestion.errors import Fenced, TryAgain
from ingestion.ports import WindowSink
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA
from storage.lake.backfill_table import LakeBackfillTable, only_backfill
from storage.lake.tables import LATE_READINGS, WINDOWS
from storage.lake.window_sink import LakeWindowSink
from tests.contract.histories import MemoryBackfillTable
from tests.contract.streams import MemorySink, Store
from tests.contract.test_window_sink import START, commit_of, late_row, window_row

ALWAYS = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
New = Callable[[], BackfillTable]


def windows(*numbers: int) -> pa.Table:
    return pa.Table.from_pylist([window_row(number) for number in numbers], schema=WINDOW_SCHEMA)


def late(*offsets: int) -> pa.Table:
    rows = [late_row(offset) | {"event_time": START + timedelta(minutes=offset)} for offset in offsets]
    return pa.Table.from_pylist(rows, schema=LATE_SCHEMA)


def offsets_of(rows: pa.Table) -> list[Any]:
    return sorted(rows["first_offset" if "first_offset" in rows.column_names else "offset"].to_pylist())


class BackfillTableContract:
    """Fixtures give `new` (another backfill of the same stream) and `live` (a worker of that stream)."""

    def test_of_nothing_there_are_no_rows_but_columns(self, new: New) -> None:
        table = new()
        assert (table.windows(*ALWAYS).num_rows, table.late(*ALWAYS).num_rows) == (0, 0)
        assert table.windows(*ALWAYS).column_names == WINDOW_SCHEMA.names
        assert table.late(*ALWAYS).column_names == LATE_SCHEMA.names

    def test_what_was_added_is_found_whole(self, new: New) -> None:
        table = new()
        table.windows(*ALWAYS)
        table.late(*ALWAYS)
        table.add(windows(0, 1), late(3))
        found = new()
        assert (
            sorted(found.windows(*ALWAYS).to_pylist(), key=lambda row: row["first_offset"]) == windows(0, 1).to_pylist()
        )
        assert found.late(*ALWAYS).to_pylist() == late(3).to_pylist()

    def test_a_range_holds_its_begin_and_not_its_end_over_midnight(self, new: New) -> None:
        table = new()
        # the first is at 23:59, the others are of the next day
        table.add(windows(0, 1, 2, 3), late(0, 1, 2, 3))
        minutes = [START + timedelta(minutes=n) for n in range(4)]
        assert offsets_of(table.windows(minutes[0], minutes[2])) == [0, 1]
        assert offsets_of(table.late(minutes[1], minutes[3])) == [1, 2]
        assert offsets_of(table.windows(minutes[1], minutes[1])) == []
        assert offsets_of(table.windows(minutes[3], minutes[3] + timedelta(microseconds=1))) == [3]

    def test_each_table_is_added_to_alone(self, new: New) -> None:
        table = new()
        table.add(None, None)
        table.add(windows(0), None)
        table.add(None, late(5))
        assert (offsets_of(table.windows(*ALWAYS)), offsets_of(table.late(*ALWAYS))) == ([0], [5])

    def test_one_backfill_adds_again_and_again(self, new: New) -> None:
        table = new()
        for number in range(4):
            assert offsets_of(table.windows(*ALWAYS)) == list(range(number))
            table.add(windows(number), late(number))
        assert offsets_of(new().late(*ALWAYS)) == [0, 1, 2, 3]

    def test_the_live_stream_goes_on_beside_it(self, new: New, live: Callable[[], WindowSink]) -> None:
        worker = live()
        worker.restore(0)
        worker.commit(commit_of({0: 5}, [window_row(0)], [late_row(3)]))
        table = new()
        assert (offsets_of(table.windows(*ALWAYS)), offsets_of(table.late(*ALWAYS))) == ([0], [3])
        worker.commit(commit_of({0: 8}, [window_row(1)], [late_row(6)]))
        table.add(windows(2), late(7))
        worker.commit(commit_of({0: 9}, [window_row(3)]))
        assert offsets_of(table.windows(*ALWAYS)) == [0, 1, 2, 3]
        assert offsets_of(table.late(*ALWAYS)) == [3, 6, 7]
        restored = live().restore(0)
        assert restored is not None
        assert restored.next_offset == 9

    def test_of_two_that_looked_at_the_same_one_adds(self, new: New) -> None:
        first, second = new(), new()
        for table in (first, second):
            table.windows(*ALWAYS)
            table.late(*ALWAYS)
        first.add(windows(0), late(1))
        with pytest.raises(Fenced):
            second.add(windows(0), late(1))
        with pytest.raises(Fenced):
            second.add(windows(0), None)
        with pytest.raises(Fenced):
            second.windows(*ALWAYS)
        again = new()
        assert (offsets_of(again.windows(*ALWAYS)), offsets_of(again.late(*ALWAYS))) == ([0], [1])
        again.add(windows(4), late(5))
        with pytest.raises(Fenced):
            first.add(windows(6), None)
        assert offsets_of(new().windows(*ALWAYS)) == [0, 4]

    def test_fenced_at_the_windows_the_late_readings_alone_are_there(self, new: New) -> None:
        first, second = new(), new()
        for table in (first, second):
            table.windows(*ALWAYS)
            table.late(*ALWAYS)
        first.add(windows(0), None)
        with pytest.raises(Fenced):
            second.add(windows(0), late(1))
        again = new()
        assert (offsets_of(again.windows(*ALWAYS)), offsets_of(again.late(*ALWAYS))) == ([0], [1])

    def test_nobody_adds_who_never_looked_at_what_another_wrote(self, new: New) -> None:
        new().add(windows(0), None)
        with pytest.raises(Fenced):
            new().add(windows(0), None)


class TestMemoryBackfillTable(BackfillTableContract):
    @pytest.fixture
    def store(self) -> Store:
        return Store()

    @pytest.fixture
    def new(self, store: Store) -> New:
        return lambda: MemoryBackfillTable(store)

    @pytest.fixture
    def live(self, store: Store) -> Callable[[], WindowSink]:
        return lambda: MemorySink(store)


class TestLakeBackfillTable(BackfillTableContract):
    @pytest.fixture
    def new(self, tmp_path: Path) -> New:
        return lambda: LakeBackfillTable(tmp_path / "lake", stream="windows", windows=WINDOWS, late=LATE_READINGS)

    @pytest.fixture
    def live(self, tmp_path: Path) -> Callable[[], WindowSink]:
        return lambda: LakeWindowSink(
            lake_root=tmp_path / "lake", state_root=tmp_path / "state", stream="windows", topic="readings"
        )

    def test_a_look_makes_no_table(self, new: New, tmp_path: Path) -> None:
        table = new()
        table.windows(*ALWAYS)
        table.add(None, None)
        assert not (tmp_path / "lake").exists()

    def test_backfills_of_other_streams_do_not_disturb_each_other(self, new: New, tmp_path: Path) -> None:
        other = LakeBackfillTable(tmp_path / "lake", stream="other", windows=WINDOWS, late=LATE_READINGS)
        mine = new()
        for table in (other, mine):
            table.windows(*ALWAYS)
        other.add(windows(0), None)
        mine.add(windows(1), None)
        assert offsets_of(mine.windows(*ALWAYS)) == [0, 1]

    def test_a_table_that_cannot_be_read_is_told(self, new: New, tmp_path: Path) -> None:
        new().add(windows(0), None)
        for part in (tmp_path / "lake" / "windows").glob("date=*/*.parquet"):
            part.write_bytes(b"rubbish")
        with pytest.raises(TryAgain, match="the lake's table windows cannot be read"):
            new().windows(*ALWAYS)

    def test_the_lock_refuses_a_second_one(self, tmp_path: Path) -> None:
        path = tmp_path / "run" / "lock"
        with (
            only_backfill(path, "windows"),
            pytest.raises(Fenced, match="another backfill"),
            only_backfill(path, "windows"),
        ):
            pass
        with only_backfill(path, "windows"):
            pass
