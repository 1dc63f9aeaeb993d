"""Rows that a scoring script returned, as rows of the predictions table; and the one commit that adds a job's.

The frame is built from the result files alone, so the lake and Postgres, and a second try after a crash, get the same
rows to the last byte: `scored_at` is when the worker finished the file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from scoring.collect import in_order, prediction_paths
from scoring.errors import JobFailed, TryAgain
from scoring.job import Job, JobInputType
from scoring.manifest import Manifest
from scoring.minibatch import InputItem, MiniBatchResult
from storage.lake.creation import opened
from storage.lake.tables import PREDICTION_SCHEMA, PREDICTIONS

_TIME = pa.timestamp("us", tz="UTC")

FROM_SCRIPT: dict[str, pa.DataType] = {
    "machine_id": pa.string(),
    "window_start": _TIME,
    "window_end": _TIME,
    "score": pa.float64(),
    "label": pa.string(),
}
"""Columns that a script's rows fill; every other one goes to `details`."""

_WANTED = {"score": "numbers are wanted", "window_start": "times are wanted", "window_end": "times are wanted"}


def prediction_batches(job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> Iterator[pa.RecordBatch]:
    """The job's prediction rows as PREDICTION_SCHEMA, in the order of the manifest, one mini-batch at a time.

    Raises JobFailed for a column of the wrong type, by its name, and for a result file that is gone.
    """
    items = {mini_batch.index: mini_batch.items for mini_batch in manifest.mini_batches}
    for result in in_order(results):
        paths = prediction_paths(result)
        tables = [table for table in map(read_rows, paths) if table.num_rows]
        if not tables:
            continue
        rows = tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")
        finished = datetime.fromtimestamp(paths[-1].stat().st_mtime_ns // 1000 / 1e6, UTC)
        source = _sources(job, manifest, items[result.index], rows.num_rows)
        yield frame(rows, job=job, mini_batch=result.index, source=source, scored_at=finished)


def read_rows(path: Path) -> pa.Table:
    """The rows of a worker's result file: Arrow IPC, or one JSON object a line. Raises JobFailed for a broken one."""
    try:
        if path.suffix == ".arrow":
            with pa.OSFile(str(path)) as file:
                return pa.ipc.open_file(file).read_all()
        records = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    except (pa.ArrowInvalid, orjson.JSONDecodeError, OSError) as error:
        raise JobFailed(f"the result file {path} cannot be read: {error}") from error
    names = list(dict.fromkeys(name for record in records for name in record))
    return pa.table({name: _column([record.get(name) for record in records]) for name in names}) if names else (
        # rows without any column are rows all the same
        pa.table({"value": pa.nulls(len(records))})
    )  # fmt: skip


def frame(
    rows: pa.Table, *, job: Job, mini_batch: int, source: Sequence[str | None], scored_at: datetime
) -> pa.RecordBatch:
    """Rows of PREDICTION_SCHEMA for a mini-batch's returned `rows`; `source` has one entry a row. Raises JobFailed."""
    count = rows.num_rows
    deployment = job.deployment
    columns: dict[str, Any] = {
        "job_name": pa.repeat(job.name, count),
        "endpoint_name": pa.repeat(job.endpoint_name, count),
        "deployment_name": pa.repeat(deployment.name, count),
        "model_name": pa.repeat(deployment.model.name, count),
        "model_version": pa.repeat(deployment.model.version, count),
        "mini_batch": pa.repeat(pa.scalar(mini_batch, pa.int32()), count),
        "row": pa.array(range(count), pa.int32()),
        "source": pa.array(source, pa.string()),
        "details": _details(rows),
        "scored_at": pa.repeat(pa.scalar(scored_at, _TIME), count),
    }
    for name, kind in FROM_SCRIPT.items():
        if name in rows.column_names:
            columns[name] = _cast(rows[name].combine_chunks(), kind, name, mini_batch)
        else:
            columns[name] = pa.nulls(count, kind)
    return pa.RecordBatch.from_arrays([columns[name] for name in PREDICTION_SCHEMA.names], schema=PREDICTION_SCHEMA)


def commit(lake: Path, job: Job, batches: Iterator[pa.RecordBatch]) -> bool:
    """Add a job's rows to the lake's predictions, in one commit, once: False where they were there already.

    Of a job that was taken up again (`round`) they take the place of those that it has there, in that same commit.

    Raises TryAgain where another writer was faster, JobFailed as `prediction_batches`.
    """
    application = f"job/{job.name}"
    try:
        table = opened(lake, PREDICTIONS)
    except (DeltaError, OSError) as error:
        raise TryAgain(f"the lake's table of predictions cannot be opened: {error}") from error
    # a sequential repeat is not refused by the log: whoever writes looks first
    before = table.transaction_version(application)
    if before is not None and before > job.round:
        return False
    dated = _Dated(batches)
    rows = pa.RecordBatchReader.from_batches(PREDICTIONS.schema, dated)
    once = CommitProperties(app_transactions=[Transaction(application, job.round + 1, int(time.time() * 1000))])
    try:
        if before is None:
            write_deltalake(table, rows, mode="append", commit_properties=once)
        else:
            own = "job_name = '{}'".format(job.name.replace("'", "''"))
            write_deltalake(table, rows, mode="overwrite", predicate=own, commit_properties=once)
    except Exception as error:
        if dated.error is not None:
            raise dated.error from None
        if not isinstance(error, (DeltaError, OSError)):
            raise
        table.update_incremental()
        now = table.transaction_version(application)
        if now is not None and now > job.round:
            return False
        raise TryAgain(f"the predictions of job {job.name} could not be committed to the lake: {error}") from error
    return True


class _Dated:
    """Batches with the partition column: the date of the window's start, or of scoring where a row has no window.

    An error of the source is kept in `error`: on its way through the writer it would become a text.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                moment = pc.coalesce(batch["window_start"], batch["scored_at"])
                yield pa.RecordBatch.from_arrays([*batch.columns, moment.cast(pa.date32())], schema=PREDICTIONS.schema)
        except Exception as error:
            self.error = error
            raise


def _sources(job: Job, manifest: Manifest, items: Sequence[InputItem], rows: int) -> Sequence[str | None]:
    if job.input.type is JobInputType.TABLE:
        after = "" if manifest.from_version is None else manifest.from_version
        return [f"{job.input.path}@{after}..{manifest.to_version}"] * rows
    if len(items) == rows:
        return [item.uri for item in items]
    # which file a row belongs to is known only where there is one row a file, or one file
    return [items[0].uri if len(items) == 1 else None] * rows


def _cast(column: pa.Array, kind: pa.DataType, name: str, mini_batch: int) -> pa.Array:
    found = column.type
    if pa.types.is_dictionary(found):
        return _cast(column.dictionary_decode(), kind, name, mini_batch)
    try:
        if kind == _TIME:
            return _as_time(column)
        if pa.types.is_float64(kind) and not _is_number(found):
            raise TypeError
        if pa.types.is_string(kind) and pa.types.is_nested(found):
            raise TypeError
        # an integer beyond 2^53 is a score all the same: unsafe, as is a decimal's rounding
        cast = column.cast(kind, safe=False)
        return pc.replace_substring(cast, "\0", "\\x00") if pa.types.is_string(kind) else cast
    except (TypeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        example = repr(next((value.as_py() for value in column if value.is_valid), None))
        raise JobFailed(
            f"column {name} of the rows returned for mini-batch {mini_batch} has {found} such as {example[:60]}; "
            f"{_WANTED.get(name, 'texts are wanted')}"
        ) from None


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(test(kind) for test in tests)


def _as_time(column: pa.Array) -> pa.Array:
    """UTC times of µs; one without a zone is UTC; a text is ISO 8601. Raises TypeError, ArrowInvalid."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        moments = [None if text is None else _moment(text) for text in column.to_pylist()]
        return pa.array(moments, _TIME)
    if pa.types.is_timestamp(kind):
        zoned = column if kind.tz else pc.assume_timezone(column, "UTC")
        return zoned.cast(_TIME, safe=False)
    if pa.types.is_date(kind) or pa.types.is_null(kind):
        return column.cast(pa.timestamp("us")).cast(_TIME)
    raise TypeError


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TypeError from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _column(values: list[Any]) -> pa.Array:
    """JSON values of one name; of mixed kinds, each as its JSON text."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else orjson.dumps(value).decode() for value in values], pa.string())


def _details(rows: pa.Table) -> pa.Array:
    others = [name for name in rows.column_names if name not in FROM_SCRIPT]
    if not others:
        return pa.nulls(rows.num_rows, pa.string())
    return pa.array([_json(record) for record in rows.select(others).to_pylist()], pa.string())


def _json(record: dict[str, Any]) -> str:
    return orjson.dumps(_plain(record)).decode()


def _plain(value: Any) -> Any:
    """What JSON has a word for; numbers that it has none for become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return str(value)
    if isinstance(value, str):
        # Postgres has no place for NUL in a text, escaped or not
        return value.replace("\0", "\\x00")
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, dict):
        return {_plain(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)
