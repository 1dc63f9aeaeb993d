"""What scripts get and what their rows become: real files, real worker processes, the real output file."""

from __future__ import annotations

import csv
import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.compute.local import LocalCompute
from scoring.deployment import InputFormat, OutputAction, OutputFormat
from scoring.errors import InvalidInput
from scoring.invoke import Invocation
from scoring.job import Job, JobInput, JobInputType, JobOutput, JobStatus
from scoring.manifest import Manifest
from scoring.mini_batch_size import MiniBatchSize
from scoring.minibatch import SliceKind
from scoring.plan import plan
from storage.inputs.reader import InputsByType
from storage.inputs.reader import Places as InputPlaces
from storage.inputs.splitting import split
from storage.postgres.engine import create_engine
from storage.sinks.output_file import OutputFile
from storage.sinks.places import Places
from tests.contract.engine import Engine

ECHO = """
import os
def run(mini_batch):
    return [os.path.basename(path) for path in mini_batch]
"""
FRAME = """
def run(frame):
    return frame.assign(twice=frame["n"] * 2)
"""
PATHS = """
import os, pandas
def run(mini_batch):
    frames = [pandas.read_parquet(p) if p.endswith("parquet") else pandas.read_csv(p) for p in mini_batch]
    assert all(os.path.getsize(p) for p in mini_batch)
    return pandas.concat(frames)[["n"]]
"""


class World:
    """An engine whose folder `data` is read as it is on disk."""

    def __init__(self, folder: Path, compute: LocalCompute, engine: Engine) -> None:
        self.engine = engine
        self.data = folder / "input"
        self.data.mkdir()
        self.out = folder / "out"
        self._compute = compute
        self._reader = InputsByType(
            InputPlaces(lake=folder / "lake", engine=create_engine("postgresql://127.0.0.1:1/none"))
        )
        self._sink = OutputFile(Places(lake=folder / "lake", jobs=folder / "jobs"))

    def run(self, script: str, *, size: str = "10", **deployment: Any) -> Job:
        parsed = MiniBatchSize.parse(size)
        self.engine.deploy(
            textwrap.dedent(script), mini_batch_size=parsed.number, mini_batch_unit=parsed.unit, **deployment
        )
        given = JobInput(type=JobInputType.URI_FOLDER, path=str(self.data))
        self.engine.invoke(invocation=Invocation(input=given, output=JobOutput(path=str(self.out))))
        runner = self.engine.runner(self._compute, reader=self._reader, split=split, sinks=lambda job: [self._sink])
        job = runner.run_one()
        assert job is not None
        return job

    def manifest(self, job: Job) -> Manifest:
        found, _ = self.engine.jobs.manifest(job)
        assert found is not None
        return found

    def lines(self, name: str = "predictions.csv") -> list[str]:
        return (self.out / name).read_text().splitlines()

    def csv_of(self, name: str, numbers: Sequence[int]) -> Path:
        path = self.data / name
        pd.DataFrame({"n": numbers, "text": [f'row "{n}",\nsecond line' for n in numbers]}).to_csv(path, index=False)
        return path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    engine = Engine(tmp_path)
    compute = LocalCompute(engine.catalog.compute, folder=tmp_path / "logs")
    yield World(tmp_path, compute, engine)
    compute.close()


def completed(job: Job) -> Job:
    assert job.status is JobStatus.COMPLETED, f"{job.status_reason}\n{job.error}"
    return job


def test_files_stay_whole_and_in_order_however_large_with_a_size_in_bytes(world: World) -> None:
    for n, size in enumerate([10, 900, 20, 30, 2000, 5]):
        (world.data / f"{n}.bin").write_bytes(b"x" * size)
    job = completed(world.run(ECHO, size="100b", max_concurrency_per_instance=2))
    assert [[Path(item.uri).name for item in m.items] for m in world.manifest(job).mini_batches] == [
        ["0.bin"], ["1.bin"], ["2.bin", "3.bin"], ["4.bin"], ["5.bin"]
    ]  # fmt: skip
    assert world.lines() == [f"{n}.bin" for n in range(6)]


def test_one_large_csv_among_small_ones_is_cut_and_its_rows_come_in_order(world: World) -> None:
    world.csv_of("a.csv", range(3))
    world.csv_of("b.csv", range(3, 900))
    world.csv_of("c.csv", range(900, 905))
    job = completed(
        world.run(
            FRAME, size="2kb", input_format=InputFormat.DATAFRAME, max_concurrency_per_instance=2,
            output_format=OutputFormat.CSV, output_source=True,
        )
    )  # fmt: skip
    assert len(world.manifest(job).mini_batches) > 10
    with (world.out / "predictions.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [int(row["n"]) for row in found] == list(range(905))
    assert all(int(row["twice"]) == 2 * int(row["n"]) for row in found)
    assert found[500]["text"] == 'row "500",\nsecond line'
    assert [Path(row["source"]).name for row in (found[0], found[3], found[899], found[904])] == [
        "a.csv", "b.csv", "b.csv", "c.csv"
    ]  # fmt: skip
    assert (job.progress.items, job.progress.items_succeeded) == (905, 905)


@pytest.mark.parametrize("size", ["100 rows", "1kb"])
def test_an_unmodified_script_reads_slices_as_files(world: World, size: str) -> None:
    world.csv_of("a.csv", range(250))
    pq.write_table(pa.table({"n": range(250, 1000)}), world.data / "b.parquet", row_group_size=300)
    (world.data / "c.csv").write_text("n\n1000\n")
    job = completed(world.run(PATHS, size=size, input_format=InputFormat.SLICES, max_concurrency_per_instance=2))
    assert [int(line) for line in world.lines()] == list(range(1001))
    slices = [item.slice for m in world.manifest(job).mini_batches for item in m.items]
    assert {part.kind for part in slices if part is not None} == {SliceKind.BYTES, SliceKind.ROWS}
    # an item is what run() gets: a path
    assert job.progress.items == len(slices)
    left = world.engine.folder / "jobs" / job.name / "slices"
    assert not left.exists() or not list(left.iterdir())


def test_slices_have_the_files_name_and_ending(world: World) -> None:
    world.csv_of("sales.csv", range(6))
    completed(world.run(ECHO, size="4 rows", input_format=InputFormat.SLICES))
    first, second = world.lines()
    assert first.startswith("sales.7-")
    assert first.endswith(".csv")
    assert second.startswith("sales.")


def test_rows_of_whole_files_are_refused_when_they_are_asked_for(world: World) -> None:
    world.csv_of("a.csv", range(3))
    with pytest.raises(InvalidInput, match="mini_batch_size: found `100 rows`; input_format files gives whole files"):
        world.run(ECHO, size="100 rows")


def test_a_frame_of_what_is_no_table_fails_by_name(world: World) -> None:
    (world.data / "a.png").write_bytes(b"png")
    job = world.run(FRAME, size="1mb", input_format=InputFormat.DATAFRAME, max_retries=1)
    assert job.status is JobStatus.FAILED
    assert "a.png: no DataFrame can be made of it; allowed are files ending in .csv" in str(job.status_reason)


def test_jsonl_and_headerless_csv_as_frames(world: World) -> None:
    (world.data / "a.jsonl").write_text("".join(json.dumps({"0": n}) + "\n" for n in range(40)))
    (world.data / "b.csv").write_text("".join(f"{n}\n" for n in range(40, 90)))
    script = "def run(frame):\n    return frame.iloc[:, 0].astype(int).tolist()\n"
    job = completed(world.run(script, size="16 rows", input_format=InputFormat.DATAFRAME, input_header=False))
    assert world.lines() == [str(n) for n in range(90)]
    assert job.progress.items == 90


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_lists_with_columns_and_their_source(world: World, kind: str) -> None:
    for n in range(5):
        (world.data / f"{n}.png").write_bytes(b"x" * (50 - n))
    script = """
    import os
    def run(mini_batch):
        return [{"file": os.path.basename(path), "score": os.path.getsize(path) / 2} for path in mini_batch]
    """
    name = f"rows.{kind}"
    completed(world.run(script, size="2", output_format=OutputFormat(kind), output_source=True, output_file_name=name))
    read = {"csv": pd.read_csv, "jsonl": lambda path: pd.read_json(path, lines=True), "parquet": pd.read_parquet}
    found = read[kind](world.out / name)
    assert list(found.columns) == ["file", "score", "source"]
    assert found["file"].tolist() == [f"{n}.png" for n in range(5)]
    assert found["score"].tolist() == [(50 - n) / 2 for n in range(5)]
    assert found["source"].tolist() == [str(world.data / f"{n}.png") for n in range(5)]


def test_append_row_is_azures_to_the_byte(world: World) -> None:
    for n in range(3):
        (world.data / f"{n}.txt").touch()
    script = """
    import numpy, pandas
    frame = pandas.DataFrame({"file": ["a b.png", "c"], "score": [0.5, None], "n": numpy.array([1, 2], "int8")})
    rows = [["plain text, unquoted", {"k": 'v'}, (1, None)], frame, ("only one",)]
    def run(mini_batch):
        return rows[int(mini_batch[0][-5])]
    """
    completed(world.run(script, size="1"))
    assert (world.out / "predictions.csv").read_bytes() == (
        b"plain text, unquoted\n{'k': 'v'}\n(1, None)\n\"a b.png\" 0.5 1\nc  2\nonly one\n"
    )
    assert [path.name for path in world.out.iterdir()] == ["predictions.csv"]


def test_summary_only_delivers_what_the_script_wrote_and_nothing_else(world: World) -> None:
    for n in range(4):
        (world.data / f"{n}.txt").write_text(str(n))
    script = """
    import os
    def run(mini_batch):
        for path in mini_batch:
            with open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], os.path.basename(path)), "w") as file:
                file.write("scored " + open(path).read())
        return mini_batch
    """
    job = completed(world.run(script, size="2", output_action=OutputAction.SUMMARY_ONLY))
    assert {path.name: path.read_text() for path in world.out.iterdir()} == {
        f"{n}.txt": f"scored {n}" for n in range(4)
    }
    assert job.progress.items_succeeded == 4


def test_files_written_beside_append_row_are_delivered_too(world: World) -> None:
    (world.data / "0.txt").touch()
    script = """
    import os
    def run(mini_batch):
        open(os.path.join(os.environ["AZUREML_BI_OUTPUT_PATH"], "mine.bin"), "w").close()
        return ["row"]
    """
    completed(world.run(script))
    assert sorted(path.name for path in world.out.iterdir()) == ["mine.bin", "predictions.csv"]


def test_planning_again_gives_the_same_manifest(world: World) -> None:
    world.csv_of("a.csv", range(300))
    world.csv_of("b.csv", range(5))
    job = completed(world.run(FRAME, size="1kb", input_format=InputFormat.DATAFRAME))
    reader = InputsByType(InputPlaces(lake=world.data, engine=create_engine("postgresql://127.0.0.1:1/none")))
    items = split(job.deployment, job.input, reader.items(job.input))
    again = Manifest(job_name=job.name, mini_batches=plan(job.input.type, items, job.deployment.batch_size))
    assert again.fingerprint == world.manifest(job).fingerprint
