"""Scores of one machine over time, beside what its sensors measured and what was really wrong."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import charts, data, layout, words
from storage.queries.stores import Stores, TimeRange

TOP = 12


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
    named = {
        str(row.machine_id): " · ".join(
            [
                str(row.machine_id),
                *([str(row.site_name)] if isinstance(row.site_name, str) else []),
                words.plural(int(row.anomalies), "anomalous window") if row.anomalies else "no anomaly",
            ]
        )
        for row in data.each(machines)
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        machine = st.selectbox(
            "Machine",
            list(named),
            format_func=lambda m: named[m],
            key="machine",
            bind="query-params",
            width=440,
            label_visibility="collapsed",
        )
        endpoint = None
        if len(endpoints) > 1:
            endpoint = st.selectbox(
                "Endpoint", endpoints, key="endpoint", bind="query-params", width=240, label_visibility="collapsed"
            )
    return machine or next(iter(named)), endpoint


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
    figures(stores, when, machine, endpoint, faults)
    span = charts.span_of(when)
    mine = faults[faults["machine_id"] == machine]
    with layout.card("Anomaly score", score_note(mine)):
        if scores.empty:
            st.caption("This machine was not scored in this time.")
        else:
            chart = charts.score(scores, threshold=threshold, faults=mine, span=span)
            st.altair_chart(chart, alt=f"Anomaly score of {machine} over time")
    sensors(stores, when, machine, mine, span)
    bottom(stores, when, machine, endpoint)
    layout.caption(when)


def figures(stores: Stores, when: TimeRange, machine: str, endpoint: str | None, faults: pd.DataFrame) -> None:
    """This machine's figures on the left; how good the labels were, over all machines, where the truth is known."""
    rows = data.known(data.attempt(lambda: data.prediction_rows(stores, when, endpoint=endpoint)))
    if rows is None:
        return
    mine = rows[rows["machine_id"] == machine]
    worst = mine["score"].max() if len(mine) else None
    with st.grid(6 if len(faults) else 3, gap="small"):
        st.metric("Windows scored", words.count(len(mine)), help=f"Of {machine}, in the chosen time", **layout.METRIC)
        st.metric("Anomalous", words.count(int(mine["anomalous"].sum())), help=f"Windows of {machine}", **layout.METRIC)
        st.metric("Worst score", words.score(worst), help=f"Of {machine}, in the chosen time", **layout.METRIC)
        if len(faults):
            truth = data.evaluate(rows, faults)
            st.metric(
                "Precision, fleet",
                words.share(truth.precision),
                help=f"{truth.anomalous_in_fault} of {truth.anomalous} anomalous windows overlap a true fault",
                **layout.METRIC,
            )
            st.metric(
                "Recall, fleet",
                words.share(truth.recall),
                help=f"{truth.episodes_found} of {truth.episodes} fault episodes have an anomalous window",
                **layout.METRIC,
            )
            st.metric(
                "Lead time",
                words.NOTHING if truth.lead_time is None else words.duration(truth.lead_time.total_seconds()),
                help="Median, from an episode's first anomalous window to the episode's end",
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


def bottom(stores: Stores, when: TimeRange, machine: str, endpoint: str | None) -> None:
    with layout.card("Highest scores", "of the whole fleet, in the chosen time"):
        top = layout.shown(data.attempt(lambda: data.top_anomalies(stores, when, endpoint=endpoint, limit=TOP)))
        if top is None:
            return
        if top.empty:
            layout.nothing("No window was called anomalous.")
        else:
            st.dataframe(
                top,
                hide_index=True,
                height="content",
                column_order=[
                    "machine_id",
                    "site_name",
                    "window_start",
                    "score",
                    "label",
                    "model",
                    "job_name",
                    "source",
                ],
                column_config={
                    "machine_id": st.column_config.TextColumn("Machine"),
                    "site_name": st.column_config.TextColumn("Site"),
                    "window_start": st.column_config.DatetimeColumn(
                        "Window (UTC)", format="DD MMM HH:mm", timezone="UTC"
                    ),
                    "score": st.column_config.ProgressColumn(
                        "Score", format="%.2f", min_value=0, max_value=float(top["score"].max()), color="red"
                    ),
                    "label": st.column_config.TextColumn("Label"),
                    "model": st.column_config.TextColumn("Model"),
                    "job_name": st.column_config.TextColumn("Job"),
                    "source": st.column_config.TextColumn("Scored from"),
                },
                alt="Windows with the highest anomaly scores",
            )
        rows = data.known(
            data.attempt(lambda: data.prediction_rows(stores, when, machine_id=machine, endpoint=endpoint))
        )
        if rows is not None and len(rows):
            st.download_button(
                f"CSV of {machine} ({words.plural(len(rows), 'row')})",
                data.csv(rows.drop(columns="details")),
                file_name=f"predictions-{machine}.csv",
                mime="text/csv",
                icon=":material/download:",
                on_click="ignore",
            )


page()
