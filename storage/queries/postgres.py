"""Reads of Postgres: frames for pages, whole tables as Arrow through COPY. Sessions are read-only and time-limited."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import psycopg2  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from storage.queries.errors import LimitReached, QueryError, StoreAway
from storage.queries.stores import Stores

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 20

# Postgres type name -> Arrow; what is not listed comes as text
_TYPES: dict[str, pa.DataType] = {
    "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(),
    "float4": pa.float32(), "float8": pa.float64(), "numeric": pa.float64(),
    "date": pa.date32(), "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", tz="UTC"),
}  # fmt: skip


@functools.lru_cache(maxsize=8)
def _engine(url: str) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=2,
        max_overflow=8,
        pool_pre_ping=True,
        pool_recycle=600,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "tidemill-queries",
            "options": f"-c default_transaction_read_only=on -c timezone=UTC -c statement_timeout={STATEMENT_SECONDS}s",
        },
    )


def read(stores: Stores, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
    """The rows of one SELECT with `:name` parameters. Raises StoreAway when Postgres does not answer."""
    with _reporting(), _open(stores).connect() as connection:
        result = connection.execute(sa.text(sql), dict(parameters or {}))
        columns = list(result.keys())
        return pd.DataFrame.from_records([tuple(row) for row in result], columns=columns)


def as_times(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with these columns as datetime64[us, UTC], whatever psycopg2 made of them (also when empty)."""
    for column in columns:
        frame[column] = pd.to_datetime(frame[column], utc=True).astype("datetime64[us, UTC]")
    return frame


def as_time(value: object) -> datetime | None:
    """One UTC-aware time, or None."""
    if value is None or value is pd.NaT:
        return None
    assert isinstance(value, datetime)
    moment = value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
    return moment.astimezone(UTC)


def table_schemas(stores: Stores) -> dict[str, pa.Schema]:
    """Name -> columns of every table and view of the `public` schema."""
    columns = read(
        stores,
        """select table_name, column_name, udt_name from information_schema.columns
           where table_schema = 'public' and table_name <> 'alembic_version' order by table_name, ordinal_position""",
    )
    return {
        str(name): pa.schema(
            [pa.field(c, _TYPES.get(t, pa.string())) for c, t in zip(of["column_name"], of["udt_name"], strict=True)]
        )
        for name, of in columns.groupby("table_name", sort=True)
    }


def fetch_table(stores: Stores, name: str, schema: pa.Schema, *, seconds: float) -> pa.Table:
    """The whole table as Arrow, through COPY into a file that is gone afterwards; `seconds` limits the server."""
    quoted = ", ".join(f'"{column}"' for column in schema.names)
    with _reporting(), _open(stores).connect() as connection, tempfile.TemporaryFile() as copied:
        raw: Any = connection.connection
        with raw.cursor() as cursor:
            cursor.execute("set local statement_timeout = %s", (max(1, int(seconds * 1000)),))
            cursor.copy_expert(f'copy (select {quoted} from public."{name}") to stdout (format csv)', copied)  # noqa: S608
        if copied.tell() == 0:
            return schema.empty_table()
        copied.seek(0)
        # COPY writes NULL as nothing and an empty string as "": the two options keep them apart
        return pyarrow.csv.read_csv(
            copied,
            read_options=pyarrow.csv.ReadOptions(column_names=schema.names),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )


def _open(stores: Stores) -> sa.Engine:
    if stores.postgres_url is None:
        raise StoreAway("postgres", "no Postgres is known; start the stack with `tidemill up`")
    return _engine(stores.postgres_url)


@contextlib.contextmanager
def _reporting() -> Iterator[None]:
    """Turns the driver's errors into this package's, in one line and without the address's password."""
    try:
        yield
    except (DBAPIError, psycopg2.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "pgcode", None)
        text = str(cause).strip()
        line = text.splitlines()[0] if text else type(cause).__name__
        if code == "57014":
            raise LimitReached("Postgres reached the query's time limit") from error
        if code == "42P01":
            raise StoreAway("postgres", "the database has no tables yet; run `tidemill migrate`") from error
        if code is None or code.startswith(("08", "57P", "53")):
            raise StoreAway("postgres", f"Postgres does not answer: {line}") from error
        raise QueryError(f"Postgres refused the query: {line}") from error
