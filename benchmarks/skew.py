"""One large file among many small ones: how close two workers come to the ideal split of the work.

    python benchmarks/skew.py                    # 400 MB and 999 small files, two workers
    python benchmarks/skew.py --megabytes 60     # a quick look

Every round scores three folders, one after the other, on the same warm workers:

split    one large file and many small ones; the large one is cut by rows, the largest pieces are handed out first
even     the same small files, and the large one cut beforehand, by hand, into files of a mini-batch's size
whole    the skewed folder again, files whole, as a batch endpoint that counts files has to do it

The ideal is measured in the same round, twice: `even`, and the workers' busy seconds of `split` by their number.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scoring.compute.cluster import Compute
from scoring.compute.local import LocalCompute
from scoring.deployment import CodeConfiguration, Deployment, InputFormat, OutputAction
from scoring.job import Job, JobInput, JobInputType
from scoring.manifest import Manifest
from scoring.mini_batch_size import MiniBatchSize
from scoring.minibatch import MiniBatchResult
from scoring.model import ModelReference
from scoring.plan import largest_first, plan
from storage.inputs.reader import Places
from storage.inputs.splitting import split
from storage.inputs.uri_folder import UriFolder

SCRIPT = """
import numpy


def run(frame):
    numbers = frame.select_dtypes("number").to_numpy(dtype="float64")
    numpy.sqrt(numpy.abs(numbers)).sum(axis=1)
    return [0] * len(frame)
"""
HEADER = b"id,name,flow,pressure,current,temperature,vibration\n"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of one job: planning; scoring, from handing out the plan to its end; the sum of its mini-batches'."""

    planning: float
    scoring: float
    busy: float
    mini_batches: int
    rows: int

    @property
    def total(self) -> float:
        return self.planning + self.scoring

    def __str__(self) -> str:
        return (
            f"planned in {self.planning:5.2f} s  scored in {self.scoring:6.2f} s  busy {self.busy:6.2f} s  "
            f"{self.mini_batches} mini-batches, {self.rows:,} rows"
        )


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _write_inputs(folder, options)
        (folder / "code").mkdir()
        (folder / "code" / "score.py").write_text(SCRIPT)
        cluster = Compute(name="cluster", max_instances=options.workers, idle_time_before_scale_down=3600)
        compute = LocalCompute(lambda name: cluster, folder=folder / "logs")
        try:
            _rounds(folder, compute, options)
        finally:
            compute.close()


def _rounds(folder: Path, compute: LocalCompute, options: argparse.Namespace) -> None:
    size = MiniBatchSize.parse(options.mini_batch_size)
    _score(folder, compute, "even", "warm-up", size, options.workers)
    against_even, against_busy, whole_against_even = [], [], []
    ways = {"split": ("skewed", size), "even": ("even", size), "whole": ("skewed", MiniBatchSize(number=10))}
    for number in range(options.rounds):
        found = {}
        # in turns, so that nobody always has the quiet moment
        for place in range(len(ways)):
            name = list(ways)[(number + place) % len(ways)]
            data, way_size = ways[name]
            found[name] = _score(folder, compute, data, f"{name}-{number}", way_size, options.workers)
            print(f"round {number + 1} {name:5}  {found[name]}")
        skewed, even, whole = (found[name] for name in ways)
        assert skewed.rows == even.rows == whole.rows
        against_even.append(skewed.total / even.total)
        against_busy.append(skewed.total / (skewed.busy / options.workers))
        whole_against_even.append(whole.total / even.total)
    print("planning and scoring together, as a ratio:")
    print(f"split / even (ideal, measured):    {_shown(against_even)}")
    print(f"split / (busy seconds / workers):  {_shown(against_busy)}")
    print(f"whole files / even:                {_shown(whole_against_even)}")


def _score(folder: Path, compute: LocalCompute, data: str, name: str, size: MiniBatchSize, workers: int) -> Timing:
    deployment = Deployment(
        name="blue",
        endpoint_name="skew",
        model=ModelReference(name="none", version="1"),
        code_configuration=CodeConfiguration(code=str(folder / "code"), scoring_script="score.py"),
        compute="cluster",
        instance_count=workers,
        mini_batch_size=size.number,
        mini_batch_unit=size.unit,
        input_format=InputFormat.DATAFRAME,
        output_action=OutputAction.SUMMARY_ONLY,
    )
    given = JobInput(type=JobInputType.URI_FOLDER, path=str(folder / data))
    job = Job(name=name, endpoint_name="skew", deployment=deployment, input=given)
    began = time.perf_counter()
    reader = UriFolder(Places(lake=folder, engine=None))  # type: ignore[arg-type]
    items = split(deployment, given, reader.items(given))
    manifest = Manifest(job_name=name, mini_batches=plan(given.type, items, size))
    planned = time.perf_counter()
    results: list[MiniBatchResult] = []
    compute.run(
        job,
        largest_first(manifest.mini_batches),
        manifest=manifest,
        model_path=str(folder),
        job_folder=folder / "jobs" / name,
        on_result=results.append,
        should_stop=lambda: None,
    )
    ended = time.perf_counter()
    failed = next((result.error for result in results if result.error), None)
    if failed is not None:
        raise SystemExit(f"a mini-batch failed: {failed}")
    return Timing(
        planning=planned - began,
        scoring=ended - planned,
        busy=sum(result.seconds for result in results),
        mini_batches=len(results),
        rows=sum(result.succeeded for result in results),
    )


def _write_inputs(folder: Path, options: argparse.Namespace) -> None:
    name = b'"pump %d, hall ""B"""' if options.quoted else b"pump %d of hall B"
    block = b"".join(
        b"%d,%b,%.4f,%.4f,%.4f,%.4f,%.4f\n" % (n, name % n, n * 0.37, n * 1.1, n * 0.02, n % 90, n % 7)
        for n in range(2000)
    )
    large = options.megabytes * 1_000_000 // len(block)
    small = max(1, options.small_kilobytes * 1000 // len(block))
    skewed, even = folder / "skewed", folder / "even"
    for place in (skewed, even):
        place.mkdir()
    for number in range(options.small):
        _write(skewed / f"small-{number:04d}.csv", block, small)
        _write(even / f"small-{number:04d}.csv", block, small)
    _write(skewed / "large.csv", block, large)
    # a little smaller than a mini-batch, so that none of them is cut
    files = max(2, -(-large * len(block) // (MiniBatchSize.parse(options.mini_batch_size).number - len(block))))
    for number in range(files):
        _write(even / f"large-{number:04d}.csv", block, large * (number + 1) // files - large * number // files)
    total = (large + small * options.small) * len(block) / 1e6
    print(
        f"{total:.0f} MB: one file of {large * len(block) / 1e6:.0f} MB and {options.small} of "
        f"{small * len(block) / 1e3:.0f} kB; by hand: {files} files of the large one; {options.workers} workers"
    )


def _write(path: Path, block: bytes, times: int) -> None:
    with path.open("wb") as file:
        file.write(HEADER)
        for _ in range(times):
            file.write(block)
        # what is still on its way to the disk would disturb the first job
        os.fsync(file.fileno())


def _shown(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.3f} (median of {len(ratios)}; {', '.join(f'{ratio:.3f}' for ratio in ratios)})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=400, help="size of the large file")
    parser.add_argument("--small", type=int, default=999, help="number of small files")
    parser.add_argument("--small-kilobytes", type=int, default=100, help="size of a small file")
    parser.add_argument("--quoted", action="store_true", help="a column of texts with quotes and commas in them")
    parser.add_argument("--mini-batch-size", default="10MB")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
