"""`tidemill demo`: sensors, stream, lake, model, scheduled predictions, in a few minutes, with the commands that do it.

Everything is done by the commands that a person would type, and is shown; what is claimed at the end is read from the
stores again. The demo has a home of its own below the state directory and begins it anew every time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import click

from infra.cli.failures import WaitedTooLong
from infra.cli.stage import Stage, StepFailed
from infra.home import Home
from infra.settings import Settings
from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    from infra.client import TidemillClient
    from storage.queries.stores import Stores

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENDPOINT = "pump-health"
SCHEDULE = "pump-health-schedule"
COMPLETED_JOBS = 2

MACHINES, QUANTITIES = 12, 6
SEED = 7
INTERVAL_SECONDS = 5
FAULT_RATE = 1.5  # a machine and day: a hundred times what a real plant would bear
ASTRAY = ("--delivery-faults", "0.05")  # messages late, out of order, doubled, lost, or corrupt
LIVE = "simulate-live"
WINDOW = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """The plant's time: a healthy day to learn from, half a day with faults, then on at many times the real pace."""

    now: datetime
    healthy: timedelta = timedelta(hours=24)
    faulty: timedelta = timedelta(hours=12)
    ahead: timedelta = timedelta(hours=4)
    pace: int = 60  # the plant's minutes are seconds until it has caught up with the clock

    @property
    def live_starts(self) -> datetime:
        return (self.now - self.ahead).replace(minute=0, second=0, microsecond=0)

    @property
    def faults_start(self) -> datetime:
        return self.live_starts - self.faulty

    @property
    def starts(self) -> datetime:
        return self.faults_start - self.healthy

    def catches_up(self, now: datetime) -> datetime:
        """The event time up to which the plant may run at its pace without overtaking the clock."""
        gap = now - self.live_starts
        meets = self.live_starts + gap * self.pace / (self.pace - 1)
        return meets.replace(second=0, microsecond=0) - timedelta(minutes=1)


@click.command(
    epilog="""\b
Examples:
  tidemill demo
  DEMO_EXIT=1 tidemill demo
"""
)
def demo() -> None:
    """The whole stack end to end; stays up until Ctrl-C, which stops everything.

    Without a terminal, or with DEMO_EXIT=1, it ends by itself once two scheduled jobs have completed.
    """
    if not (EXAMPLES / "plant").is_dir() or not (EXAMPLES / ENDPOINT).is_dir():
        raise InvalidInput(f"the demo needs the examples of a checkout in {EXAMPLES}; run it from a clone")
    for elsewhere in ("KAFKA_BOOTSTRAP", "POSTGRES_URL", "API_URL", "DASHBOARD_URL"):
        os.environ.pop(f"TIDEMILL_{elsewhere}", None)  # the demo shows a stack of its own, never touches another
    ends_by_itself = bool(os.environ.get("DEMO_EXIT")) or not sys.stdout.isatty()
    home = Home(Settings().paths.root / "demo")
    work = home.root / "model-work"
    stage = Stage(home=home.root, folder=work)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    play = Demo(stage, home, work)
    try:
        play.all()
        if ends_by_itself:
            return
        play.stay()
    except KeyboardInterrupt:
        stage.say("")
        if not play.is_done:
            raise
    finally:
        # a second Ctrl-C must not leave half a stack behind
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        play.stop()


class Demo:
    """The play: one method a step."""

    def __init__(self, stage: Stage, home: Home, work: Path) -> None:
        self.stage = stage
        self.home = home
        self.work = work
        self.calendar = Calendar(now=datetime.now(UTC))
        self.is_done = False
        self._is_up = False

    def all(self) -> None:
        self.start_stack()
        self.load_plant()
        self.stream_history()
        self.train()
        self.stream_faults()
        self.deploy()
        self.run_live()
        jobs = self.see_jobs()
        self.show_predictions()
        self.show_sum(jobs)
        self.is_done = True

    # --- steps ------------------------------------------------------------------------------------------------------

    def start_stack(self) -> None:
        self.stage.step("Start the stack: Postgres, Kafka, the stream, the service, the dashboard")
        if self.home.run.exists():
            self.stage.command("reset", "--yes", limit=120)
        self.work.mkdir(parents=True, exist_ok=True)
        copyfile(EXAMPLES / "plant" / "alerts.yml", self.home.alerts)
        self._is_up = True
        for line in self.stage.command("up", limit=300).splitlines():
            self.stage.say(line)
        self._address = Settings(home=self.home.root).address()

    def load_plant(self) -> None:
        self.stage.step("Load what is known about the plant: sites, machines, sensors with limits, maintenance")
        for line in self.stage.command("load", EXAMPLES / "plant", limit=60).splitlines():
            self.stage.say(line)

    def stream_history(self) -> None:
        hours = _hours(self.calendar.healthy)
        self.stage.step(f"Stream {hours} hours of a healthy fleet of {MACHINES} pumps through Kafka into the lake")
        self._stream(self.calendar.starts, self.calendar.faults_start, "--faults", "none")

    def train(self) -> None:
        self.stage.step("Train a small model on those windows")
        windows = self.work / "windows.parquet"
        query = (
            "select w.machine_id, w.window_start, w.window_end, s.quantity, w.mean, w.stddev, w.max "
            "from lake.windows w join pg.sensors s using (sensor_id)"
        )
        self.stage.command("sql", query, "-o", "parquet", "--output-file", windows, "--max-rows", 0, limit=120)
        trained = self.stage.script(EXAMPLES / ENDPOINT / "train.py", windows, "--out", self.work / "model", limit=180)
        figures = json.loads(trained)
        self.stage.say(
            f"{figures['windows']:,} windows of {figures['machines']} machines in {figures['seconds']} s; the other "
            f"sensors explain {figures['explained']:.1%} of a sensor's mean; threshold {figures['threshold']}"
        )
        self.from_version = self._lake_version()

    def stream_faults(self) -> None:
        hours = _hours(self.calendar.faulty)
        self.stage.step(f"Stream {hours} more hours, with cavitation, wear, bearing damage and failing sensors")
        self._stream(self.calendar.faults_start, self.calendar.live_starts, "--fault-rate", FAULT_RATE)

    def deploy(self) -> None:
        self.stage.step("Deploy the model behind a batch endpoint, and let a schedule invoke it")
        files = EXAMPLES / ENDPOINT
        self._create("compute", "--file", files / "compute.yml")
        model = self._create("model", "--name", ENDPOINT, "--path", self.work / "model")
        self._create("batch-endpoint", "--file", files / "endpoint.yml")
        deployment = self._create("batch-deployment", "--file", files / "deployment.yml", "--set-default")
        self.stage.say(f"{ENDPOINT} -> {deployment['name']}, model {model['name']}:{model['version']}")

    def run_live(self) -> None:
        calendar = self.calendar
        self.stage.step(f"Let the plant run on at {calendar.pace} times real time, and score what is new every 10 s")
        self._caught_up = calendar.catches_up(datetime.now(UTC))
        fleet = self._fleet(
            calendar.live_starts, self._caught_up, "--fault-rate", FAULT_RATE, *ASTRAY, "--speed", calendar.pace
        )
        self.stage.background(LIVE, *fleet)
        after_training = f"create_job.input.from_version={self.from_version}"
        self._create("schedule", "--file", EXAMPLES / ENDPOINT / "schedule.yml", "--set", after_training)

    def see_jobs(self) -> list[dict[str, Any]]:
        """Wait for scheduled jobs that scored something; show each when it is done."""
        shown: dict[str, dict[str, Any]] = {}

        def enough() -> bool | None:
            for job in sorted(self._client().jobs.list(), key=lambda j: j["created_at"]):
                if job["status"] in ("Failed", "Canceled"):
                    raise StepFailed(f"job {job['name']} is {job['status']}: {job['status_reason']}")
                if job["status"] == "Completed" and job["name"] not in shown and job["progress"]["items"]:
                    shown[job["name"]] = job
                    self._show_job(job)
            return True if len(shown) >= COMPLETED_JOBS else None

        self.stage.wait_for(
            "two scheduled jobs", enough, limit=180, now=lambda: f"{len(shown)} completed; see `tidemill job list`"
        )
        return list(shown.values())

    def _show_job(self, job: dict[str, Any]) -> None:
        versions, progress = job["input"], job["progress"]
        seconds = (datetime.fromisoformat(job["ended_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()
        self.stage.say(
            f"{job['name']}  {job['status']}: lake versions {versions['from_version']} (not again) to "
            f"{versions['to_version']}, {progress['items_succeeded']:,} windows in {progress['mini_batches']} "
            f"mini-batches, {seconds:.1f} s"
        )

    def show_predictions(self) -> None:
        self.stage.step("Look: predictions of the jobs, joined with the lake and the plant")
        query = (
            "select p.machine_id, m.model, strftime(p.window_start, '%d %b %H:%M') as at, p.score, "
            "p.details->>'top_feature' as why, w.mean as vibration "
            "from pg.predictions p join pg.machines m using (machine_id) "
            "join lake.windows w on w.machine_id = p.machine_id and w.window_start = p.window_start "
            "and w.sensor_id = p.machine_id || '/vibration' "
            "where p.label = 'anomaly' qualify row_number() over (partition by p.machine_id order by p.score desc) = 1 "
            "order by p.score desc limit 8"
        )
        table = self.stage.command("sql", query, limit=60)
        for line in table.splitlines():
            self.stage.say(line)

    def show_sum(self, jobs: list[dict[str, Any]]) -> None:
        """The figures that everything was done for, read again from the stores."""
        self.stage.step("What came of it")
        names = ", ".join(f"'{job['name']}'" for job in jobs)
        same = self._rows(_SAME.format(names=names))[0]
        since = self.calendar.faults_start.isoformat()
        judged = self.stage.command("evaluate", "--endpoint", ENDPOINT, "--since", since, "-o", "json", limit=60)
        found = json.loads(judged)
        partitions = self._client().stream()["partitions"]
        memory = json.loads(self.stage.command("status", "-o", "json", limit=30))["memory_bytes"]
        per_job = ", ".join(f"{job['progress']['items_succeeded']:,}" for job in jobs)
        figures = {
            "windows written": f"{same['windows']:,} in the lake, from {_total(partitions, 'accepted'):,} readings; "
            f"{same['late']:,} readings late, {_total(partitions, 'dead_letters'):,} dead letters",
            "scheduled jobs": f"{len(jobs)} completed, {per_job} machine windows, {same['twice']} of them twice",
            "predictions": f"{same['parquet']:,} in Parquet, {same['postgres']:,} in Postgres, {same['equal']:,} equal",
            "precision": f"{_percent(found['precision'])} of the flagged windows were faulty",
            "recall": f"{_percent(found['recall'])} of the faulty windows were flagged; "
            f"{found['episodes_detected']} of {found['episodes']} faults were detected",
            "lead time": f"detected {_minutes(found['median_delay_seconds'])} after its start and "
            f"{_minutes(found['median_lead_seconds'])} before its end (medians)",
            "memory": f"{memory / 2**30:.2f} GiB, the whole stack",
        }
        for name, text in figures.items():
            self.stage.say(f"{name:<16} {text}")
        self._check(same, jobs)

    def _check(self, same: dict[str, Any], jobs: list[dict[str, Any]]) -> None:
        scored = sum(job["progress"]["items_succeeded"] for job in jobs)
        if not same["parquet"] == same["postgres"] == same["equal"] == scored:
            raise StepFailed(
                f"{scored} windows were scored, but {same['parquet']} predictions are in Parquet, "
                f"{same['postgres']} in Postgres, and {same['equal']} of them are equal"
            )
        if same["twice"]:
            raise StepFailed(f"{same['twice']} windows were scored twice")

    def stay(self) -> None:
        """Until Ctrl-C: the plant runs on, at the clock's own pace once it has caught up."""
        self.stage.step("It goes on: the plant runs, the schedule scores what is new")
        address, here = self._address, os.path.relpath(self.home.root)
        self.stage.say(f"pages     {address.dashboard_url}")
        self.stage.say(f"REST API  {address.api_url}/docs")
        self.stage.say("in another terminal:")
        for line in ("status", "job list -o table", 'sql "select label, count(*) from pg.predictions group by 1"'):
            self.stage.say(f"  tidemill --home {here} {line}")
        self.stage.say("Ctrl-C stops everything.")
        while True:
            self.stage.check_children()
            if not self.stage.runs(LIVE):
                fleet = self._fleet(self._caught_up, None, "--fault-rate", FAULT_RATE, *ASTRAY, "--speed", 1)
                self.stage.background(LIVE, *fleet)
            time.sleep(1)

    def stop(self) -> None:
        """End everything that was started. What goes wrong here is said, and hides no earlier failure."""
        self.stage.end_children()
        if not self._is_up:
            return
        here = os.path.relpath(self.home.root)
        try:
            self.stage.command("down", limit=120, shown=False)
        except (StepFailed, WaitedTooLong) as error:
            self.stage.say(f"not all was stopped: {error}; try `tidemill --home {here} down`")
        else:
            self.stage.say(f"stopped after {self.stage.seconds:.0f} s; everything is kept in {here}")

    # --- the plant --------------------------------------------------------------------------------------------------

    def _fleet(self, start: datetime, until: datetime | None, *options: object) -> list[object]:
        """The words of `tidemill simulate` for a stretch of this fleet's time."""
        words: list[object] = ["simulate", "--seed", SEED, "--interval", INTERVAL_SECONDS, "--start", _rfc3339(start)]
        return [*words, *(["--until", _rfc3339(until)] if until else []), *options]

    def _stream(self, start: datetime, until: datetime, *options: object) -> None:
        sent = json.loads(self.stage.command(*self._fleet(start, until, "--speed", "max", *options), limit=240))
        began = time.monotonic()
        rows = self.stage.wait_for(
            f"the windows up to {until:%H:%M} in the lake",
            lambda: self._rows_up_to(until),
            limit=240,
            now=lambda: f"`tidemill stream show` and {self.home.logs / 'stream.log'} say more",
        )
        self.stage.say(
            f"{sent['readings']:,} readings in {sent['messages']:,} messages, {sent['rate']:,} readings/s; "
            f"{len(sent['faults'])} faults planned"
        )
        self.stage.say(f"{rows:,} windows in the lake {time.monotonic() - began:.1f} s later")

    def _rows_up_to(self, until: datetime) -> int | None:
        """Rows of the windows table once it holds every machine's windows up to `until`, less the last open one."""
        last_closed = _rfc3339(until - WINDOW)
        row = self._rows(
            f"""select count(*) filter (where window_end = '{last_closed}') as closed, count(*) as windows
                from lake.windows"""  # noqa: S608
        )[0]
        return int(row["windows"]) if row["closed"] >= MACHINES * QUANTITIES else None

    # --- reading ----------------------------------------------------------------------------------------------------

    def _create(self, noun: str, *words: object) -> dict[str, Any]:
        created: dict[str, Any] = json.loads(self.stage.command(noun, "create", *words, limit=60))
        return created

    def _client(self) -> TidemillClient:
        from infra.client import TidemillClient

        return TidemillClient(self._address.api_url)

    def _stores(self) -> Stores:
        from storage.queries.stores import Stores

        return Stores(lake=self.home.lake, postgres_url=self._address.postgres_url)

    def _rows(self, query: str) -> list[dict[str, Any]]:
        from storage.queries import sql

        found: list[dict[str, Any]] = sql.query(self._stores(), query, max_rows=None).rows.to_pylist()
        return found

    def _lake_version(self) -> int:
        from storage.queries import lake

        return int(lake.snapshot(self.home.lake, "windows").version or 0)


_SAME = """
select (select count(*) from lake.predictions where job_name in ({names})) as parquet,
       (select count(*) from pg.predictions where job_name in ({names})) as postgres,
       (select count(*) from lake.predictions l join pg.predictions p using (job_name, mini_batch, row)
        where job_name in ({names}) and l.machine_id = p.machine_id and l.window_start = p.window_start
          and l.score is not distinct from p.score and l.label is not distinct from p.label) as equal,
       (select count(*) from (select machine_id, window_start from pg.predictions where job_name in ({names})
        group by all having count(*) > 1)) as twice,
       (select count(*) from lake.windows) as windows,
       (select count(*) from lake.late_readings) as late
"""


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hours(duration: timedelta) -> int:
    return round(duration / timedelta(hours=1))


def _total(partitions: list[dict[str, Any]], counter: str) -> int:
    return sum(int(partition[counter] or 0) for partition in partitions)


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.0f} min"
