"""What mini-batches add up to: progress, thresholds, the job's verdict; and where their rows lie.

A worker writes the rows of each mini-batch into `<job folder>/results`, named by index, lease epoch and try. Up to two
files with one stem, of which `MiniBatchResult.rows_path` names the first that exists:

`.txt`             append_row: the lines as they go into the output file. A list or tuple: `str(item)`; a DataFrame:
                   `to_csv(header=None, index=None, sep=" ")`
`.rows`            output_format csv: a JSON list of the columns, then CSV without a header
`.ndjson`          output_format jsonl; and parquet, where the rows are no DataFrame: one JSON object a row
`.feather`         output_format parquet: the returned DataFrame as an Arrow IPC file
`.arrow`, `.jsonl` jobs whose rows are predictions: the returned DataFrame as an Arrow IPC file, or one JSON object a
                   row (a dict as it is, a number as {"score": …}, anything else as {"value": …}); for tables with the
                   index columns of the scored row (machine_id, window_start, window_end) where the script left them out
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from scoring.deployment import Deployment, OutputAction
from scoring.errors import JobFailed
from scoring.job import Job, JobInputType, JobProgress
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchOutcome, MiniBatchResult
from scoring.plan import planned_items

OUTPUT_SUFFIXES = (".txt", ".rows", ".ndjson", ".feather")
PREDICTION_SUFFIXES = (".arrow", ".jsonl")


def wants_text(job: Job) -> bool:
    """Whether the job's result rows go into its output file."""
    return job.deployment.output_action is OutputAction.APPEND_ROW


def wants_predictions(job: Job) -> bool:
    """Whether the job's result rows go into the `predictions` tables: always for tables, else where asked for."""
    return job.output.predictions or job.input.type is JobInputType.TABLE


def output_paths(result: MiniBatchResult) -> list[Path]:
    """The files of rows for the output file, in the order of the items: one, or one a part of a divided mini-batch.

    Empty where the mini-batch has none. Raises JobFailed where one is gone.
    """
    return _existing(result, OUTPUT_SUFFIXES)


def prediction_paths(result: MiniBatchResult) -> list[Path]:
    """The `.arrow` or `.jsonl` files of a mini-batch's predictions, as `output_paths`."""
    return _existing(result, PREDICTION_SUFFIXES)


def succeeded_items(*, returned: int, items: int) -> int:
    """Azure's rule: each returned row stands for one item; surplus rows are written but not counted."""
    return min(returned, items)


def progress(manifest: Manifest, results: Collection[MiniBatchResult]) -> JobProgress:
    """Counts so far. A mini-batch that has not ended counts with the items that were planned for it."""
    ended = {result.index for result in results}
    waiting = sum(planned_items(m) for m in manifest.mini_batches if m.index not in ended)
    return JobProgress(
        mini_batches=len(manifest.mini_batches),
        mini_batches_done=len(ended),
        mini_batches_failed=sum(r.outcome is MiniBatchOutcome.FAILED for r in results),
        items=waiting + sum(r.items for r in results),
        items_succeeded=sum(r.succeeded for r in results),
        items_failed=sum(r.failed for r in results),
        retries=sum(max(0, r.tries - 1) for r in results),
    )


def threshold_reason(deployment: Deployment, items_failed: int, mini_batches_failed: int = 0) -> str | None:
    """Why the job must stop now, or None: more items, or mini-batches, failed than the thresholds bear."""
    for what, failed, name, threshold in (
        ("items", items_failed, "error_threshold", deployment.error_threshold),
        ("mini-batches", mini_batches_failed, "mini_batch_error_threshold", deployment.mini_batch_error_threshold),
    ):
        if 0 <= threshold < failed:
            return f"{failed} {what} failed, {name} allows {threshold}"
    return None


def final_reason(deployment: Deployment, counted: JobProgress) -> str | None:
    """Why a job whose mini-batches have all ended fails, or None where it may complete.

    With append_row a job in which nothing succeeded fails even at error_threshold -1: an empty output file would look
    like success.
    """
    over = threshold_reason(deployment, counted.items_failed, counted.mini_batches_failed)
    if over is not None:
        return over
    nothing_came = counted.items > 0 and counted.items_succeeded == 0
    if nothing_came and deployment.output_action is OutputAction.APPEND_ROW:
        return f"no item succeeded: run() returned no row for any of {counted.items} items"
    return None


def first_traceback(results: Iterable[MiniBatchResult]) -> str | None:
    """The traceback of the first mini-batch with failed items that has one, in the order given."""
    return next((r.traceback for r in results if r.failed and r.traceback), None)


def first_error(results: Iterable[MiniBatchResult]) -> str | None:
    """The one-line error of the first mini-batch with failed items that has one, in the order given."""
    return next((r.error for r in results if r.failed and r.error), None)


def in_order(results: Iterable[MiniBatchResult]) -> Sequence[MiniBatchResult]:
    """By index: the order of the manifest, whichever worker was faster."""
    return sorted(results, key=lambda result: result.index)


def summary(counted: JobProgress) -> str:
    """The sentence that a completed job carries as its reason."""
    text = f"{counted.items_succeeded} of {counted.items} items succeeded in {counted.mini_batches} mini-batches"
    if counted.items_failed:
        text += f", {counted.items_failed} failed"
    if counted.retries:
        text += f", {counted.retries} tries repeated"
    return text


def _existing(result: MiniBatchResult, suffixes: Sequence[str]) -> list[Path]:
    if result.outcome is MiniBatchOutcome.FAILED or result.rows_path is None:
        return []
    found = []
    for stem in map(Path, result.parts or (result.rows_path,)):
        path = next((path for path in (stem.with_suffix(suffix) for suffix in suffixes) if path.exists()), None)
        if path is None:
            raise JobFailed(f"the result file of mini-batch {result.index} is gone: {stem}")
        found.append(path)
    return found
