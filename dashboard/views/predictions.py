"""Scores of one machine over time, beside what its sensors measured and what was really wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import charts, data, layout, words
from storage.queries.stores import Stores, TimeRange

MOST_ALARMS = 12


def page() -> None:
    place = data.place()
    stores = place.stores
    when = layout.time_range(stores)
    if when is None:
        layout.empty(
            "Nothing to score yet",
            "Predictions are made from windows, and there are none.",
            "tidemill up && tidemill simulate",
        )
        return
    machines = layout.shown(data.attempt(lambda: data.scored_machines(stores, when)))
    if machines is None:
        return
    if machines.empty:
        layout.empty(
            "No predictions in this time",
            "Deploy a model behind a batch endpoint, then invoke it or let a schedule do so:",
            "tidemill batch-endpoint invoke --name pump-health",
        )
        return
    machine, endpoint = pick(stores, machines)
    view(machine, endpoint)


def pick(stores: Stores, machines: pd.DataFrame) -> tuple[str, str | None]:
    """The machine (kept in the URL), the worst first; the endpoint where there is more than one."""
    endpoints = data.known(data.attempt(lambda: data.endpoints(stores))) or []
    names = [str(name) for name in machines["machine_id"]]
    with st.container(horizontal=True, vertical_alignment="center"):
        # options are plain names: what is shown is what the URL holds
        machine = st.selectbox(
            "Machine", names, key="machine", bind="query-params", width=300, label_visibility="collapsed"
        )
        endpoint = None
        if len(endpoints) > 1:
            endpoint = st.selectbox(
                "Endpoint", endpoints, key="endpoint", bind="query-params", width=240, label_visibility="collapsed"
            )
        machine = machine or names[0]
        row = data.each(machines[machines["machine_id"] == machine])[0]
        told = [str(text) for text in (row.site_name, row.model) if isinstance(text, str)]
        told.append(
            words.plural(int(row.anomalies), "anomalous window") if row.anomalies else "no anomaly in this time"
        )
        st.caption(" · ".join(told), width="content")
    return machine, endpoint


@st.fragment(run_every=layout.REFRESH)
def view(machine: str, endpoint: str | None) -> None:
    stores = data.place().stores
    when = layout.time_range(stores)
    if when is None:
        return
    scores = layout.shown(data.attempt(lambda: data.score_series(stores, machine, when, endpoint=endpoint)))
    if scores is None:
        return
    threshold = data.known(data.attempt(lambda: data.threshold(stores, endpoint=endpoint)))
    faults = data.known(data.attempt(lambda: data.faults(stores, when)))
    faults = pd.DataFrame(columns=["machine_id"]) if faults is None else faults
    figures(stores, when, machine, endpoint)
    span = charts.span_of(when)
    mine = faults[faults["machine_id"] == machine]
    with layout.card("Anomaly score", score_note(mine)):
        if scores.empty:
            st.caption("This machine was not scored in this time.")
        else:
            chart = charts.score(scores, threshold=threshold, faults=mine, span=span)
            st.altair_chart(chart, alt=f"Anomaly score of {machine} over time")
    sensors(stores, when, machine, mine, span)
    alarms(stores, when, endpoint, faults)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        layout.caption(when)
        download(stores, when, machine, endpoint)


def figures(stores: Stores, when: TimeRange, machine: str, endpoint: str | None) -> None:
    """This machine's figures on the left; how good the labels were, over all machines, where the truth is known."""
    rows = data.known(data.attempt(lambda: data.prediction_rows(stores, when, machine_id=machine, endpoint=endpoint)))
    if rows is None:
        return
    worst = rows["score"].max() if len(rows) else None
    quality = data.known(data.attempt(lambda: data.evaluate(stores, when, endpoint=endpoint)))
    with st.grid(6 if quality else 3, gap="small"):
        st.metric("Windows scored", words.count(len(rows)), help=f"Of {machine}, in the chosen time", **layout.METRIC)
        st.metric("Anomalous", words.count(int(rows["anomalous"].sum())), help=f"Windows of {machine}", **layout.METRIC)
        st.metric("Worst score", words.score(worst), help=f"Of {machine}, in the chosen time", **layout.METRIC)
        if not quality:
            return
        hits, called = quality.true_positives, quality.true_positives + quality.false_positives
        faulty = quality.true_positives + quality.false_negatives
        lead = quality.median_lead
        st.metric(
            "Precision, fleet",
            words.share(quality.precision),
            help=f"{hits} of {called} anomalous windows lie in a true fault, over all machines",
            **layout.METRIC,
        )
        st.metric(
            "Recall, fleet",
            words.share(quality.recall),
            help=f"{hits} of {faulty} windows of true faults were called anomalous, over all machines",
            **layout.METRIC,
        )
        st.metric(
            "Faults found",
            f"{quality.detected} of {len(quality.outcomes)}",
            help="Episodes with an alarm: three anomalous windows in a row"
            + (f"; median {words.duration(lead.total_seconds())} before the episode ended" if lead else ""),
            **layout.METRIC,
        )


def score_note(faults: pd.DataFrame) -> str:
    note = "▲ anomalous window"
    return f"{note} · shaded: true faults, known from the simulator" if len(faults) else note


def sensors(stores: Stores, when: TimeRange, machine: str, faults: pd.DataFrame, span: charts.Span) -> None:
    with layout.card("Sensors", "mean of each window, min to max shaded"):
        series = layout.shown(data.attempt(lambda: data.machine_series(stores, machine, when)))
        if series is None:
            return
        if series.empty:
            st.caption("This machine has no windows in this time.")
            return
        known = data.known(data.attempt(lambda: data.sensor_limits(stores, machine)))
        limits = {} if known is None else {r.sensor_id: (r.low_limit, r.high_limit) for r in data.each(known)}
        names = list(dict.fromkeys(series.sort_values("quantity")["sensor_id"]))
        with st.container(gap="xxsmall"):
            for number, name in enumerate(names):
                low, high = limits.get(name, (None, None))
                chart = charts.sensor(
                    series[series["sensor_id"] == name],
                    faults=faults,
                    limits=(None if pd.isna(low) else low, None if pd.isna(high) else high),
                    span=replace(span, labels=number == len(names) - 1),
                )
                st.altair_chart(chart, alt=f"{name} over time")


def alarms(stores: Stores, when: TimeRange, endpoint: str | None, faults: pd.DataFrame) -> None:
    with layout.card("Alarms", "anomalous windows in a row, of the whole fleet, the highest peak first"):
        found = layout.shown(data.attempt(lambda: data.alarms(stores, when, endpoint=endpoint, limit=MOST_ALARMS)))
        if found is None:
            return
        if found.empty:
            layout.nothing("No window was called anomalous.")
            return
        right = st.column_config.TextColumn(alignment="right")
        shown = pd.DataFrame(
            {
                "Machine": found["machine_id"],
                "Site": found["site_name"].fillna(words.NOTHING),
                "Began (UTC)": [words.minute(t) for t in found["begins"]],
                "Lasted": [
                    words.duration((b - a).total_seconds()) for a, b in zip(found["begins"], found["ends"], strict=True)
                ],
                "Windows": [words.count(n) for n in found["windows"]],
                "Peak score": found["peak"],
                "Most unusual": [
                    words.quantity(f) if isinstance(f, str) else words.NOTHING for f in found["top_feature"]
                ],
                "True fault": [truth(row, faults) for row in data.each(found)],
                "Model": found["model"],
                "Job": found["job_name"],
            }
        )
        shown = shown if len(faults) else shown.drop(columns="True fault")
        top = float(found["peak"].max())
        st.dataframe(
            shown,
            hide_index=True,
            height="content",
            column_config={
                "Lasted": right,
                "Windows": right,
                "Peak score": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=top, color="red"),
            },
            alt="Alarms of the fleet with their peak scores",
        )


def truth(alarm: Any, faults: pd.DataFrame) -> str:
    """The fault that was really there while the alarm lasted."""
    of_machine = faults[faults["machine_id"] == alarm.machine_id]
    there = of_machine[(of_machine["starts_at"] < alarm.ends) & (of_machine["ends_at"] > alarm.begins)]
    return ", ".join(words.quantity(k) for k in there["kind"].unique()) or "none"


def download(stores: Stores, when: TimeRange, machine: str, endpoint: str | None) -> None:
    rows = data.known(data.attempt(lambda: data.prediction_rows(stores, when, machine_id=machine, endpoint=endpoint)))
    if rows is None or rows.empty:
        return
    st.download_button(
        f"CSV of {machine} ({words.plural(len(rows), 'row')})",
        data.csv(rows.drop(columns="details")),
        file_name=f"predictions-{machine}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


page()
