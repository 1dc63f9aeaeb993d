"""The engines: what works on jobs beside the requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.settings import Settings
from infra.wiring.environments import environments
from infra.wiring.job_data import finisher, input_reader, sinks, step_places
from infra.wiring.lake import lake_upkeep
from infra.wiring.stores import catalog, job_keeper, job_store, listing, pipeline_store, references, schedule_store

if TYPE_CHECKING:
    from scoring.compute.fleet import Fleet
    from scoring.compute.local import LocalCompute
    from scoring.environments.deployments import DeploymentEnvironments
    from scoring.pipeline.step_ports import StepPorts
    from scoring.runner import Patience


@dataclass(frozen=True, kw_only=True)
class Engines:
    """`loops` run until their event is set; `wake` says that there is a new job; `close` ends the worker processes."""

    loops: Mapping[str, Callable[[threading.Event], None]]
    wake: Callable[[], None]
    close: Callable[[], None]
    fleet: Fleet


def engines(settings: Settings, *, runners: int = 4, patience: Patience | None = None) -> Engines:
    """Job runners side by side over one pool of worker processes, and the scheduler."""
    import uuid_utils

    from infra import this_machine
    from scoring.clock import SystemClock
    from scoring.compute.local import LocalCompute
    from scoring.compute.upkeep import Upkeep
    from scoring.deployment import Deployment
    from scoring.heir import Heir
    from scoring.owner import Owner, is_gone
    from scoring.pipeline.conductor import Conductor
    from scoring.runner import Patience, Runner, RunnerPorts
    from scoring.scheduler import Scheduler, SchedulerPorts
    from storage.inputs.splitting import split
    from storage.job_places import located

    stored, named = catalog(settings), references(settings)
    made = environments(settings)
    wake, here = threading.Event(), this_machine.machine()
    compute = LocalCompute(
        stored.compute,
        folder=settings.paths.logs,
        interpreter_of=made.interpreter,
        # no runner stands before a full cluster: jobs of others would find none
        most_waiting=0,
        on_free=wake.set,
    )
    jobs, reader, clock = job_store(settings), input_reader(settings), SystemClock()
    stirred = threading.Event()
    ports = RunnerPorts(
        jobs=jobs,
        catalog=stored,
        reader=reader,
        compute=compute,
        sinks=sinks(settings),
        finisher=finisher(settings),
        clock=clock,
        jobs_folder=settings.paths.jobs,
        split=split,
        prepare=made.prepare,
        steps=step_ports(settings, compute, made),
        on_end=lambda job: stirred.set(),
        crowded=compute.fleet.crowded,
    )

    def woken() -> None:
        wake.set()
        stirred.set()

    loops: dict[str, Callable[[threading.Event], None]] = {}
    for number in range(runners):
        owner = Owner(machine=here, pid=os.getpid(), started=this_machine.started(os.getpid()) or "0", number=number)
        runner = Runner(ports, owner=str(owner), patience=patience or Patience())
        loops[f"runner-{number}"] = lambda stop, runner=runner: runner.serve(stop, wake=wake)  # type: ignore[misc]
    scheduler = Scheduler(
        SchedulerPorts(
            schedules=schedule_store(settings),
            jobs=jobs,
            catalog=stored,
            reader=reader,
            clock=clock,
            new_name=lambda schedule: str(uuid_utils.uuid7()),
            locate=lambda job: located(job, named),
            freeze=step_places(settings).frozen_work,
        ),
        on_job=lambda job: woken(),
    )
    loops["scheduler"] = scheduler.serve
    heir = Heir(
        job_keeper(settings),
        lambda text: is_gone(text, machine=here, started=this_machine.started),
        on_released=wake.set,
    )
    loops["heir"] = heir.serve
    conductor = Conductor(
        pipeline_store(settings), now=clock.now, jobs_folder=settings.paths.jobs, on_released=wake.set
    )
    loops["pipelines"] = lambda stop: conductor.serve(stop, wake=stirred)
    lists = listing(settings)
    if settings.lake_upkeep_seconds:
        loops["lake-upkeep"] = lake_upkeep(settings).serve

    def defaults() -> Sequence[Deployment]:
        found = [
            stored.deployment(endpoint.name, endpoint.default_deployment_name)
            for endpoint in lists.endpoints()
            if endpoint.default_deployment_name is not None
        ]
        return [deployment for deployment in found if isinstance(deployment, Deployment)]

    loops["clusters"] = Upkeep(compute=compute, clusters=lists.computes, deployments=defaults).serve

    return Engines(loops=loops, wake=woken, close=compute.close, fleet=compute.fleet)


def step_ports(settings: Settings, compute: LocalCompute, made: DeploymentEnvironments) -> StepPorts:
    """What commands and steps of pipelines need beside what every job does."""
    from scoring.pipeline.command_process import CommandProcess
    from scoring.pipeline.step_ports import StepPorts

    places = step_places(settings)
    return StepPorts(
        commands=CommandProcess(compute.fleet),
        interpreter=made.interpreter,
        input_path=places.input_path,
        output_path=places.output_path,
        reusable=pipeline_store(settings).reusable,
        register=places.register,
    )
