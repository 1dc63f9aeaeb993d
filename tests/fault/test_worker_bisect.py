"""A poison item in a mini-batch, with `retry_settings.bisect`: it is lost alone; without, its mini-batch is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoring.compute.local import LocalCompute
from scoring.deployment import InputFormat
from scoring.job import Job, JobStatus
from scoring.minibatch import InputItem, MiniBatchOutcome, Slice, SliceKind
from tests.contract.engine import Engine

pytestmark = pytest.mark.fault

SCRIPT = """
import os, signal, sys, time
def run(mini_batch):
    names = [os.path.basename(path) for path in mini_batch]
    if "folder-0004.txt" in names:
        {deed}
    return names
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


@pytest.fixture
def compute(engine: Engine, tmp_path: Path) -> Iterator[LocalCompute]:
    local = LocalCompute(engine.catalog.compute, folder=tmp_path / "logs")
    yield local
    local.close()


def score(engine: Engine, compute: LocalCompute, script: str, **deployment: object) -> Job:
    engine.deploy(textwrap.dedent(script), mini_batch_size=8, max_retries=2, **deployment)
    engine.files(10)
    engine.invoke()
    ended = engine.runner(compute).run_one()
    assert ended is not None
    return ended


@pytest.mark.parametrize(
    "deed", ["raise ValueError('poison')", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)", "return None"]
)
def test_only_the_poison_file_is_lost(engine: Engine, compute: LocalCompute, deed: str) -> None:
    job = score(engine, compute, SCRIPT.format(deed=deed), bisect=True, max_concurrency_per_instance=2)
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert engine.sink.rows[job.name] == [f"folder-{n:04d}.txt" for n in range(10) if n != 4]
    assert (job.progress.items, job.progress.items_succeeded, job.progress.items_failed) == (10, 9, 1)
    assert job.progress.mini_batches_done == job.progress.mini_batches == 2
    _, results = engine.jobs.manifest(job)
    divided = next(result for result in results if result.index == 0)
    assert divided.outcome is MiniBatchOutcome.SUCCEEDED
    assert str(divided.error).startswith("1 of 8 items failed, in parts of their own; first: ")
    # twice as a whole; [0..3], [4..7]; [4 5], [6 7]; [4] twice, [5]
    assert divided.tries == 9


def test_a_stuck_file_is_lost_alone_too(engine: Engine, compute: LocalCompute) -> None:
    job = score(engine, compute, SCRIPT.format(deed="time.sleep(60)"), bisect=True, timeout=1)
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert (job.progress.items_succeeded, job.progress.items_failed) == (9, 1)


def test_without_it_the_mini_batch_is_lost_as_on_azure(engine: Engine, compute: LocalCompute) -> None:
    job = score(engine, compute, SCRIPT.format(deed="raise ValueError('poison')"))
    assert (job.progress.items_succeeded, job.progress.items_failed) == (2, 8)


def test_slices_of_a_worker_that_was_killed_are_removed(engine: Engine, compute: LocalCompute) -> None:
    script = "import os, signal\ndef run(mini_batch):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    engine.deploy(script, max_retries=1, mini_batch_size=9, input_format=InputFormat.SLICES)
    item = engine.files(1)[0]
    Path(item.uri).write_text("a\n1\n2\n")
    part = Slice(kind=SliceKind.BYTES, start=2, end=4, header=2)
    engine.reader.folders["folder"] = [InputItem(uri=item.uri, size_bytes=2, slice=part)]
    engine.invoke()
    job = engine.runner(compute).run_one()
    assert job is not None
    assert job.status is JobStatus.FAILED
    assert not (engine.folder / "jobs" / job.name / "slices").exists()


def test_the_threshold_counts_the_poison_alone(engine: Engine, compute: LocalCompute) -> None:
    deed = "raise ValueError('poison')"
    job = score(engine, compute, SCRIPT.format(deed=deed), bisect=True, error_threshold=1)
    assert job.status is JobStatus.COMPLETED, job.status_reason
    job = score(engine, compute, SCRIPT.format(deed=deed), bisect=True, error_threshold=0)
    assert job.status is JobStatus.FAILED
    assert "1 items failed, error_threshold allows 0" in str(job.status_reason)
    assert "ValueError: poison" in str(job.error)


def test_only_the_poison_row_of_a_frame_is_lost(engine: Engine, compute: LocalCompute) -> None:
    script = """
    def run(frame):
        if (frame["n"] == 13).any():
            raise ValueError("unlucky")
        return frame
    """
    engine.deploy(
        textwrap.dedent(script), bisect=True, max_retries=1, mini_batch_size=2, input_format=InputFormat.DATAFRAME
    )
    items = engine.files(3)
    for place, item in enumerate(items):
        path = Path(item.uri).with_suffix(".csv")
        path.write_text("n\n" + "".join(f"{place * 10 + n}\n" for n in range(10)))
    engine.reader.folders["folder"] = [
        type(item)(uri=str(Path(item.uri).with_suffix(".csv")), size_bytes=item.size_bytes) for item in items
    ]
    engine.invoke()
    job = engine.runner(compute).run_one()
    assert job is not None
    assert job.status is JobStatus.COMPLETED, job.status_reason
    assert engine.sink.rows[job.name] == [str(n) for n in range(30) if n != 13]
    assert (job.progress.items, job.progress.items_succeeded, job.progress.items_failed) == (30, 29, 1)
