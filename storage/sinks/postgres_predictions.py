"""The one transaction that ends a successful job: its predictions, its status, how far its schedule has come."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.collect import wants_predictions
from scoring.errors import Conflict, TryAgain
from scoring.job import Job, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchResult
from storage.lake.predictions import prediction_batches
from storage.lake.tables import PREDICTION_SCHEMA
from storage.postgres.engine import transaction
from storage.postgres.job_store import locked, write
from storage.postgres.tables import predictions, schedules

# a NULL is an empty cell and an empty text is "": every text is quoted, so COPY tells them apart
_CSV = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")


class PostgresFinisher:
    """`scoring.ports.JobFinisher`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def finish(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> Job:
        """The completed job. A job that has ended already is returned as it is, so a second call changes nothing.

        Raises LeaseLost where another runner has it, Conflict where it is not Finalizing, JobFailed for rows that are
        no predictions; in each case nothing was written.
        """
        with transaction(self._engine) as connection:
            stored = locked(connection, job)
            if stored.status.is_terminal:
                return stored
            if stored.status is not JobStatus.FINALIZING:
                raise Conflict(f"job {job.name} is {stored.status}, and only a job that is Finalizing can complete")
            if wants_predictions(job):
                if job.round:
                    connection.execute(sa.delete(predictions).where(predictions.c.job_name == job.name))
                copy_predictions(connection, prediction_batches(job, manifest, results))
            if job.schedule_name is not None and manifest.to_version is not None:
                _advance(connection, job.schedule_name, job.input.path, manifest)
            done = replace(job, status=JobStatus.COMPLETED)
            return write(connection, stored, done, None)


def copy_predictions(connection: Connection, batches: Iterator[pa.RecordBatch]) -> None:
    """Stream the rows into `predictions`, through COPY: one batch in memory at a time."""
    columns = ", ".join(f'"{name}"' for name in PREDICTION_SCHEMA.names)
    stream = _CsvStream(batches)
    driver: Any = connection.connection.driver_connection
    away = (connection.dialect.dbapi.OperationalError, connection.dialect.dbapi.InterfaceError)  # type: ignore[union-attr]
    with driver.cursor() as cursor:
        try:
            cursor.copy_expert(f"COPY predictions ({columns}) FROM STDIN (FORMAT csv)", stream)
        except Exception as error:
            if stream.error is not None:
                raise stream.error from None
            if isinstance(error, away):
                raise TryAgain(f"the database went away while predictions were copied: {error}") from error
            raise


def _advance(connection: Connection, name: str, path: str, manifest: Manifest) -> None:
    """Move the schedule's last_version to what this job has scored, if nothing lies between, and never back."""
    last = schedules.c.last_version
    # a schedule deleted and made anew meanwhile begins elsewhere: its first versions must not be skipped
    own = schedules.c.document[("input", "from_version")].as_integer()
    # greatest() passes nulls over: a schedule that has scored nothing yet begins where its own input says
    meets = sa.true() if manifest.from_version is None else sa.func.greatest(last, own) >= manifest.from_version
    same_table = schedules.c.document[("input", "path")].as_string() == path
    behind = sa.or_(last.is_(None), last < manifest.to_version)
    moved = sa.update(schedules).where(schedules.c.name == name, same_table, meets, behind)
    connection.execute(moved.values(last_version=manifest.to_version))


class _CsvStream(io.RawIOBase):
    """The batches as a readable file of CSV. The driver makes a text of an error in `read`: `error` keeps it."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._chunks = (_csv(batch) for batch in batches)
        self._rest = memoryview(b"")
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except Exception as error:
                self.error = error
                raise
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        end = len(self._rest) if size is None or size < 0 else size
        head, self._rest = self._rest[:end], self._rest[end:]
        return bytes(head)


def _csv(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(batch, sink, _CSV)
    written: bytes = sink.getvalue().to_pybytes()
    return written
