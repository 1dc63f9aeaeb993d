"""Schedules, runners and worker processes over real stores: each row of the lake is predicted once, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from pydantic import SecretStr

from infra.settings import Settings
from infra.wiring import stores
from infra.wiring.engines import Engines, engines
from scoring.compute.cluster import Compute
from scoring.deployment import CodeConfiguration, Deployment, RetrySettings
from scoring.endpoint import Endpoint
from scoring.invoke import Invocation, new_job
from scoring.job import Job, JobInput, JobInputType, JobStatus, Pivot
from scoring.model import Model, ModelReference
from scoring.schedule import RecurrenceTrigger, Schedule
from scoring.triggers import Frequency
from storage.postgres.tables import machines, predictions, sensors, sites
from tests.contract.database import engine, migrated_database
from tests.contract.lake import append, window_rows

__all__ = ["engine", "migrated_database"]

pytestmark = pytest.mark.stack

SCRIPT = """
import os, time
def run(frame):
    time.sleep({pause})
    assert list(frame.columns) == ["machine_id", "window_start", "window_end", "flow_mean", "flow_max"], frame.columns
    frame["score"] = frame["flow_mean"] / 2
    return frame[["machine_id", "window_start", "window_end", "score"]]
"""
INPUT = JobInput(
    type=JobInputType.TABLE,
    path="lake://windows",
    join=("sensors",),
    pivot=Pivot(index=("machine_id", "window_start", "window_end"), columns="quantity", values=("mean", "max")),
    incremental=True,
)


class Plant:
    """One home with an empty lake, a database with a pump, an endpoint that scores its windows."""

    def __init__(self, home: Path, engine: sa.Engine) -> None:
        self.engine = engine
        self.settings = Settings(
            home=home,
            postgres_url=SecretStr(engine.url.render_as_string(hide_password=False)),
            kafka_bootstrap="none:1",
            api_url="http://none",
            dashboard_url="http://none",
        )
        self.catalog = stores.catalog(self.settings)
        self.jobs = stores.job_store(self.settings)
        self.schedules = stores.schedule_store(self.settings)
        self._rows = 0
        pump = {"machine_id": "north-pump-01", "site_id": "north", "model": "P", "installed_on": datetime(2020, 1, 1)}
        rated = dict.fromkeys(("rated_flow_m3h", "rated_head_m", "rated_power_kw", "rated_speed_rpm"), 1.0)
        with engine.begin() as connection:
            connection.execute(sa.insert(sites), {"site_id": "north", "name": "North"})
            connection.execute(sa.insert(machines), {**pump, **rated})
            connection.execute(
                sa.insert(sensors),
                {
                    "sensor_id": "north-pump-01/flow",
                    "machine_id": "north-pump-01",
                    "quantity": "flow",
                    "unit": "m3/h",
                },
            )
        (home / "registry").mkdir(parents=True)
        self.catalog.put(Compute(name="cluster", idle_time_before_scale_down=5))
        self.catalog.put(Model(name="net", version="1", path=str(home / "registry"), content_hash="0"))
        self.catalog.put(Endpoint(name="pumps", default_deployment_name="blue"))

    def deploy(self, *, pause: float = 0.0, compute: str = "cluster") -> None:
        code = self.settings.paths.root / f"code-{compute}"
        code.mkdir(exist_ok=True)
        (code / "score.py").write_text(SCRIPT.format(pause=pause))
        self.catalog.put(
            Deployment(
                name="blue",
                endpoint_name="pumps",
                model=ModelReference(name="net", version="1"),
                code_configuration=CodeConfiguration(code=str(code), scoring_script="score.py"),
                compute=compute,
                max_concurrency_per_instance=2,
                mini_batch_size=5,
                retry_settings=RetrySettings(max_retries=20, timeout=30),
            )
        )

    def new_windows(self, files: int) -> None:
        for _ in range(files):
            append(self.settings.paths.lake / "windows", window_rows(5, first=self._rows))
            self._rows += 5

    def correct(self, number: int, revision: int, mean: float) -> int:
        """Write the window anew; returns the table's version."""
        rows = window_rows(1, first=number, revision=revision)
        rows = rows.set_column(rows.schema.get_field_index("mean"), rows.schema.field("mean"), pa.array([mean]))
        return append(self.settings.paths.lake / "windows", rows)

    def invoke(self, name: str, from_version: int | None = None) -> Job:
        deployment = self.catalog.deployment("pumps", "blue")
        read = replace(INPUT, from_version=from_version)
        return self.jobs.add(new_job(name, deployment, Invocation(input=read), now=datetime.now(UTC)))

    def in_lake(self) -> Counter[tuple[str, float]]:
        table: pa.Table = DeltaTable(str(self.settings.paths.lake / "predictions")).to_pyarrow_table()
        return Counter((str(row["window_start"]), row["score"]) for row in table.to_pylist())

    def in_postgres(self) -> Counter[tuple[str, float]]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(predictions.c.window_start, predictions.c.score)).all()
        return Counter((str(start.astimezone(UTC)), score) for start, score in rows)

    def expected(self) -> Counter[tuple[str, float]]:
        starts = (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(self._rows))
        return Counter((str(start), n / 2) for n, start in enumerate(starts))


@pytest.fixture
def plant(tmp_path: Path, engine: sa.Engine) -> Plant:
    return Plant(tmp_path / "home", engine)


@pytest.fixture
def working(plant: Plant) -> Iterator[Engines]:
    """The engines in threads of this process."""
    made = engines(plant.settings)
    stop = threading.Event()
    threads = [threading.Thread(target=loop, args=(stop,)) for loop in made.loops.values()]
    for thread in threads:
        thread.start()
    yield made
    stop.set()
    made.wake()
    for thread in threads:
        thread.join(90)
    made.close()


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def test_a_schedule_scores_what_is_new_each_time_once(plant: Plant, working: Engines) -> None:
    plant.deploy()
    plant.new_windows(4)
    now = datetime.now(UTC)
    trigger = RecurrenceTrigger(frequency=Frequency.SECOND, interval=1, start_time=now)
    plant.schedules.save(
        Schedule(name="secondly", trigger=trigger, endpoint_name="pumps", input=INPUT, next_fire=now, created_at=now)
    )
    wait_for(lambda: plant.schedules.get("secondly").last_version == 3, "the first four commits to be scored")
    assert plant.in_lake() == plant.in_postgres() == plant.expected()
    plant.new_windows(3)
    wait_for(lambda: plant.schedules.get("secondly").last_version == 6, "the next three commits to be scored")
    assert plant.in_lake() == plant.in_postgres() == plant.expected()
    wait_for(lambda: plant.schedules.get("secondly").last_skip is not None, "a fire without news")
    assert plant.schedules.get("secondly").last_skip == "nothing new in lake://windows since version 6"


def test_a_corrected_window_is_scored_by_its_newest_revision_and_again(plant: Plant, working: Engines) -> None:
    plant.deploy()
    plant.new_windows(2)
    plant.correct(3, 1, 50.0)
    version = plant.correct(3, 2, 100.0)
    whole = plant.invoke("whole")
    working.wake()
    wait_for(lambda: plant.jobs.get(whole.name).status.is_terminal, "the whole table to be scored")
    ended = plant.jobs.get(whole.name)
    assert (ended.status, ended.progress.items, ended.progress.items_succeeded) == (JobStatus.COMPLETED, 10, 10)
    scores = sorted(score for _, score in plant.in_lake().elements())
    assert scores == [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 50.0]
    plant.correct(3, 3, 200.0)
    again = plant.invoke("again", from_version=version)
    working.wake()
    wait_for(lambda: plant.jobs.get(again.name).status.is_terminal, "the correction to be scored")
    assert sorted(score for _, score in plant.in_postgres().elements()) == [*scores, 100.0]


def test_a_cancel_ends_a_job_between_its_stores_and_leaves_no_row(plant: Plant, working: Engines) -> None:
    plant.deploy(pause=0.3)
    plant.new_windows(40)
    job = plant.invoke("slow")
    working.wake()
    wait_for(lambda: plant.jobs.get(job.name).progress.mini_batches_done > 0, "the job to get going")
    plant.jobs.save(plant.jobs.get(job.name).moved(JobStatus.CANCEL_REQUESTED))
    wait_for(lambda: plant.jobs.get(job.name).status.is_terminal, "the job to end")
    assert plant.jobs.get(job.name).status is JobStatus.CANCELED
    assert plant.in_postgres() == Counter()


def test_jobs_that_wait_on_full_clusters_do_not_keep_another_from_a_free_one(plant: Plant, working: Engines) -> None:
    plant.new_windows(1)
    for cluster in ("east", "west"):
        plant.catalog.put(Compute(name=cluster, max_instances=1, idle_time_before_scale_down=0))
        plant.deploy(pause=600, compute=cluster)
        for turn in ("first", "second", "third"):
            plant.invoke(f"{cluster}-{turn}")
    working.wake()

    def jobs_of(cluster: str, *statuses: JobStatus) -> list[Job]:
        found = [plant.jobs.get(f"{cluster}-{turn}") for turn in ("first", "second", "third")]
        return [job for job in found if job.status in statuses]

    def at_work(cluster: str) -> list[str]:
        return [job.name for job in jobs_of(cluster, JobStatus.STARTING, JobStatus.RUNNING)]

    for cluster in ("east", "west"):
        wait_for(lambda: len(at_work(cluster)) == 1, "one job to have the instance")  # noqa: B023
        wait_for(lambda: bool(jobs_of(cluster, JobStatus.PROVISIONING)), "another one to wait")  # noqa: B023
        (waiting, *_) = jobs_of(cluster, JobStatus.PROVISIONING)
        assert waiting.status_reason == f"waits for an instance of compute {cluster}: all of them work for other jobs"
    plant.deploy()
    free = plant.invoke("free")
    working.wake()
    wait_for(lambda: plant.jobs.get(free.name).status.is_terminal, "the job on the free cluster to end")
    assert plant.jobs.get(free.name).status is JobStatus.COMPLETED

    (before,) = at_work("east")
    plant.jobs.save(plant.jobs.get(before).moved(JobStatus.CANCEL_REQUESTED))
    wait_for(lambda: at_work("east") not in ([], [before]), "the next to have its turn")
    assert [len(at_work(cluster)) for cluster in ("east", "west")] == [1, 1]


@pytest.mark.fault
def test_kill_9_of_the_service_and_of_workers_predicts_each_row_once(plant: Plant, tmp_path: Path) -> None:
    plant.deploy(pause=0.05)
    plant.new_windows(60)
    job = plant.invoke("hard")
    environment = {
        **os.environ,
        "TIDEMILL_HOME": str(plant.settings.home),
        "TIDEMILL_POSTGRES_URL": plant.engine.url.render_as_string(hide_password=False),
        "TIDEMILL_KAFKA_BOOTSTRAP": "none:1",
        "TIDEMILL_API_URL": "http://none",
        "TIDEMILL_DASHBOARD_URL": "http://none",
    }
    program = """
import threading
from datetime import timedelta
from infra.wiring.engines import engines
from infra.settings import Settings
from scoring.runner import Patience
loops = engines(Settings(), runners=1, patience=Patience(lease=timedelta(seconds=3))).loops
threads = [threading.Thread(target=loop, args=(threading.Event(),)) for loop in loops.values()]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    done = 0
    with (tmp_path / "service.txt").open("ab") as log:
        for round_ in range(4):
            service = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=log, stderr=log)
            try:
                wanted = 60 if round_ == 3 else done + 10
                if round_ < 3:
                    wait_for(
                        lambda wanted=wanted: plant.jobs.get(job.name).progress.mini_batches_done >= wanted,
                        "some progress",
                    )
                    (worker, *_) = children_of(service.pid)
                    os.kill(worker, signal.SIGKILL)
                    time.sleep(0.3)
                else:
                    wait_for(lambda: plant.jobs.get(job.name).status.is_terminal, "the job to end")
                done = plant.jobs.get(job.name).progress.mini_batches_done
            finally:
                service.kill()
                service.wait()
    ended = plant.jobs.get(job.name)
    assert ended.status is JobStatus.COMPLETED, (ended.status_reason, (tmp_path / "service.txt").read_text())
    assert ended.lease_epoch >= 4
    assert plant.in_lake() == plant.in_postgres() == plant.expected()
    text = (plant.settings.paths.jobs / "hard" / "outputs" / "score" / "predictions.csv").read_text()
    assert len(text.splitlines()) == 300


def test_a_job_on_a_model_that_is_gone_ends_with_its_reason(plant: Plant, working: Engines) -> None:
    plant.deploy()
    plant.new_windows(1)
    deployment = replace(plant.catalog.deployment("pumps", "blue"), model=ModelReference(name="net", version="9"))
    job = plant.jobs.add(new_job("gone", deployment, Invocation(input=INPUT), now=datetime.now(UTC)))
    working.wake()
    wait_for(lambda: plant.jobs.get(job.name).status.is_terminal, "the job to end")
    assert plant.jobs.get(job.name).status is JobStatus.FAILED
    assert "net" in str(plant.jobs.get(job.name).status_reason)


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except FileNotFoundError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found
