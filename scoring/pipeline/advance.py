"""How a pipeline goes on: which steps start, which are given up, what its own state is. Pure.

a step starts             when all steps whose outputs it reads have Completed
a step is given up        (Canceled) when one of them ended otherwise, or when the pipeline stops
a pipeline stops          when a step Failed or was Canceled, unless continue_on_step_failure; what runs is canceled
a pipeline ends           when all its steps have: Completed where they all have, else Failed; Canceled by request
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce

from scoring.components.binding import DataReference
from scoring.components.component import Step
from scoring.components.graph import needs, ordered
from scoring.components.jobs import PipelineJob
from scoring.components.values import given_values
from scoring.errors import InvalidInput
from scoring.job import Job, JobKind, JobProgress, JobStatus, JobUsage, NamedOutput
from scoring.pipeline.planning import child_of, produced_by, released


@dataclass(frozen=True, kw_only=True)
class Advance:
    """The pipeline and its steps as they are now; `added` are new, the others were given."""

    parent: Job
    changed: tuple[Job, ...] = ()
    added: tuple[Job, ...] = ()


Decide = Callable[[Job, Sequence[Job]], Advance]
"""Called by a store with a pipeline and its children, all locked."""


def advanced(parent: Job, children: Sequence[Job], *, now: datetime) -> Advance:
    """One step on; asked again, until nothing changes, it goes as far as it can for now."""
    if parent.status.is_terminal or parent.status is JobStatus.NOT_STARTED or parent.pipeline is None:
        return Advance(parent=parent)
    if parent.status is JobStatus.QUEUED:
        in_order = enumerate(ordered(parent.pipeline.component.jobs))
        steps = tuple(child_of(parent, step, now=now + timedelta(microseconds=place)) for place, step in in_order)
        begun = replace(parent.moved(JobStatus.PREPARING, reason=f"{len(steps)} steps"), started_at=now)
        return Advance(parent=begun, added=steps)
    if parent.status is JobStatus.FINALIZING:
        return Advance(parent=replace(parent, status=JobStatus.COMPLETED, ended_at=now))
    by_step = {child.step or "": child for child in children}
    after = dict(by_step)
    if parent.status is JobStatus.CANCEL_REQUESTED:
        after = {name: _canceled(child, "the pipeline was canceled") for name, child in by_step.items()}
    else:
        _go_on(parent, parent.pipeline, after, now)
    changed = tuple(child for name, child in after.items() if child is not by_step[name])
    ended = [replace(c, ended_at=now) if c.status.is_terminal and c.ended_at is None else c for c in changed]
    return Advance(parent=_judged(parent, parent.pipeline, after, now), changed=tuple(ended))


def given_up(parent: Job, children: Sequence[Job], *, reason: str, now: datetime) -> Advance:
    """A pipeline that cannot go on, for a reason of its own: it has Failed, and its steps are to end."""
    if not parent.may_move(JobStatus.FAILED):
        return Advance(parent=parent)
    after = [(child, _canceled(child, reason)) for child in children if not child.status.is_terminal]
    failed = replace(parent.moved(JobStatus.FAILED, reason=reason), ended_at=now)
    return Advance(parent=failed, changed=tuple(ended for child, ended in after if ended is not child))


def _go_on(parent: Job, pipeline: PipelineJob, after: dict[str, Job], now: datetime) -> None:
    """Starts what can start and gives up what cannot; in the order of need, so that one look is enough."""
    lost = _first_lost(pipeline, after)
    if lost is not None and not pipeline.settings.continue_on_step_failure:
        for name, child in after.items():
            after[name] = _canceled(child, f"step {lost} {_ended_how(after[lost])}")
        return
    values = given_values(pipeline.component.inputs, pipeline.inputs)
    produced: dict[tuple[str, str], DataReference] = {}
    for step in ordered(pipeline.component.jobs):
        child = after[step.name]
        if child.status is JobStatus.COMPLETED:
            produced |= produced_by(child)
        if child.status is not JobStatus.NOT_STARTED:
            continue
        missing = sorted(name for name in needs(step) if after[name].status is not JobStatus.COMPLETED)
        gone = [name for name in missing if after[name].status.is_terminal]
        if gone:
            reason = f"step {gone[0]}, whose output it reads, {_ended_how(after[gone[0]])}"
            after[step.name] = child.moved(JobStatus.CANCELED, reason=reason)
        elif not missing:
            try:
                after[step.name] = released(parent, child, step, values, produced)
            except InvalidInput as wrong:
                after[step.name] = child.moved(JobStatus.FAILED, reason=str(wrong))


def _first_lost(pipeline: PipelineJob, after: Mapping[str, Job]) -> str | None:
    """The step that ended badly; of several one that failed, before those that were canceled with it."""
    names = [step.name for step in pipeline.component.jobs]
    for status in (JobStatus.FAILED, JobStatus.CANCELED):
        for name in names:
            if after[name].status is status:
                return name
    return None


def _canceled(child: Job, reason: str) -> Job:
    """On its way to its end; one that writes its outputs already completes."""
    waits = child.status is JobStatus.NOT_STARTED
    if waits or (child.status is JobStatus.QUEUED and child.lease_owner is None and child.kind is not JobKind.PIPELINE):
        return child.moved(JobStatus.CANCELED, reason=reason)
    if child.may_move(JobStatus.CANCEL_REQUESTED):
        return child.moved(JobStatus.CANCEL_REQUESTED, reason=reason)
    return child


def _judged(parent: Job, pipeline: PipelineJob, after: Mapping[str, Job], now: datetime) -> Job:
    """The pipeline as its steps make it: counts, cost, state."""
    children = list(after.values())
    completed = [child for child in children if child.status is JobStatus.COMPLETED]
    counted = replace(
        parent,
        progress=JobProgress(
            items=len(children),
            items_succeeded=len(completed),
            items_failed=sum(1 for child in children if child.status.is_terminal) - len(completed),
        ),
        usage=reduce(JobUsage.plus, (child.usage for child in children), JobUsage()),
    )
    if not all(child.status.is_terminal for child in children):
        if parent.status is JobStatus.CANCEL_REQUESTED:
            return counted
        return _running(counted, children)
    if len(completed) == len(children):
        if parent.status is JobStatus.CANCEL_REQUESTED:
            return replace(counted.moved(JobStatus.CANCELED, reason="canceled by request"), ended_at=now)
        reason = f"all {len(children)} steps completed{_taken_over(children)}"
        done = _at(counted, JobStatus.RUNNING).moved(JobStatus.FINALIZING, reason=reason)
        return replace(done, outputs=_results(pipeline.component.jobs, after))
    if parent.status is JobStatus.CANCEL_REQUESTED:
        return replace(counted.moved(JobStatus.CANCELED, reason="canceled by request"), ended_at=now)
    lost = _first_lost(pipeline, after)
    assert lost is not None
    first = after[lost]
    how = "was canceled" if first.status is JobStatus.CANCELED else "failed"
    reason = f"step {lost} {how}: {first.status_reason or 'no reason given'}"
    outputs = _results(pipeline.component.jobs, after)
    failed = _at(counted, JobStatus.RUNNING).moved(JobStatus.FAILED, reason=reason)
    return replace(failed, error=first.error, ended_at=now, outputs=outputs)


def _running(parent: Job, children: Sequence[Job]) -> Job:
    under_way = [child.step or "" for child in children if _is_under_way(child)]
    done = sum(1 for child in children if child.status.is_terminal)
    reason = f"{done} of {len(children)} steps have ended" + (
        f"; under way: {', '.join(under_way)}" if under_way else ""
    )
    return replace(_at(parent, JobStatus.RUNNING), status_reason=reason)


def _at(parent: Job, status: JobStatus) -> Job:
    return parent if parent.status is status else parent.moved(status)


def _is_under_way(child: Job) -> bool:
    return not child.status.is_terminal and child.status is not JobStatus.NOT_STARTED


def _results(steps: Sequence[Step], after: Mapping[str, Job]) -> dict[str, NamedOutput]:
    """The pipeline's outputs, as far as the steps that write them have completed."""
    found = {}
    for step in steps:
        for name, target in step.outputs.items():
            written = after[step.name].outputs.get(name)
            if target.parent_output and written and after[step.name].status is JobStatus.COMPLETED:
                found[target.parent_output] = written
    return found


def _taken_over(children: Sequence[Job]) -> str:
    count = sum(1 for child in children if child.reused_from is not None)
    return f", {count} of them taken over from earlier jobs" if count else ""


def _ended_how(child: Job) -> str:
    return "failed" if child.status is JobStatus.FAILED else "was canceled"
