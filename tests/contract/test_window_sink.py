"""What every WindowSink promises: rows and position in one step, once, and nobody beside its partition's owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ingestion.checkpoint import Checkpoint
from ingestion.errors import Fenced, TryAgain
from ingestion.ports import WindowCommit, WindowSink
from ingestion.steps import STEPS, Step
from ingestion.window import LATE_SCHEMA, WINDOW_SCHEMA
from storage.lake.creation import opened
from storage.lake.stream_state import PartitionIds
from storage.lake.tables import WINDOWS, LakeTable
from storage.lake.window_sink import CHECKPOINT_INTERVAL, LakeWindowSink
from tests.contract.streams import MemorySink, Store

START = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
Rows = list[dict[str, Any]]


def window_row(number: int, partition: int = 0, revision: int = 0) -> dict[str, Any]:
    start = START + timedelta(minutes=number)
    return {
        "machine_id": f"m{partition}",
        "sensor_id": f"m{partition}/flow",
        "window_start": start,
        "window_end": start + timedelta(minutes=1),
        "unit": None,
        "count": 1,
        "mean": 1.0 * number,
        "min": 1.0,
        "max": 1.0,
        "stddev": None,
        "last": 1.0,
        "median": 1.0,
        "p95": 1.0,
        "topic": "readings",
        "partition": partition,
        "first_offset": number,
        "last_offset": number,
        "revision": revision,
    }


def late_row(offset: int, partition: int = 0) -> dict[str, Any]:
    return {
        "machine_id": f"m{partition}",
        "sensor_id": f"m{partition}/flow",
        "event_time": START,
        "value": 1.0,
        "unit": "bar",
        "sequence": None,
        "window_start": START,
        "watermark": START + timedelta(minutes=5),
        "topic": "readings",
        "partition": partition,
        "offset": offset,
    }


def commit_of(
    positions: dict[int, int], windows: Sequence[dict[str, Any]] = (), late: Sequence[dict[str, Any]] = ()
) -> WindowCommit:
    return WindowCommit(
        windows=pa.Table.from_pylist(list(windows), schema=WINDOW_SCHEMA),
        late=pa.Table.from_pylist(list(late), schema=LATE_SCHEMA),
        checkpoints=[
            Checkpoint(partition=partition, next_offset=offset, state=f"state {partition} {offset}".encode())
            for partition, offset in positions.items()
        ],
    )


class WindowSinkContract:
    """Fixtures give `worker` (a new worker's sink on what is stored) and `stored` (rows of a table)."""

    def test_nothing_is_restored_from_nothing(self, worker: Callable[[], WindowSink]) -> None:
        assert worker().restore(0) is None

    def test_rows_and_position_come_together(
        self, worker: Callable[[], WindowSink], stored: Callable[[str], Rows]
    ) -> None:
        sink = worker()
        sink.restore(0)
        sink.restore(1)
        rows = [window_row(1), window_row(0), window_row(0, partition=1)]
        sink.commit(commit_of({0: 7, 1: 9}, rows))
        assert worker().restore(0) == Checkpoint(partition=0, next_offset=7, state=b"state 0 7")
        assert worker().restore(1) == Checkpoint(partition=1, next_offset=9, state=b"state 1 9")
        assert worker().restore(2) is None
        key = lambda row: (row["partition"], row["window_start"])  # noqa: E731
        assert sorted(stored("windows"), key=key) == sorted(rows, key=key)

    def test_a_correction_is_another_row(self, worker: Callable[[], WindowSink], stored: Callable[[str], Rows]) -> None:
        sink = worker()
        sink.restore(0)
        rows = [window_row(1, revision=1), window_row(1), window_row(1, revision=2)]
        sink.commit(commit_of({0: 7}, rows[:2]))
        sink.commit(commit_of({0: 9}, rows[2:]))
        assert sorted(stored("windows"), key=lambda row: row["revision"]) == [rows[1], rows[0], rows[2]]

    def test_a_commit_without_rows_moves_the_position(self, worker: Callable[[], WindowSink]) -> None:
        sink = worker()
        sink.restore(0)
        sink.commit(commit_of({0: 5}))
        sink.commit(commit_of({0: 6}))
        restored = worker().restore(0)
        assert restored is not None
        assert restored.next_offset == 6

    def test_a_worker_whose_partition_moved_is_fenced(
        self, worker: Callable[[], WindowSink], stored: Callable[[str], Rows]
    ) -> None:
        zombie, successor = worker(), worker()
        zombie.restore(0)
        successor.restore(0)
        successor.commit(commit_of({0: 5}, [window_row(1)]))
        with pytest.raises(Fenced):
            zombie.commit(commit_of({0: 5}, [window_row(1)]))
        assert len(stored("windows")) == 1

    def test_a_repeat_of_the_same_commit_by_another_worker_is_refused(
        self, worker: Callable[[], WindowSink], stored: Callable[[str], Rows]
    ) -> None:
        first = worker()
        first.restore(0)
        second = worker()
        second.restore(0)
        commit = commit_of({0: 5}, [window_row(1)])
        first.commit(commit)
        first.commit(commit_of({0: 8}, [window_row(2)]))
        with pytest.raises(Fenced):
            second.commit(commit)
        assert len(stored("windows")) == 2

    def test_a_partition_that_was_not_restored_is_refused(self, worker: Callable[[], WindowSink]) -> None:
        with pytest.raises(Fenced):
            worker().commit(commit_of({0: 5}))

    def test_workers_of_different_partitions_do_not_disturb_each_other(
        self, worker: Callable[[], WindowSink], stored: Callable[[str], Rows]
    ) -> None:
        left, right = worker(), worker()
        left.restore(0)
        right.restore(1)
        for number in range(3):
            left.commit(commit_of({0: number + 1}, [window_row(number)]))
            right.commit(commit_of({1: number + 1}, [window_row(number, partition=1)]))
        assert len(stored("windows")) == 6

    def test_late_readings_are_written_once(
        self, worker: Callable[[], WindowSink], stored: Callable[[str], Rows]
    ) -> None:
        sink = worker()
        sink.restore(0)
        sink.commit(commit_of({0: 10}, [], [late_row(3), late_row(4), late_row(4)]))
        sink.commit(commit_of({0: 20}, [], [late_row(12)]))
        assert [row["offset"] for row in stored("late_readings")] == [3, 4, 4, 12]


class TestMemorySink(WindowSinkContract):
    @pytest.fixture
    def store(self) -> Store:
        return Store()

    @pytest.fixture
    def worker(self, store: Store) -> Callable[[], WindowSink]:
        return lambda: MemorySink(store)

    @pytest.fixture
    def stored(self, store: Store) -> Callable[[str], Rows]:
        return lambda name: pa.concat_tables(store.windows if name == "windows" else store.late).to_pylist()


class TestLakeWindowSink(WindowSinkContract):
    @pytest.fixture
    def worker(self, tmp_path: Path) -> Callable[[], LakeWindowSink]:
        return lambda: LakeWindowSink(
            lake_root=tmp_path / "lake", state_root=tmp_path / "state", stream="windows", topic="readings"
        )

    @pytest.fixture
    def stored(self, tmp_path: Path) -> Callable[[str], Rows]:
        def rows(name: str) -> Rows:
            table = DeltaTable(tmp_path / "lake" / name).to_pyarrow_table().drop_columns(["date"])
            order = [("partition", "ascending"), ("offset" if name == "late_readings" else "first_offset", "ascending")]
            return table.sort_by(order).to_pylist()

        return rows

    def test_late_readings_of_a_cut_commit_are_not_doubled(
        self, worker: Callable[[], LakeWindowSink], stored: Callable[[str], Rows], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sink = worker()
        sink.restore(0)
        with monkeypatch.context() as patch:
            patch.setattr("storage.lake.window_sink.write_state", _die)
            with pytest.raises(RuntimeError, match="killed"):
                sink.commit(commit_of({0: 10}, [window_row(0)], [late_row(3)]))
        successor = worker()
        assert successor.restore(0) is None
        # the same readings again, cut elsewhere
        successor.commit(commit_of({0: 4}, [], [late_row(3)]))
        successor.commit(commit_of({0: 12}, [window_row(0)], [late_row(11)]))
        assert [row["offset"] for row in stored("late_readings")] == [3, 11]
        assert len(stored("windows")) == 1

    def test_a_commits_steps_are_told_in_their_order(self, tmp_path: Path) -> None:
        told: list[Step] = []
        sink = LakeWindowSink(
            lake_root=tmp_path / "lake",
            state_root=tmp_path / "state",
            stream="windows",
            topic="readings",
            step=told.append,
        )
        sink.restore(0)
        sink.commit(commit_of({0: 10}, [window_row(0)], [late_row(3)]))
        assert told == list(STEPS[STEPS.index("late part on disk") : STEPS.index("committed")])

    def test_a_zombie_writes_no_late_readings(
        self, worker: Callable[[], LakeWindowSink], stored: Callable[[str], Rows]
    ) -> None:
        zombie, successor = worker(), worker()
        zombie.restore(0)
        successor.restore(0)
        successor.commit(commit_of({0: 5}, [], [late_row(3)]))
        with pytest.raises(Fenced):
            zombie.commit(commit_of({0: 6}, [], [late_row(3), late_row(5)]))
        assert [row["offset"] for row in stored("late_readings")] == [3]

    def test_a_commit_that_comes_in_between_fences(
        self, worker: Callable[[], LakeWindowSink], stored: Callable[[str], Rows], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both look at the same snapshot; the log's own conflict check has to refuse the second."""
        zombie, successor = worker(), worker()
        zombie.restore(0)
        successor.restore(0)
        successor.commit(commit_of({0: 5}, [window_row(1)]))
        # the zombie looked before the successor's commit, and commits after it
        monkeypatch.setattr(zombie._windows, "refresh", lambda: None)
        with pytest.raises(Fenced, match="Concurrent"):
            zombie.commit(commit_of({0: 5}, [window_row(1)]))
        assert len(stored("windows")) == 1

    def test_files_are_sorted_and_partitioned_by_date(
        self, worker: Callable[[], LakeWindowSink], tmp_path: Path
    ) -> None:
        sink = worker()
        sink.restore(0)
        rows = [window_row(2), window_row(0), window_row(1)]
        sink.commit(commit_of({0: 7}, rows))
        table = DeltaTable(tmp_path / "lake" / "windows")
        assert table.metadata().partition_columns == ["date"]
        files = sorted(Path(uri).parent.name for uri in table.file_uris())
        assert files == ["date=2026-03-01", "date=2026-03-02"]

    def test_positions_survive_the_logs_checkpoints(self, worker: Callable[[], LakeWindowSink], tmp_path: Path) -> None:
        sink = worker()
        sink.restore(0)
        for number in range(CHECKPOINT_INTERVAL + 3):
            sink.commit(commit_of({0: number + 1}, [window_row(number)]))
        assert list((tmp_path / "lake" / "windows" / "_delta_log").glob("*.checkpoint.parquet"))
        restored = worker().restore(0)
        assert restored is not None
        assert restored.next_offset == CHECKPOINT_INTERVAL + 3

    def test_superseded_states_go_after_their_grace(
        self, worker: Callable[[], LakeWindowSink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sink = worker()
        sink.restore(0)
        sink.commit(commit_of({0: 1}))
        sink.commit(commit_of({0: 2}))
        assert len(list((tmp_path / "state").iterdir())) == 2
        monkeypatch.setattr("storage.lake.stream_state.GRACE", timedelta(seconds=-1))
        sink.commit(commit_of({0: 3}))
        assert len(list((tmp_path / "state").iterdir())) == 1
        assert worker().restore(0) is not None

    def test_a_damaged_state_is_not_used(self, worker: Callable[[], LakeWindowSink], tmp_path: Path) -> None:
        sink = worker()
        sink.restore(0)
        sink.commit(commit_of({0: 1}))
        (file,) = (tmp_path / "state").iterdir()
        file.write_bytes(b"something else")
        with pytest.raises(TryAgain, match="damaged"):
            worker().restore(0)
        file.unlink()
        with pytest.raises(TryAgain, match="superseded meanwhile, or deleted"):
            worker().restore(0)

    def test_a_table_from_before_there_were_revisions_gets_the_column(
        self, worker: Callable[[], LakeWindowSink], stored: Callable[[str], Rows], tmp_path: Path
    ) -> None:
        older = LakeTable(name="windows", schema=WINDOWS.schema.remove(WINDOWS.schema.get_field_index("revision")))
        opened(tmp_path / "lake", older)
        row = {**window_row(0), "date": START.date()}
        rows = pa.Table.from_pylist([row], schema=older.schema)
        write_deltalake(tmp_path / "lake" / "windows", rows, mode="append", partition_by=["date"])
        first, second = worker(), worker()
        for number, sink in enumerate((first, second)):
            sink.restore(number)
            sink.commit(commit_of({number: 5}, [window_row(number + 1, partition=number, revision=number)]))
        assert [row["revision"] for row in stored("windows")] == [None, 0, 1]

    def test_streams_of_other_names_begin_afresh(self, worker: Callable[[], LakeWindowSink], tmp_path: Path) -> None:
        sink = worker()
        sink.restore(0)
        sink.commit(commit_of({0: 1}))
        other = LakeWindowSink(
            lake_root=tmp_path / "lake", state_root=tmp_path / "state", stream="other", topic="readings"
        )
        assert other.restore(0) is None
        with pytest.raises(ValueError, match="letters, digits"):
            PartitionIds(stream="a/b", topic="readings", partition=0)


def _die(*_: object, **__: object) -> int:
    raise RuntimeError("killed")
