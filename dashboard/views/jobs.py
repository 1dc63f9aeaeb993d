"""Batch scoring jobs: the list, and one job with its progress, timeline, error and origin."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import charts, data, layout, theme, words
from storage.queries.jobs import JobDetail, JobPage
from storage.queries.stores import Stores, utc_now

PAGE_SIZE = 12
LIVE = ("Queued", "Preparing", "Provisioning", "Starting", "Running", "Finalizing", "CancelRequested")
FILTERS: dict[str, tuple[str, ...] | None] = {
    "All": None,
    "Active": LIVE,
    "Completed": ("Completed",),
    "Failed": ("Failed",),
    "Canceled": ("Canceled",),
}


@st.fragment(run_every=layout.REFRESH)
def page() -> None:
    stores = data.place().stores
    counts = layout.shown(data.attempt(lambda: data.status_counts(stores)))
    if counts is None:
        return
    if not counts:
        layout.empty(
            "No jobs yet",
            "A job is one invocation of a batch endpoint, by you or by a schedule.",
            "tidemill batch-endpoint invoke --name pump-health",
        )
        return
    found = listing(stores, counts)
    if found is None:
        return
    name = selected(found)
    if name is not None:
        detail = layout.shown(data.attempt(lambda: data.job_detail(stores, name)))
        if detail is not None:
            show(detail)
        elif not data.postgres_problem(stores):
            st.info(f"There is no job named {name}.", icon=":material/search_off:")
    schedules(stores)


def listing(stores: Stores, counts: dict[str, int]) -> JobPage | None:
    with layout.card():
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            # options are plain words: what is shown is what the URL holds, so counts stand beside them
            wanted = st.segmented_control(
                "Status",
                list(FILTERS),
                key="status",
                default="All",
                required=True,
                bind="query-params",
                label_visibility="collapsed",
            )
            st.caption(summary(counts), width="content")
            number = -(-counted(counts, wanted) // PAGE_SIZE)
            at = int(st.pagination(number, key="page")) if number > 1 else 1
        filters = FILTERS[wanted or "All"]
        found = layout.shown(
            data.attempt(lambda: data.list_jobs(stores, statuses=filters, limit=PAGE_SIZE, offset=(at - 1) * PAGE_SIZE))
        )
        if found is None:
            return None
        if found.jobs.empty:
            st.caption("No job has this status.")
            return found
        table(found.jobs)
        return found


def summary(counts: dict[str, int]) -> str:
    """28 jobs: 25 completed · 1 failed"""
    kinds = [(name.lower(), counted(counts, name)) for name in FILTERS if name != "All"]
    told = " · ".join(f"{words.count(number)} {name}" for name, number in kinds if number)
    return f"{words.plural(counted(counts, 'All'), 'job')}: {told}"


def counted(counts: dict[str, int], wanted: str | None) -> int:
    statuses = FILTERS[wanted or "All"]
    return sum(n for status, n in counts.items() if statuses is None or status in statuses)


def table(jobs: pd.DataFrame) -> None:
    now = utc_now()
    shown = pd.DataFrame(
        {
            "Status": [[theme.marked(s)] for s in jobs["status"]],
            "Job": jobs["name"],
            "Deployment": (jobs["endpoint_name"] + " / " + jobs["deployment_name"]).where(
                jobs["endpoint_name"] != "", jobs["display_name"]
            ),
            "Trigger": jobs["schedule_name"].where(jobs["schedule_name"].notna(), jobs["trigger"]),
            "Progress": [percent(job) for job in data.each(jobs)],
            "Rows": [words.count(n) for n in jobs["items_succeeded"]],
            "Failed": [words.count(n) if n else words.NOTHING for n in jobs["items_failed"]],
            "Took": [words.duration(s) for s in jobs["seconds"]],
            "Invoked": [words.ago(t, now) for t in jobs["created_at"]],
        }
    )  # fmt: skip
    options = [theme.marked(s) for s in theme.JOB_STATES]
    colours = [look.colour for look in theme.JOB_STATES.values()]
    right = st.column_config.TextColumn(alignment="right")
    # a selection is a row number: when the list changes, the table starts anew with the same JOB selected
    key = "jobs-" + hashlib.sha256("\0".join(jobs["name"]).encode()).hexdigest()[:12]
    names = list(jobs["name"])
    current = st.query_params.get("job")
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height="content",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [names.index(current)] if current in names else []}},
        column_config={
            "Status": st.column_config.MultiselectColumn(options=options, color=colours, width=120),
            "Job": st.column_config.TextColumn(width="medium"),
            "Progress": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100, width=130),
            "Rows": right,
            "Failed": right,
            "Took": right,
            "Invoked": right,
        },
        alt="Jobs, the newest first; select a row to see the job below",
    )
    chosen = st.session_state[key]["selection"]["rows"]
    if chosen and names[chosen[0]] != current:
        st.query_params["job"] = names[chosen[0]]


def percent(job: Any) -> float:
    """Mini-batches done of 100; a job that completed without any is complete."""
    if job.mini_batches:
        return 100.0 * float(job.mini_batches_done) / float(job.mini_batches)
    return 100.0 if job.status == "Completed" else 0.0


def selected(found: JobPage) -> str | None:
    """The job in the URL, else the first that is active, else the newest that had something to score."""
    named = st.query_params.get("job")
    if named:
        return str(named)
    if found.jobs.empty:
        return None
    active = found.jobs[found.jobs["status"].isin(LIVE)]
    scored = found.jobs[found.jobs["mini_batches"] > 0]
    best = next(jobs for jobs in (active, scored, found.jobs) if len(jobs))
    return str(best["name"].iloc[0])


def show(detail: JobDetail) -> None:
    job = detail.job
    look = theme.job_state(job["status"])
    with layout.card():
        badge = f":{look.colour}-badge[{look.icon} {job['status']}]"
        st.markdown(f"#### {job['name']} &ensp;:small[{badge}]", anchors=False)
        st.markdown(reason(detail))
        if detail.is_live or job["mini_batches_done"] < job["mini_batches"]:
            progress(job)
        left, right = st.columns([5, 2], gap="medium")
        with left:
            timeline(detail)
            failure(detail)
        with right:
            st.markdown("**Origin**")
            st.table(lineage(detail), border="horizontal")


def reason(detail: JobDetail) -> str:
    """One sentence: what the job is doing, or why it ended so."""
    job = detail.job
    said = job["status_reason"]
    sentence = str(said) if isinstance(said, str) and said else f"{job['status']}, no reason given"
    took = (
        f" Took {words.duration(job['seconds'])}."
        if job["ended_at"] is not None and job["started_at"] is not None
        else ""
    )
    return f"{sentence[:1].upper()}{sentence[1:]}.{took}".replace("$", "\\$")


def progress(job: Any) -> None:
    done, total = int(job["mini_batches_done"]), int(job["mini_batches"])
    if not total:
        st.progress(0.0, text="mini-batches are being planned")
        return
    text = f"{done} of {words.plural(total, 'mini-batch', 'mini-batches')}"
    text += f" · {words.count(job['items_succeeded'])} items scored"
    if job["items_failed"]:
        text += f" · {words.count(job['items_failed'])} failed"
    if job["ended_at"] is None and done and job["seconds"]:
        text += f" · about {words.duration(job['seconds'] / done * (total - done))} left"
    st.progress(done / total, text=text)


def timeline(detail: JobDetail) -> None:
    batches = detail.mini_batches
    ended = batches[batches["ended_at"].notna() & batches["worker"].notna()]
    st.markdown("**Mini-batches by worker**")
    if ended.empty:
        st.caption("No mini-batch has ended yet." if detail.is_live else "No mini-batch was scored.")
        return
    st.altair_chart(charts.gantt(batches), alt="Mini-batches by worker over time")
    waiting = len(batches) - len(ended)
    notes = [
        f"{words.plural(len(ended), 'mini-batch', 'mini-batches')} ended",
        f"{waiting} {'waiting' if detail.is_live else 'never scored'}" if waiting else "",
        f"median {words.duration(ended['seconds'].median())}",
        f"{words.plural(int(detail.job['retries']), 'retry', 'retries')}" if detail.job["retries"] else "no retry",
    ]
    if detail.mini_batches_shown_of > len(batches):
        notes.append(f"{len(batches)} of {detail.mini_batches_shown_of} shown, failed and retried ones first")
    st.caption(" · ".join(n for n in notes if n))


def failure(detail: JobDetail) -> None:
    """The user's first traceback, and the errors of mini-batches by how often they came."""
    failed = detail.mini_batches[detail.mini_batches["outcome"] == "failed"]
    if detail.error is None and failed.empty:
        return
    st.markdown("**What went wrong**")
    if len(failed):
        grouped = failed.groupby("error", dropna=False).agg(mini_batches=("index", "count"), items=("failed", "sum"))
        for error, row in grouped.sort_values("mini_batches", ascending=False).head(5).iterrows():
            st.markdown(
                f"{words.plural(int(row['mini_batches']), 'mini-batch', 'mini-batches')}, "
                f"{words.plural(int(row['items']), 'item')}: `{error}`"
            )
    trace = detail.error or next((t for t in failed["traceback"] if isinstance(t, str)), None)
    if trace:
        st.code(trace.rstrip(), language=None, wrap_lines=True)


def lineage(detail: JobDetail) -> dict[str, str]:
    """Where the job came from and what it made, as words."""
    job, read = detail.job, detail.document.get("input") or {}
    deployment = detail.document.get("deployment") or {}
    size, unit = deployment.get("mini_batch_size", 10), str(deployment.get("mini_batch_unit"))
    versions = f"{read.get('from_version', '')}".replace("None", "the beginning"), read.get("to_version")
    rows = {
        "Endpoint": f"{job['endpoint_name']} / {job['deployment_name']}",
        "Model": job["model"],
        "Invoked by": f"schedule {job['schedule_name']}" if isinstance(job["schedule_name"], str) else job["trigger"],
        "Input": str(read.get("path", words.NOTHING)),
        "Versions": f"{versions[0]} to {versions[1]}" if versions[1] is not None else "",
        "Joined": ", ".join(read.get("join") or []),
        "Mini-batch": {"bytes": f"{size / 1024:.0f} KB", "rows": f"{size} rows"}.get(unit, f"{size} items"),
        "Predictions": f"{words.count(detail.predictions)} rows",
        "Output": str((detail.document.get("output") or {}).get("path") or ""),
        "Started": clock(job["started_at"]),
        "Ended": clock(job["ended_at"]),
    }
    return {name: text for name, text in rows.items() if text}


def clock(moment: datetime | None) -> str:
    return "" if moment is None else f"{words.clock(moment)} UTC"


def schedules(stores: Stores) -> None:
    found = data.known(data.attempt(lambda: data.schedules(stores)))
    if found is None or found.empty:
        return
    now = utc_now()
    with layout.card("Schedules"):
        shown = pd.DataFrame(
            {
                "Schedule": found["name"],
                "Endpoint": found["endpoint_name"],
                "State": ["enabled" if e else "disabled" for e in found["is_enabled"]],
                "Next": [due(s, now) for s in data.each(found)],
                "Last": [words.ago(t, now) for t in found["last_fire"]],
                "Last job": [j if isinstance(j, str) else words.NOTHING for j in found["last_job_name"]],
                "Last skip": [s if isinstance(s, str) else words.NOTHING for s in found["last_skip"]],
                "Scored to version": [words.NOTHING if pd.isna(v) else str(int(v)) for v in found["last_version"]],
            }
        )  # fmt: skip
        st.dataframe(shown, hide_index=True, alt="Schedules with their next and last fire times")


def due(schedule: Any, now: datetime) -> str:
    """in 6 min · overdue by 3 min · –"""
    if not schedule.is_enabled or pd.isna(schedule.next_fire):
        return words.NOTHING
    late = (now - schedule.next_fire).total_seconds()
    return f"overdue by {words.duration(round(late))}" if late > 1 else words.ago(schedule.next_fire, now)


page()
