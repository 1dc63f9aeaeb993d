"""The engine of schedules: invokes what is due, at most once for a fire time, never while the job before still runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from scoring.components.jobs import CommandJob, PipelineDeployment, PipelineJob
from scoring.errors import Conflict, NotFound, ScoringError, TryAgain
from scoring.invoke import Invocation, chosen_deployment, new_job
from scoring.job import Job, JobInput, JobInputType, JobOutput
from scoring.outage import Outage
from scoring.pipeline.scheduled import JOB_NAME, job_of, of_one_job
from scoring.ports import Catalog, Clock, InputReader, JobStore, ScheduleStore
from scoring.schedule import Schedule

_log = logging.getLogger(__name__)

_MISSED_COUNTED = 1000

RUNNING_SKIP = "the job before it still runs"
NOTHING_NEW_SKIP = "nothing new"


@dataclass(frozen=True, kw_only=True)
class Fired:
    """What came of a due schedule: a job, or the reason why there is none.

    missed  later fire times that had passed as well; they are not made up for one by one, since one job scores all
            that is new
    """

    schedule_name: str
    fire_time: datetime
    job: Job | None = None
    skipped: str | None = None
    missed: int = 0


@dataclass(frozen=True, kw_only=True)
class SchedulerPorts:
    """What a scheduler needs.

    new_name  makes names of jobs
    locate    follows the references that a job of a model holds
    freeze    gives the data of a pipeline or command the versions of now; raises InvalidInput and NotFound
    """

    schedules: ScheduleStore
    jobs: JobStore
    catalog: Catalog
    reader: InputReader
    clock: Clock
    new_name: Callable[[Schedule], str]
    locate: Callable[[Job], Job] = lambda job: job
    freeze: Callable[[CommandJob | PipelineJob], CommandJob | PipelineJob] = lambda work: work


class Scheduler:
    """Several may run: a fire time makes one job, whoever is first. A schedule that fails does not hold back others."""

    def __init__(self, ports: SchedulerPorts, *, on_job: Callable[[Job], None] = lambda _: None) -> None:
        """`on_job` is told of each new job, so that a runner need not be waited for."""
        self._ports = ports
        self._on_job = on_job
        self._outages: dict[str, Outage] = {}

    def tick(self, now: datetime) -> list[Fired]:
        """Fire every schedule that is due. A store that is away leaves its schedule due: the next tick fires it."""
        fired = []
        for schedule in self._ports.schedules.due(now):
            try:
                fired.append(self._fire(schedule, now))
            except TryAgain as away:
                self._outages.setdefault(schedule.name, Outage(_log, f"schedule {schedule.name}")).away(away)
                continue
            except NotFound:
                continue  # deleted meanwhile
            except Exception:
                _log.exception("schedule %s could not be fired", schedule.name)
            if (ended := self._outages.pop(schedule.name, None)) is not None:
                ended.over()
        return fired

    def serve(self, stop: threading.Event, *, poll: float = 0.5) -> None:
        """Tick until `stop` is set."""
        outage = Outage(_log, "the scheduler")
        while not stop.wait(poll):
            try:
                self.tick(self._ports.clock.now())
                outage.over()
            except TryAgain as away:
                outage.away(away)
            except Exception:
                _log.exception("the scheduler failed; it goes on with the next tick")

    def _fire(self, due: Schedule, now: datetime) -> Fired:
        assert due.next_fire is not None
        fire_time = due.next_fire
        running = self._still_running(due)
        # read again after the look at the job: it may have ended in between, and moved last_version
        schedule = self._ports.schedules.get(due.name)
        if schedule.next_fire != fire_time or not schedule.is_enabled:
            return Fired(schedule_name=due.name, fire_time=fire_time, skipped="changed or fired meanwhile")
        job: Job | None = None
        skipped = RUNNING_SKIP if running else None
        if skipped is None:
            try:
                job, skipped = self._invoked(schedule, fire_time, now)
            except TryAgain:
                raise
            except ScoringError as refused:
                skipped = str(refused)
        moved, missed = _moved(schedule, fire_time, now)
        fired = replace(moved, last_skip=skipped, missed=schedule.missed + missed)
        self._ports.schedules.save(fired if job is None else replace(fired, last_job_name=job.name))
        if job is not None:
            self._on_job(job)
        return Fired(schedule_name=schedule.name, fire_time=fire_time, job=job, skipped=skipped, missed=missed)

    def _still_running(self, schedule: Schedule) -> bool:
        if schedule.last_job_name is None:
            return False
        try:
            return not self._ports.jobs.get(schedule.last_job_name).status.is_terminal
        except NotFound:
            return False

    def _invoked(self, schedule: Schedule, fire_time: datetime, now: datetime) -> tuple[Job | None, str | None]:
        work = schedule.work
        if work is not None:
            name = self._ports.new_name(schedule)
            run = job_of(schedule, self._ports.freeze(of_one_job(work, name)), name, fire_time=fire_time, now=now)
            return self._ports.jobs.add(run), None
        wanted = schedule.input
        if wanted.incremental:
            wanted = replace(wanted, from_version=_later(wanted.from_version, schedule.last_version))
        if wanted.type is JobInputType.TABLE:
            resolved = self._ports.reader.resolve(wanted)
            if wanted.incremental and resolved.to_version == wanted.from_version:
                return None, f"{NOTHING_NEW_SKIP} in {wanted.path} since version {wanted.from_version}"
        endpoint = self._ports.catalog.endpoint(schedule.endpoint_name)
        deployment = self._ports.catalog.deployment(
            endpoint.name, chosen_deployment(endpoint, schedule.deployment_name)
        )
        if isinstance(deployment, PipelineDeployment):
            message = (
                f"deployment {deployment.name} is of a pipeline; write create_job: {{type: pipeline, component: …}}"
            )
            raise Conflict(message)
        name = self._ports.new_name(schedule)
        job = new_job(name, deployment, _invocation(schedule, wanted, fire_time, name), now=now)
        return self._ports.jobs.add(self._ports.locate(job)), None


def _invocation(schedule: Schedule, wanted: JobInput, fire_time: datetime, job_name: str) -> Invocation:
    return Invocation(
        input=wanted,
        output=output_of_one_job(schedule.output, job_name),
        display_name=schedule.display_name or schedule.name,
        tags={**schedule.tags, "schedule": schedule.name},
        properties=schedule.properties,
        schedule_name=schedule.name,
        fire_time=fire_time,
    )


def output_of_one_job(output: JobOutput, job_name: str) -> JobOutput:
    """The schedule's output as one of its jobs has it: `<path>/<job name>`, as no job writes over another's files.

    A path that holds `${{name}}` says itself where the job's name goes; one with `overwrite` is meant for all jobs.
    """
    if output.path is None or (output.overwrite and JOB_NAME.search(output.path) is None):
        return output
    named = JOB_NAME.sub(job_name, output.path)
    return replace(output, path=named if named != output.path else f"{output.path.rstrip('/')}/{job_name}")


def _later(own: int | None, scored: int | None) -> int | None:
    """Where the schedule begins: after what it has scored, and not before what its input says."""
    known = [version for version in (own, scored) if version is not None]
    return max(known) if known else None


def _moved(schedule: Schedule, fire_time: datetime, now: datetime) -> tuple[Schedule, int]:
    """The schedule after a fire, due next after `now`; and how many fire times between were passed over."""
    missed = 0
    passed = fire_time
    while missed < _MISSED_COUNTED:
        following = schedule.trigger.next_after(passed)
        if following is None or following > now:
            break
        missed += 1
        passed = following
    following = schedule.trigger.next_after(max(now, fire_time))
    return replace(schedule, last_fire=fire_time, next_fire=following), missed
