"""A day of a small plant, written into a real lake and a real Postgres: what pages and queries are tested on.

Windows of twelve pumps with load steps, a day cycle and five faults; anomaly scores computed from those windows; the
jobs that would have made them, and one job of each other ending. Everything follows from the seed and from `now`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from deltalake import write_deltalake

from scoring.deployment import CodeConfiguration, Deployment
from scoring.job import Job, JobInput, JobInputType, JobProgress, JobStatus
from scoring.minibatch import InputItem, MiniBatch, MiniBatchOutcome, MiniBatchResult
from scoring.model import ModelReference
from storage.lake.tables import FAULTS, LATE_READINGS, PREDICTIONS, WINDOWS, LakeTable
from storage.postgres import rows, tables
from tests.plant_alerts import tell_alerts

QUANTITIES = {
    "flow": ("m3/h", 118.0, 1.6, 40.0, 170.0),
    "suction_pressure": ("bar", 0.62, 0.02, 0.1, 2.0),
    "discharge_pressure": ("bar", 5.1, 0.04, 2.0, 7.5),
    "motor_current": ("A", 37.5, 0.5, 10.0, 48.0),
    "bearing_temperature": ("degC", 54.0, 0.35, None, 85.0),
    "vibration": ("mm/s", 1.9, 0.12, None, 7.1),
}
"""quantity: unit, level, noise, low limit, high limit"""

# what a fault does at full severity, in units of the quantity
EFFECTS = {
    "cavitation": {"flow": -14.0, "suction_pressure": -0.30, "vibration": 3.2, "discharge_pressure": -0.5},
    "bearing_damage": {"bearing_temperature": 19.0, "vibration": 4.6, "motor_current": 2.2},
    "wear": {"flow": -11.0, "discharge_pressure": -0.55, "motor_current": 2.0},
    "sensor_drift": {"discharge_pressure": 1.1},
}
THRESHOLD = 3.0
ENDPOINT = "pump-health"
READINGS_PER_WINDOW = 60


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What was seeded, for tests to compare with. Frames hold what the tables hold."""

    now: datetime
    lake: Path
    database_url: str
    machines: list[str]
    windows: pd.DataFrame
    predictions: pd.DataFrame
    faults: pd.DataFrame
    jobs: list[Job] = field(repr=False)


def seed(
    lake: Path,
    database_url: str,
    *,
    now: datetime | None = None,
    hours: float = 24,
    sites: tuple[str, ...] = ("harbour", "north", "valley"),
    pumps: int = 4,
    with_predictions: bool = True,
) -> Plant:
    """Make the schema in an empty database and fill both stores. `now` is floored to the minute."""
    now = (now or datetime.now(UTC)).replace(second=0, microsecond=0)
    rng = np.random.default_rng(7)
    machines = [f"{site}-pump-{n:02d}" for site in sites for n in range(1, pumps + 1)]
    faults = _faults(machines, now, hours)
    windows = _windows(machines, faults, now, hours, rng)
    engine = sa.create_engine(database_url)
    tables.metadata.create_all(engine)
    _static_data(engine, machines, now)
    # a few commits, as a stream makes them, so that there are files to prune
    for _, part in windows.groupby(windows["window_start"].dt.floor("3h")):
        _append(lake, WINDOWS, part, "window_start")
    tell_alerts(lake, windows)
    _append(lake, FAULTS, faults, "starts_at")
    _append(lake, LATE_READINGS, _late(machines, now, hours, rng), "event_time")
    predictions = _predictions(windows, now) if with_predictions else pd.DataFrame()
    jobs: list[Job] = []
    if with_predictions:
        jobs, results, predictions = _jobs(predictions, now, rng)
        _append(lake, PREDICTIONS, predictions, "window_start")
        _write_jobs(engine, jobs, results, predictions, now)
    engine.dispose()
    return Plant(
        now=now,
        lake=lake,
        database_url=database_url,
        machines=machines,
        windows=windows,
        predictions=predictions,
        faults=faults,
        jobs=jobs,
    )


@contextmanager
def database(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh database on this server, dropped afterwards."""
    name = f"plant_{uuid4().hex[:12]}"
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        admin.dispose()


def _append(lake: Path, table: LakeTable, frame: pd.DataFrame, time: str) -> None:
    frame = frame.assign(date=frame[time].dt.date)
    data = pa.Table.from_pandas(frame[table.schema.names], schema=table.schema, preserve_index=False)
    write_deltalake(str(table.path(lake)), data, mode="append", partition_by=["date"])


def _faults(machines: list[str], now: datetime, hours: float) -> pd.DataFrame:
    plan = [  # machine, kind, start and end as shares of the day, severity
        (0, "bearing_damage", 0.55, 0.80, 1.0),
        (3, "cavitation", 0.22, 0.29, 0.9),
        (6, "cavitation", 0.60, 0.66, 0.8),
        (7, "wear", 0.30, 0.97, 0.8),
        (10, "sensor_drift", 0.70, 0.92, 0.9),
    ]
    start = now - timedelta(hours=hours)
    rows_ = [
        {
            "fault_id": f"fault-{n:03d}",
            "machine_id": machines[machine % len(machines)],
            "kind": kind,
            "sensor_id": f"{machines[machine % len(machines)]}/discharge_pressure" if kind == "sensor_drift" else None,
            "starts_at": start + timedelta(hours=hours * begin),
            "ends_at": start + timedelta(hours=hours * end),
            "severity": severity,
        }
        for n, (machine, kind, begin, end, severity) in enumerate(plan, start=1)
    ]
    frame = pd.DataFrame(rows_)
    for column in ("starts_at", "ends_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True).astype("datetime64[us, UTC]")
    return frame


def _severity(fault: pd.Series, moments: np.ndarray) -> np.ndarray:
    begin, end = fault["starts_at"].timestamp(), fault["ends_at"].timestamp()
    share = np.clip((moments - begin) / (end - begin), 0, 1)
    inside = (moments >= begin) & (moments <= end)
    shape = np.minimum(1.0, share * 6) if fault["kind"] == "cavitation" else share**1.5
    return fault["severity"] * shape * inside


def _windows(
    machines: list[str], faults: pd.DataFrame, now: datetime, hours: float, rng: np.random.Generator
) -> pd.DataFrame:
    count = int(hours * 60)
    start = pd.date_range(end=now - timedelta(minutes=1), periods=count, freq="min", tz=UTC).as_unit("us")
    moments = start.as_unit("s").astype("int64").to_numpy()
    parts = []
    for number, machine in enumerate(machines):
        hour = (moments % 86_400) / 3600
        load = (
            1
            + 0.07 * np.sin((hour - 9) / 24 * 2 * np.pi)
            + 0.04 * np.repeat(rng.normal(0, 1, count // 180 + 1), 180)[:count]
        )
        size = 1 + 0.12 * ((number % 4) - 1.5)
        for quantity, (unit, level, noise, _low, _high) in QUANTITIES.items():
            follows = {"suction_pressure": -0.3, "bearing_temperature": 0.35, "vibration": 0.5}.get(quantity, 1.0)
            expected = level * size * (1 + follows * (load - 1))
            mean = expected + rng.normal(0, noise * 0.35, count)
            stddev = np.abs(rng.normal(noise, noise * 0.1, count))
            for _, fault in faults[faults["machine_id"] == machine].iterrows():
                severity = _severity(fault, moments)
                effect = EFFECTS[fault["kind"]].get(quantity, 0.0)
                mean = mean + effect * size * severity
                stddev = stddev * (1 + 1.5 * severity * (effect != 0))
            parts.append(
                pd.DataFrame(
                    {
                        "machine_id": machine,
                        "sensor_id": f"{machine}/{quantity}",
                        "window_start": start,
                        "window_end": start + timedelta(minutes=1),
                        "unit": unit,
                        "count": READINGS_PER_WINDOW - rng.binomial(3, 0.05, count),
                        "mean": mean,
                        "min": mean - 2.3 * stddev,
                        "max": mean + 2.3 * stddev,
                        "stddev": stddev,
                        "expected": expected,
                        "last": mean + rng.normal(0, noise, count),
                        "median": mean,
                        "p95": mean + 1.64 * stddev,
                        "topic": "sensor-readings",
                        "partition": np.int32(number % 4),
                        "first_offset": np.arange(count) * READINGS_PER_WINDOW * 6,
                        "last_offset": (np.arange(count) + 1) * READINGS_PER_WINDOW * 6 - 1,
                        "revision": np.int32(0),
                    }
                )
            )
    frame = pd.concat(parts, ignore_index=True)
    # a sensor that fell silent two hours ago, and a gap of twenty minutes of one machine
    silent = (frame["sensor_id"] == f"{machines[1]}/flow") & (frame["window_start"] > now - timedelta(hours=hours / 12))
    gap = (frame["machine_id"] == machines[0]) & frame["window_start"].between(
        now - timedelta(hours=hours * 0.85), now - timedelta(hours=hours * 0.85 - 0.33)
    )
    return frame[~silent & ~gap].reset_index(drop=True)


def _late(machines: list[str], now: datetime, hours: float, rng: np.random.Generator) -> pd.DataFrame:
    count = 140
    which = rng.integers(0, min(3, len(machines)), count)
    moments = now - pd.to_timedelta(np.sort(rng.uniform(0, hours * 3600 - 60, count))[::-1], unit="s")
    moments = pd.DatetimeIndex(moments).as_unit("us")
    return pd.DataFrame(
        {
            "machine_id": [machines[n] for n in which],
            "sensor_id": [f"{machines[n]}/{list(QUANTITIES)[n]}" for n in which],
            "event_time": moments,
            "value": rng.normal(5, 1, count),
            "unit": [QUANTITIES[list(QUANTITIES)[n]][0] for n in which],
            "sequence": np.arange(count),
            "window_start": moments.floor("min"),
            "watermark": moments + pd.to_timedelta(rng.uniform(60, 400, count), unit="s").as_unit("us"),
            "topic": "sensor-readings",
            "partition": which.astype("int32"),
            "offset": np.arange(count),
        }
    )


def _predictions(windows: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """A score a machine and window: how far its quantities are from what the load explains, in deviations."""
    noise = windows["sensor_id"].str.rsplit("/", n=1).str[-1].map({q: n for q, (_, _, n, _, _) in QUANTITIES.items()})
    away = (windows["mean"] - windows["expected"]) / (noise * 0.9)
    most = windows.loc[away.abs().groupby([windows["machine_id"], windows["window_start"]]).idxmax()]
    score = (
        (away**2)
        .groupby([windows["machine_id"], windows["window_start"]])
        .mean()
        .pow(0.5)
        .rename("score")
        .reset_index()
    )
    score["window_start"] = score["window_start"].astype("datetime64[us, UTC]")
    start = score["window_start"]
    score["window_end"] = start + timedelta(minutes=1)
    # a healthy machine is loud now and then: without false alarms no precision could be shown
    score.loc[score.index % 1511 == 700, "score"] += THRESHOLD
    score["label"] = np.where(score["score"] > THRESHOLD, "anomaly", "normal")
    features = most["sensor_id"].str.rsplit("/", n=1).str[-1] + "_mean"
    score["details"] = [json.dumps({"threshold": THRESHOLD, "top_feature": feature}) for feature in features]
    # the newest windows wait for the next scheduled job
    return score[score["window_end"] <= now - timedelta(minutes=4)].reset_index(drop=True)


DEPLOYMENT = Deployment(
    name="autoencoder",
    endpoint_name=ENDPOINT,
    model=ModelReference(name="pump-autoencoder", version="3"),
    code_configuration=CodeConfiguration(code="code/ab12", scoring_script="score.py"),
    compute="local",
    max_concurrency_per_instance=4,
    mini_batch_size=60,
)
_WINDOWS_INPUT = JobInput(
    type=JobInputType.TABLE, path="lake://windows", join=("sensors", "machines"), incremental=True
)
_TRACEBACK = """Traceback (most recent call last):
  File "score.py", line 31, in run
    scores = model(features)
  File "score.py", line 18, in model
    raise ValueError("feature vibration_mean is missing: got 17 columns, the model was trained on 18")
ValueError: feature vibration_mean is missing: got 17 columns, the model was trained on 18
"""


def _jobs(
    predictions: pd.DataFrame, now: datetime, rng: np.random.Generator
) -> tuple[list[Job], dict[str, list[tuple[MiniBatchResult | None, datetime | None]]], pd.DataFrame]:
    """A scheduled job an hour for what was new, and beside them one failed, one canceled and one that runs."""
    jobs: list[Job] = []
    results: dict[str, list[tuple[MiniBatchResult | None, datetime | None]]] = {}
    parts = []
    hour = (predictions["window_start"].min()).floor("h")
    version = 40
    for start, part in predictions.groupby((predictions["window_start"] - hour) // timedelta(hours=1)):
        ended = min(part["window_end"].max().to_pydatetime() + timedelta(seconds=100), now - timedelta(minutes=2))
        name = f"pump-health-{ended:%Y%m%d-%H%M}-{int(start):02d}"
        job, done = _finished(name, part, ended, version, rng)
        jobs.append(job)
        results[name] = done
        size = DEPLOYMENT.mini_batch_size
        parts.append(
            part.assign(
                job_name=name,
                endpoint_name=ENDPOINT,
                deployment_name=DEPLOYMENT.name,
                model_name=DEPLOYMENT.model.name,
                model_version=DEPLOYMENT.model.version,
                mini_batch=np.arange(len(part)) // size,
                row=np.arange(len(part)) % size,
                source=f"lake://windows@{version}..{version + 60}",
                scored_at=pd.Timestamp(ended).as_unit("us"),
            )
        )
        version += 60
    jobs += _others(now, results, rng)
    return jobs, results, pd.concat(parts, ignore_index=True)


def _finished(
    name: str, part: pd.DataFrame, ended: datetime, version: int, rng: np.random.Generator
) -> tuple[Job, list[tuple[MiniBatchResult | None, datetime | None]]]:
    size = DEPLOYMENT.mini_batch_size
    started = ended - timedelta(seconds=9)
    count = -(-len(part) // size)
    done = _timeline(count, size, started, 4, rng)
    retries = sum(r.tries - 1 for r, _ in done if r is not None)
    return (
        Job(
            name=name,
            endpoint_name=ENDPOINT,
            deployment=DEPLOYMENT,
            trigger="schedule",
            schedule_name="score-new-windows",
            fire_time=started - timedelta(seconds=2),
            created_at=started - timedelta(seconds=2),
            started_at=started,
            ended_at=max(ended, max(e for _, e in done if e is not None) + timedelta(seconds=1)),
            status=JobStatus.COMPLETED,
            status_reason=f"scored {len(part)} rows in {count} mini-batches",
            input=JobInput(
                type=JobInputType.TABLE,
                path="lake://windows",
                join=("sensors", "machines"),
                incremental=True,
                from_version=version,
                to_version=version + 60,
            ),
            progress=JobProgress(
                mini_batches=count, mini_batches_done=count, items=len(part), items_succeeded=len(part), retries=retries
            ),
        ),
        list(done),
    )


def _timeline(
    count: int, size: int, started: datetime, workers: int, rng: np.random.Generator, first: int = 0
) -> list[tuple[MiniBatchResult | None, datetime | None]]:
    free = [started + timedelta(seconds=1.2 + 0.2 * w) for w in range(workers)]
    done: list[tuple[MiniBatchResult | None, datetime | None]] = []
    for index in range(first, first + count):
        worker = int(np.argmin([f.timestamp() for f in free]))
        seconds = float(rng.gamma(9, 0.05))
        tries = 2 if rng.random() < 0.05 else 1
        free[worker] += timedelta(seconds=seconds * (1 + 2 * (tries - 1)) + 0.05)
        done.append(
            (
                MiniBatchResult(
                    index=index,
                    outcome=MiniBatchOutcome.SUCCEEDED,
                    items=size,
                    succeeded=size,
                    failed=0,
                    tries=tries,
                    seconds=seconds,
                    worker=f"local-0/process{worker:03d}",
                    rows=size,
                ),
                free[worker],
            )
        )
    return done


def _others(
    now: datetime, results: dict[str, list[tuple[MiniBatchResult | None, datetime | None]]], rng: np.random.Generator
) -> list[Job]:
    failed_at = now - timedelta(hours=5, minutes=12)
    failed = Job(
        name="pump-health-backfill-0412",
        endpoint_name=ENDPOINT,
        deployment=DEPLOYMENT,
        input=_WINDOWS_INPUT,
        status=JobStatus.FAILED,
        created_at=failed_at - timedelta(seconds=30),
        started_at=failed_at - timedelta(seconds=28),
        ended_at=failed_at,
        error=_TRACEBACK,
        status_reason="61 failed items are more than error_threshold 60: ValueError: feature vibration_mean is missing",
        progress=JobProgress(
            mini_batches=24, mini_batches_done=8, items=1440, items_succeeded=420, items_failed=61, retries=6
        ),
    )
    done = _timeline(8, 60, failed.started_at or now, 2, rng)
    for n in (4, 6):
        result, ended = done[n]
        assert result is not None
        broken = MiniBatchResult(
            index=result.index,
            outcome=MiniBatchOutcome.FAILED,
            items=60,
            succeeded=0,
            failed=60,
            tries=3,
            seconds=result.seconds,
            worker=result.worker,
            error="ValueError: feature vibration_mean is missing",
            traceback=_TRACEBACK,
        )
        done[n] = (broken, ended)
    results[failed.name] = [*done, *[(None, None)] * 16]
    canceled = Job(
        name="pump-health-trial",
        endpoint_name=ENDPOINT,
        deployment=DEPLOYMENT,
        input=_WINDOWS_INPUT,
        status=JobStatus.CANCELED,
        status_reason="canceled by user",
        created_at=now - timedelta(hours=8),
        started_at=now - timedelta(hours=8),
        ended_at=now - timedelta(hours=7, minutes=58),
        progress=JobProgress(mini_batches=10, mini_batches_done=0, items=600),
    )
    results[canceled.name] = [(None, None)] * 10
    started = now - timedelta(seconds=21)
    running = Job(
        name="pump-health-rescore-week",
        endpoint_name=ENDPOINT,
        deployment=DEPLOYMENT,
        input=_WINDOWS_INPUT,
        status=JobStatus.RUNNING,
        status_reason="scoring",
        created_at=started - timedelta(seconds=3),
        started_at=started,
        progress=JobProgress(mini_batches=240, mini_batches_done=148, items=14_400, items_succeeded=8_880, retries=7),
    )
    results[running.name] = [*_timeline(148, 60, started, 4, rng), *[(None, None)] * 92]
    return [failed, canceled, running]


def _static_data(engine: sa.Engine, machines: list[str], now: datetime) -> None:
    sites = sorted({m.split("-")[0] for m in machines})
    with engine.begin() as connection:
        connection.execute(
            tables.sites.insert(),
            [
                {"site_id": s, "name": f"{s.capitalize()} waterworks", "country": "DE", "time_zone": "UTC"}
                for s in sites
            ],
        )
        connection.execute(
            tables.machines.insert(),
            [
                {
                    "machine_id": m,
                    "site_id": m.split("-")[0],
                    "model": "TM 80-200",
                    "rated_flow_m3h": 120.0,
                    "rated_head_m": 45.0,
                    "rated_power_kw": 22.0,
                    "rated_speed_rpm": 2950.0,
                    "installed_on": "2024-03-01",
                }
                for m in machines
            ],
        )
        # the last machine's vibration sensor was mounted and never entered: unknown; a spare one never sent: never seen
        known = [(m, q) for m in machines for q in QUANTITIES if (m, q) != (machines[-1], "vibration")]
        connection.execute(
            tables.sensors.insert(),
            [
                {
                    "sensor_id": f"{m}/{q}",
                    "machine_id": m,
                    "quantity": q,
                    "unit": QUANTITIES[q][0],
                    "low_limit": QUANTITIES[q][3],
                    "high_limit": QUANTITIES[q][4],
                }
                for m, q in known
            ]
            + [
                {
                    "sensor_id": f"{machines[0]}/seal_pressure",
                    "machine_id": machines[0],
                    "quantity": "seal_pressure",
                    "unit": "bar",
                    "low_limit": None,
                    "high_limit": None,
                }
            ],
        )


def _write_jobs(
    engine: sa.Engine,
    jobs: list[Job],
    results: dict[str, list[tuple[MiniBatchResult | None, datetime | None]]],
    predictions: pd.DataFrame,
    now: datetime,
) -> None:
    with engine.begin() as connection:
        connection.execute(tables.jobs.insert(), [rows.job_row(job) for job in jobs])
        connection.execute(
            tables.mini_batches.insert(),
            [
                {
                    **rows.mini_batch_row(
                        job.name,
                        MiniBatch(
                            index=n, items=(InputItem(uri=f"/lake/part-{n}.parquet", size_bytes=9_000, rows=60),)
                        ),
                    ),
                    "outcome": result.outcome.value if result else None,
                    "result": rows.result_document(result) if result else sa.null(),
                    "ended_at": ended,
                }
                for job in jobs
                for n, (result, ended) in enumerate(results[job.name])
            ],
        )
        scheduled = [job for job in jobs if job.schedule_name]
        connection.execute(
            tables.schedules.insert(),
            [
                {
                    "name": "score-new-windows",
                    "endpoint_name": ENDPOINT,
                    "document": {},
                    "is_enabled": True,
                    "next_fire": now + timedelta(minutes=6),
                    "last_fire": scheduled[-1].fire_time,
                    "last_job_name": scheduled[-1].name,
                    "last_skip": None,
                    "last_version": scheduled[-1].input.to_version,
                }
            ],
        )
        columns = [c.name for c in tables.predictions.columns]
        records = predictions[columns].assign(details=[json.loads(d) for d in predictions["details"]])
        connection.execute(tables.predictions.insert(), records.to_dict("records"))
