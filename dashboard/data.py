"""What pages read, cached for a few seconds: however many people look, a store is asked once.

Reads come from `storage.queries`; what only the service knows (the stream's live lag) comes from `infra.client`.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pandas as pd
import streamlit as st

from infra.client import TidemillClient
from infra.settings import Settings
from storage.queries import alerts, evaluation, jobs, overview, predictions, stream, windows
from storage.queries.errors import QueryError
from storage.queries.stores import Stores, TimeRange, utc_now

T = TypeVar("T")

FRESH_SECONDS = 3
SAMPLES = 720

RANGES: dict[str, timedelta | None] = {
    "15 min": timedelta(minutes=15),
    "1 h": timedelta(hours=1),
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
    "All": None,
}
DEFAULT_RANGE = "24 h"

_HASH: dict[str | type, Callable[[Any], Any]] = {
    Stores: lambda s: (str(s.lake), s.postgres_url),
    TimeRange: lambda r: (r.since, r.until),
    alerts.Wanted: repr,
}


def _cached(read: Callable[..., T], seconds: float = FRESH_SECONDS) -> Callable[..., T]:
    return st.cache_data(ttl=seconds, max_entries=200, show_spinner=False, hash_funcs=_HASH)(read)


alert_episodes = _cached(alerts.episodes)
firing_alerts = _cached(alerts.counts)
extent = _cached(windows.extent)
window_seconds = _cached(windows.window_seconds, 60)
rates = _cached(windows.rates)
machine_series = _cached(windows.machine_series)
sensor_limits = _cached(windows.sensor_limits, 30)
totals = _cached(predictions.totals)
endpoints = _cached(predictions.endpoints, 15)
scored_machines = _cached(predictions.machines)
score_series = _cached(predictions.score_series)
threshold = _cached(predictions.threshold, 15)
fleet_heat = _cached(predictions.fleet_heat)
alarms = _cached(predictions.alarms)
prediction_rows = _cached(predictions.rows)
faults = _cached(predictions.faults, 10)
late_count = _cached(stream.late_count)
late_by_sensor = _cached(stream.late_by_sensor)
late_rate = _cached(stream.late_rate)
positions = _cached(stream.positions)
sensor_states = _cached(stream.sensor_states, 10)
list_jobs = _cached(jobs.list_jobs)
status_counts = _cached(jobs.status_counts)
job_endpoints = _cached(jobs.endpoints, 15)
job_detail = _cached(jobs.job_detail, 2)
schedules = _cached(jobs.schedules)
evaluate = _cached(evaluation.evaluation, 15)
lake_freshness = _cached(overview.lake_freshness)
commits_per_minute = _cached(overview.commits_per_minute)
job_day = _cached(overview.job_day)
last_failures = _cached(overview.last_failures)
bucket_seconds = windows.bucket_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where this dashboard looks. `problem` says in a sentence why no service is known."""

    stores: Stores
    api_url: str | None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class LiveStream:
    """The service's word on the stream.

    partitions   topic, partition, next_offset, end_offset, lag, watermark, accepted, late, dead_letters, duplicates,
                 last_commit_at; a row per partition; empty when the service or the broker is away
    reasons      dead letters by reason, where the service tells
    open_letters dead letters that wait for somebody; None where it is not known
    freshness    p95_seconds and p50_seconds until closed windows were readable, `windows` of them in `minutes`
    streams      name, state, table, rows, lag, dead_letters, watermark, last_commit_at, problem; a row per stream
    problem      why there is no answer, in a sentence; `service_up` tells whether the service itself answered
    """

    partitions: pd.DataFrame
    reasons: Mapping[str, int] = field(default_factory=dict)
    open_letters: int | None = None
    freshness: Mapping[str, float | None] = field(default_factory=dict)
    streams: pd.DataFrame = field(default_factory=lambda: streams_of({}))
    service_up: bool = True
    problem: str | None = None

    def total(self, column: str) -> int | None:
        """Sum over partitions; None where nothing is known."""
        numbers = self.partitions[column].dropna()
        return None if numbers.empty else int(numbers.sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The stream's totals at one moment of wall-clock time."""

    at: datetime
    consumed: int
    produced: int
    lag: int
    dead_letters: int


PARTITION_COLUMNS = (
    "topic", "partition", "next_offset", "end_offset", "lag", "watermark", "accepted", "late", "dead_letters",
    "duplicates", "last_commit_at",
)  # fmt: skip


def place() -> Place:
    """Settings are read anew on each run: after a restart of the stack the ports are others."""
    settings = Settings()
    try:
        address = settings.address()
    except Exception as error:  # the error types of `ingestion` are not the dashboard's to know
        url = settings.postgres_url.get_secret_value() if settings.postgres_url else None
        stores = Stores(lake=settings.paths.lake, postgres_url=url)
        return Place(stores=stores, api_url=settings.api_url, problem=None if settings.api_url else str(error))
    stores = Stores(lake=settings.paths.lake, postgres_url=address.postgres_url)
    return Place(stores=stores, api_url=address.api_url)


def attempt(read: Callable[[], T]) -> T | QueryError:
    """The answer, or the error as a value: one part of a page that cannot be read must not take the others with it."""
    try:
        return read()
    except QueryError as error:
        return error


def each(frame: pd.DataFrame) -> list[Any]:
    """The rows, a named tuple each: their types are the query's business."""
    return list(frame.itertuples(index=False))


def known(answer: T | QueryError) -> T | None:
    """The answer, or None where there is none: for parts that only add to a page."""
    return None if isinstance(answer, QueryError) else answer


@st.cache_data(ttl=FRESH_SECONDS, show_spinner=False, hash_funcs=_HASH)
def postgres_problem(stores: Stores) -> str | None:
    """None while Postgres answers and has its tables, else the reason."""
    answer = attempt(lambda: jobs.status_counts(stores))
    return str(answer) if isinstance(answer, QueryError) else None


@st.cache_data(ttl=2, show_spinner=False)
def live_stream(api_url: str | None) -> LiveStream:
    """The stream as the service sees it; never raises."""
    if api_url is None:
        return LiveStream(partitions=partitions_of({}), service_up=False, problem="no service is known")
    if not _listens(api_url):
        # the client would try for seconds, and the page would wait for it
        return LiveStream(
            partitions=partitions_of({}), service_up=False, problem=f"the service at {api_url} does not answer"
        )
    try:
        with TidemillClient(api_url, timeout_seconds=5) as client:
            payload = client.stream()
    except Exception as error:  # whatever stands between us and the service, the page says it in words
        return LiveStream(partitions=partitions_of({}), service_up=False, problem=_line(error))
    found = partitions_of(payload)
    _history(api_url).add(found)
    return LiveStream(
        partitions=found,
        reasons=reasons_of(payload),
        open_letters=payload.get("open_letters"),
        freshness=payload.get("freshness") or {},
        streams=streams_of(payload),
        problem=_said(payload.get("state")),
    )


def _listens(url: str) -> bool:
    where = urlsplit(url)
    try:
        with socket.create_connection((where.hostname or "127.0.0.1", where.port or 80), timeout=1.0):
            return True
    except OSError:
        return False


def _said(state: object) -> str | None:
    """What the service says of the stores behind it, where they are not well."""
    return None if state in (None, "ok") else str(state)


def partitions_of(payload: Mapping[str, Any]) -> pd.DataFrame:
    """The service's JSON as rows of PARTITION_COLUMNS; what it does not tell is missing, not zero."""
    rows = []
    for one in payload.get("partitions") or []:
        told = {"topic": payload.get("topic"), **one}
        rows.append({column: told.get(column) for column in PARTITION_COLUMNS})
    frame = pd.DataFrame(rows, columns=list(PARTITION_COLUMNS))
    for column in ("watermark", "last_commit_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    for column in ("partition", "next_offset", "end_offset", "lag", "accepted", "late", "dead_letters", "duplicates"):
        frame[column] = pd.to_numeric(frame[column]).astype("Int64")
    return frame.sort_values("partition").reset_index(drop=True)


STREAM_COLUMNS = ("name", "state", "table", "rows", "lag", "dead_letters", "watermark", "last_commit_at", "problem")


def streams_of(payload: Mapping[str, Any]) -> pd.DataFrame:
    """All streams as rows of STREAM_COLUMNS, in the service's order."""
    rows = [{column: one.get(column) for column in STREAM_COLUMNS} for one in payload.get("streams") or []]
    frame = pd.DataFrame(rows, columns=list(STREAM_COLUMNS))
    for column in ("watermark", "last_commit_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    for column in ("rows", "lag"):
        frame[column] = pd.to_numeric(frame[column]).astype("Int64")
    return frame


def reasons_of(payload: Mapping[str, Any]) -> dict[str, int]:
    """Dead letters by reason over all partitions, the most frequent first; empty where the service does not tell."""
    reasons: dict[str, int] = {}
    for one in payload.get("partitions") or []:
        for reason, number in (one.get("dead_letters_by_reason") or {}).items():
            reasons[str(reason)] = reasons.get(str(reason), 0) + int(number)
    return dict(sorted(reasons.items(), key=lambda item: -item[1]))


class StreamHistory:
    """The last samples that this server took while somebody looked; shared by everybody who looks."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)

    def add(self, partitions: pd.DataFrame) -> None:
        if partitions.empty or partitions["lag"].isna().all():
            return
        sums = partitions[["next_offset", "end_offset", "lag", "dead_letters"]].fillna(0).sum()
        self._samples.append(
            Sample(
                at=utc_now(),
                consumed=int(sums["next_offset"]),
                produced=int(sums["end_offset"]),
                lag=int(sums["lag"]),
                dead_letters=int(sums["dead_letters"]),
            )
        )

    def frame(self) -> pd.DataFrame:
        """at, lag, dead_letters; the newest last."""
        columns = ["at", "lag", "dead_letters"]
        return pd.DataFrame([(s.at, s.lag, s.dead_letters) for s in list(self._samples)], columns=columns)

    def speeds(self, window: timedelta = timedelta(seconds=60)) -> tuple[float, float] | None:
        """(consumed, produced) messages per second over the last `window`; None with fewer than two samples."""
        samples = list(self._samples)
        if len(samples) < 2:
            return None
        newest = samples[-1]
        oldest = next(s for s in samples if s.at >= newest.at - window)
        seconds = (newest.at - oldest.at).total_seconds()
        if seconds <= 0:
            return None
        return (newest.consumed - oldest.consumed) / seconds, (newest.produced - oldest.produced) / seconds


@st.cache_resource(show_spinner=False)
def _history(api_url: str) -> StreamHistory:
    del api_url
    return StreamHistory()


def stream_history(api_url: str | None) -> StreamHistory:
    return _history(api_url or "")


def time_range(stores: Stores, chosen: str) -> TimeRange | None:
    """The chosen span, ending with the newest window in the lake; None while there is none. Raises QueryError."""
    covered = extent(stores)
    if covered.since is None or covered.until is None:
        return None
    length = RANGES.get(chosen)
    since = covered.since if length is None else max(covered.since, covered.until - length)
    return TimeRange(since=since.astimezone(UTC), until=covered.until.astimezone(UTC))


def csv(frame: pd.DataFrame) -> bytes:
    """The frame as CSV. A cell that a spreadsheet would take for a formula gets a quote before it."""
    safe = frame.copy()
    for column in safe.columns:
        if safe[column].dtype == object or str(safe[column].dtype) in ("str", "string"):
            safe[column] = [f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t\r" and v else v for v in safe[column]]
    return safe.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%SZ").encode()


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
