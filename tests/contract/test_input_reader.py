"""What every InputReader must do: freeze what a job reads, and list it the same way for ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from scoring.errors import InvalidInput
from scoring.job import JobInput, JobInputType
from scoring.minibatch import InputItem
from scoring.ports import InputReader
from storage.inputs import INPUTS
from storage.inputs.reader import InputsByType, Places
from storage.postgres.engine import create_engine
from storage.postgres.tables import machines, sensors, sites
from tests.contract.lake import append, compact, vacuum, window_rows
from tests.contract.memory import MemoryInputReader, MemoryTable

FOLDER, FILE, TABLE = JobInputType.URI_FOLDER, JobInputType.URI_FILE, JobInputType.TABLE


@dataclass(kw_only=True)
class Subject:
    """A reader over a folder of three files and a table `windows`; `grow` appends a part file of that many rows."""

    reader: InputReader
    folder: str
    grow: Callable[[int], int]

    def windows(self, **changes: object) -> JobInput:
        return replace(JobInput(type=TABLE, path="lake://windows"), **changes)  # type: ignore[arg-type]

    def rows(self, job_input: JobInput) -> list[int | None]:
        return [item.rows for item in self.reader.items(self.reader.resolve(job_input))]


class InputReaderContract:
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        raise NotImplementedError

    def test_files_of_a_folder_are_items_in_a_stable_order(self, subject: Subject) -> None:
        resolved = subject.reader.resolve(JobInput(type=FOLDER, path=subject.folder))
        items = subject.reader.items(resolved)
        assert [(Path(item.uri).name, item.size_bytes, item.rows) for item in items] == [
            ("a.txt", 1, None), ("b.txt", 2, None), ("c.txt", 3, None)
        ]  # fmt: skip
        assert subject.reader.items(resolved) == items
        assert all(Path(item.uri).is_absolute() for item in items)

    def test_a_folder_that_is_not_there_is_named(self, subject: Subject) -> None:
        with pytest.raises(InvalidInput, match="/nowhere/at-all"):
            subject.reader.resolve(JobInput(type=FOLDER, path="/nowhere/at-all"))

    def test_a_table_that_is_not_there_is_named(self, subject: Subject) -> None:
        with pytest.raises(InvalidInput, match="nix"):
            subject.reader.resolve(JobInput(type=TABLE, path="lake://nix"))

    def test_resolving_freezes_the_version_and_later_commits_change_nothing(self, subject: Subject) -> None:
        subject.grow(4)
        newest = subject.grow(5)
        frozen = subject.reader.resolve(subject.windows())
        assert frozen == subject.windows(to_version=newest)
        listed = subject.reader.items(frozen)
        subject.grow(6)
        assert subject.reader.items(frozen) == listed
        assert [item.rows for item in listed] in ([4, 5], [5, 4])
        assert subject.reader.resolve(frozen) == frozen

    def test_only_what_came_after_from_version(self, subject: Subject) -> None:
        scored = subject.grow(4)
        subject.grow(5)
        subject.grow(6)
        assert subject.rows(subject.windows(from_version=scored)) == [5, 6]
        assert subject.rows(subject.windows(from_version=scored, to_version=scored + 1)) == [5]

    def test_nothing_new_is_no_items(self, subject: Subject) -> None:
        newest = subject.grow(4)
        assert subject.rows(subject.windows(from_version=newest)) == []

    def test_without_joins_there_is_no_snapshot(self, subject: Subject, tmp_path: Path) -> None:
        subject.grow(1)
        assert subject.reader.snapshot(subject.reader.resolve(subject.windows()), tmp_path / "static") is None


class TestMemoryInputReader(InputReaderContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        table = MemoryTable()
        files = [InputItem(uri=f"/data/{name}.txt", size_bytes=n) for n, name in enumerate("abc", 1)]
        return Subject(
            reader=MemoryInputReader({"/data": files}, {"lake://windows": table}),
            folder="/data",
            grow=lambda rows: table.append(InputItem(uri=f"/lake/{rows}.parquet", size_bytes=1, rows=rows)),
        )


class TestInputsByType(InputReaderContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        for name in "cab":
            (tmp_path / "data").mkdir(exist_ok=True)
            (tmp_path / "data" / f"{name}.txt").write_bytes(b"x" * ("abc".index(name) + 1))
        return Subject(
            reader=InputsByType(Places(lake=tmp_path / "lake", engine=create_engine("postgresql://127.0.0.1:1/none"))),
            folder=str(tmp_path / "data"),
            grow=lambda rows: append(tmp_path / "lake" / "windows", window_rows(rows, first=100 * rows)),
        )

    def test_every_type_has_a_reader(self) -> None:
        assert set(INPUTS) == {kind.value for kind in JobInputType}

    # --- folders and files --------------------------------------------------------------------------------------

    def test_a_folder_is_listed_whole_without_hidden_files(self, subject: Subject) -> None:
        root = Path(subject.folder)
        for path in ("sub/deep/é x.png", "sub/1.txt", ".hidden", ".git/config", "sub/.DS_Store", "b/z", "Z"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("x")
        os.symlink(root / "a.txt", root / "link.txt")
        os.symlink(root, root / "sub" / "up")
        items = subject.reader.items(subject.reader.resolve(JobInput(type=FOLDER, path=subject.folder)))
        assert [str(Path(item.uri).relative_to(root)) for item in items] == [
            "Z", "a.txt", "b/z", "b.txt", "c.txt", "link.txt", "sub/1.txt", "sub/deep/é x.png"
        ]  # fmt: skip

    def test_what_cannot_be_a_folder_says_why(self, subject: Subject, tmp_path: Path) -> None:
        (tmp_path / "empty" / ".hidden").mkdir(parents=True)
        os.symlink(tmp_path / "gone", tmp_path / "empty" / "broken")
        bytes_name = os.fsencode(tmp_path / "bytes") + b"/\xff.txt"
        (tmp_path / "bytes").mkdir()
        Path(os.fsdecode(bytes_name)).write_text("x")
        (tmp_path / "nothing").mkdir()
        for path, reason in (
            (subject.folder + "/a.txt", "uri_file"),
            ("data", "relative"),
            ("", "a path is needed"),
            ("s3://bucket/x", "allowed are local paths"),
            ("file://elsewhere/x", "another machine"),
            (str(tmp_path / "nothing"), "holds no files"),
            (str(tmp_path / "empty"), "broken cannot be read"),
            (str(tmp_path / "bytes"), "no UTF-8"),
        ):
            with pytest.raises(InvalidInput, match=reason) as raised:
                subject.rows(JobInput(type=FOLDER, path=path))
            assert raised.value.place == "input.path"

    def test_a_file_is_one_item_even_as_a_url(self, subject: Subject) -> None:
        (Path(subject.folder) / "b c.txt").write_text("abcd")
        for path in (f"{subject.folder}/b c.txt", f"file://{subject.folder}/b%20c.txt"):
            resolved = subject.reader.resolve(JobInput(type=FILE, path=path))
            assert subject.reader.items(resolved) == [InputItem(uri=f"{subject.folder}/b c.txt", size_bytes=4)]
            assert subject.reader.snapshot(resolved, Path(subject.folder)) is None

    def test_a_file_that_is_none_says_why(self, subject: Subject) -> None:
        with pytest.raises(InvalidInput, match="uri_folder"):
            subject.reader.resolve(JobInput(type=FILE, path=subject.folder))
        with pytest.raises(InvalidInput, match="not there"):
            subject.reader.resolve(JobInput(type=FILE, path=subject.folder + "/nix"))

    # --- tables -------------------------------------------------------------------------------------------------

    def test_part_files_hold_the_rows_that_are_promised(self, subject: Subject) -> None:
        for rows in (4, 5, 6):
            subject.grow(rows)
        for item in subject.reader.items(subject.reader.resolve(subject.windows(from_version=0))):
            assert pq.ParquetFile(item.uri).metadata.num_rows == item.rows
            assert Path(item.uri).stat().st_size == item.size_bytes

    def test_a_compaction_brings_nothing_and_hides_nothing(self, subject: Subject, tmp_path: Path) -> None:
        for rows in (4, 5, 6):
            subject.grow(rows)
        compacted = compact(tmp_path / "lake" / "windows")
        assert subject.rows(subject.windows(from_version=2)) == []
        assert subject.rows(subject.windows(from_version=0, to_version=compacted)) == [5, 6]
        assert subject.rows(subject.windows()) == [15]
        subject.grow(7)
        assert subject.rows(subject.windows(from_version=compacted)) == [7]

    def test_of_a_corrected_window_the_newest_revision_within_the_versions_is_read(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        table = tmp_path / "lake" / "windows"
        first = append(table, window_rows(6))
        second = append(table, window_rows(2, first=2, revision=1))
        third = append(table, window_rows(1, first=3, revision=2))
        assert subject.rows(subject.windows(to_version=first)) == [6]
        assert sorted(map(int, subject.rows(subject.windows(to_version=third)))) == [1, 1, 2, 2]  # type: ignore[arg-type]
        assert subject.rows(subject.windows(from_version=first, to_version=second)) == [2]
        assert subject.rows(subject.windows(from_version=first)) == [1, 1]
        compact(table)
        assert sum(map(int, subject.rows(subject.windows()))) == 6  # type: ignore[arg-type]

    def test_history_that_is_gone_is_said_with_the_mend(self, subject: Subject, tmp_path: Path) -> None:
        for rows in (4, 5, 6):
            subject.grow(rows)
        table = tmp_path / "lake" / "windows"
        compact(table)
        vacuum(table)
        with pytest.raises(InvalidInput, match=r"vacuumed; score the whole table once"):
            subject.rows(subject.windows(from_version=0))
        assert subject.rows(subject.windows()) == [15]

    def test_a_version_that_is_none_is_refused(self, subject: Subject) -> None:
        subject.grow(4)
        with pytest.raises(InvalidInput, match="made anew"):
            subject.rows(subject.windows(from_version=9))
        with pytest.raises(InvalidInput, match="it has 0 to 0"):
            subject.rows(subject.windows(to_version=4))

    @pytest.mark.parametrize("path", ["windows", "lake://", "lake://../windows", "lake://a/b", "lake://.x", "s3://w"])
    def test_a_table_is_named_by_one_word(self, subject: Subject, path: str) -> None:
        with pytest.raises(InvalidInput, match="lake://windows"):
            subject.reader.resolve(JobInput(type=TABLE, path=path))

    def test_a_missing_table_says_where_it_was_looked_for_and_what_there_is(self, subject: Subject) -> None:
        with pytest.raises(InvalidInput, match=r"lake/windows/_delta_log, which is empty so far"):
            subject.reader.resolve(subject.windows())
        subject.grow(1)
        with pytest.raises(InvalidInput, match="which has windows"):
            subject.reader.resolve(JobInput(type=TABLE, path="lake://nix"))

    def test_only_static_tables_can_be_joined(self, subject: Subject) -> None:
        subject.grow(1)
        with pytest.raises(InvalidInput, match="allowed are sensors, machines, sites"):
            subject.reader.resolve(subject.windows(join=("jobs",)))


@pytest.mark.stack
def test_a_snapshot_holds_the_static_tables_as_they_are(engine: sa.Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(sites).values(site_id="s", name="Süd", latitude=1.5, time_zone="Europe/Berlin"))
        connection.execute(
            sa.insert(machines),
            [
                {"machine_id": f"m{n}", "site_id": "s", "model": "X", "rated_flow_m3h": 1.0, "rated_head_m": 2.0,
                 "rated_power_kw": 3.0, "rated_speed_rpm": 4.0, "installed_on": date(2020, 1, n)} for n in (2, 1)
            ],
        )  # fmt: skip
    reader = InputsByType(Places(lake=tmp_path, engine=engine))
    job_input = JobInput(type=TABLE, path="lake://windows", join=("sensors", "machines", "sites"), to_version=0)
    folder = tmp_path / "static"
    for _ in range(2):  # again after a crash
        assert reader.snapshot(job_input, folder) == folder
    assert sorted(path.name for path in folder.iterdir()) == ["machines.parquet", "sensors.parquet", "sites.parquet"]
    found = pq.read_table(folder / "machines.parquet")
    assert found["machine_id"].to_pylist() == ["m1", "m2"]
    assert found["installed_on"].to_pylist() == [date(2020, 1, 1), date(2020, 1, 2)]
    assert pq.read_table(folder / "sites.parquet").to_pylist() == [
        {
            "site_id": "s",
            "name": "Süd",
            "country": None,
            "latitude": 1.5,
            "longitude": None,
            "time_zone": "Europe/Berlin",
        }
    ]
    empty = pq.read_table(folder / "sensors.parquet")
    assert empty.num_rows == 0
    assert empty.schema.field("low_limit").type == pa.float64()
    assert {column.name for column in sensors.columns} == set(empty.column_names)
