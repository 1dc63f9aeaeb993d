"""What needs somebody, and the whole plant at a glance."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from dashboard import attention, charts, data, layout, theme, words
from storage.queries.stores import Stores, TimeRange, utc_now

MOST_NOTICES = 6
HEAT_CELLS = 96
SPARK_POINTS = 40
SILENT_AFTER = timedelta(minutes=10)

LOOKS: dict[attention.Level, tuple[str, str]] = {
    "bad": ("red", ":material/error:"),
    "warn": ("orange", ":material/warning:"),
    "info": ("blue", ":material/info:"),
}


@st.fragment(run_every=layout.REFRESH)
def page() -> None:
    place = data.place()
    stores = place.stores
    when = layout.time_range(stores)
    live = data.live_stream(place.api_url)
    needs_you(stores, live)
    figures(stores, when, live)
    if when is None:
        layout.empty(
            "No windows yet",
            "The stream writes a window when its time is over. Start the stack and send it some readings:",
            "tidemill up && tidemill simulate",
        )
        return
    left, right = st.columns([5, 2])
    with left:
        fleet(stores, when)
    with right:
        freshness(stores)
        latest_jobs(stores)
    layout.caption(when)


def needs_you(stores: Stores, live: data.LiveStream) -> None:
    found = attention.notices(facts(stores, live))
    if not found:
        st.success(
            "Nothing needs you: no failed job, no silent sensor, no machine above its threshold.",
            icon=":material/check_circle:",
        )
        return
    with layout.card("Needs you", words.plural(len(found), "notice")), st.container(gap="xxsmall"):
        for notice in found[:MOST_NOTICES]:
            colour, icon = LOOKS[notice.level]
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.badge(notice.title, icon=icon, color=colour, width=150)  # type: ignore[arg-type]
                st.markdown(notice.text.replace("$", "\\$"), width="stretch")
                if notice.page:
                    st.page_link(
                        notice.page,
                        label="Look",
                        icon=":material/arrow_forward:",
                        query_params=dict(notice.parameters or {}),
                    )
        if len(found) > MOST_NOTICES:
            st.caption(f"and {len(found) - MOST_NOTICES} more")


def facts(stores: Stores, live: data.LiveStream) -> attention.Facts:
    now = utc_now()
    day = data.attempt(lambda: data.time_range(stores, "24 h"))
    fresh = data.known(data.attempt(lambda: data.lake_freshness(stores)))
    commits = (
        fresh.loc[fresh["table"] == "windows", "last_commit"].dropna() if fresh is not None else pd.Series(dtype=object)
    )
    states = data.known(data.attempt(lambda: data.sensor_states(stores, silent_after=SILENT_AFTER)))
    return attention.Facts(
        now=now,
        lag=live.total("lag"),
        dead_letters=live.total("dead_letters"),
        open_letters=live.open_letters,
        alerts=data.known(data.attempt(lambda: data.firing_alerts(stores))),
        last_commit=commits.iloc[0].to_pydatetime() if len(commits) else None,
        failures=data.known(
            data.attempt(
                lambda: data.last_failures(stores, since=(now - timedelta(hours=24)).replace(second=0, microsecond=0))
            )
        ),
        schedules=data.known(data.attempt(lambda: data.schedules(stores))),
        machines=data.known(data.attempt(lambda: data.scored_machines(stores, day)))
        if isinstance(day, TimeRange)
        else None,
        threshold=data.known(data.attempt(lambda: data.threshold(stores))),
        sensors=states.sensors if states is not None else None,
    )


def figures(stores: Stores, when: TimeRange | None, live: data.LiveStream) -> None:
    """Two rows of figures: what comes in, and what is made of it."""
    now = utc_now()
    with st.grid(4, gap="small"):
        readings(stores, when)
        lag(stores, live)
        late(stores, when)
        dead_letters(live)
        predictions_today(stores, when)
        anomalies(stores, when)
        jobs_today(stores)
        newest(stores, now)


def readings(stores: Stores, when: TimeRange | None) -> None:
    rates = data.known(data.attempt(lambda: data.rates(stores, when, bucket=spark_bucket(when)))) if when else None
    last = None if rates is None or rates.empty else rates.iloc[-1]
    st.metric(
        "Readings per second",
        words.NOTHING if last is None else words.rate(last["readings_per_second"]),
        delta=None if last is None else f"{words.rate(last['windows'] / spark_bucket(when) * 60)} windows a minute",
        chart_data=None if rates is None else layout.spark(rates["readings_per_second"].tail(SPARK_POINTS)),
        chart_type="area",
        help="Readings counted into windows, by event time; the newest whole interval",
        **layout.METRIC,
    )


def lag(stores: Stores, live: data.LiveStream) -> None:
    behind = live.total("lag")
    history = data.stream_history(data.place().api_url).frame()
    st.metric(
        "Stream lag",
        words.NOTHING if behind is None else f"{words.count(behind)}",
        delta="not known while the service is away" if behind is None else "messages not yet in the lake",
        chart_data=layout.spark(history["lag"].tail(SPARK_POINTS)),
        chart_type="area",
        help="Messages in the topic after the last committed position, over all partitions",
        **layout.METRIC,
    )


def late(stores: Stores, when: TimeRange | None) -> None:
    found = data.known(data.attempt(lambda: data.late_count(stores, when))) if when else None
    bucket = spark_bucket(when)
    rate = data.known(data.attempt(lambda: data.late_rate(stores, when, bucket=bucket))) if when else None
    st.metric(
        "Late readings",
        words.count(found),
        delta="came after their window had closed",
        chart_data=None if rate is None or when is None else layout.spark(filled(rate, "readings", when, bucket)),
        chart_type="bar",
        help="Kept in the lake's late_readings, counted into no window",
        **layout.METRIC,
    )


def dead_letters(live: data.LiveStream) -> None:
    found = live.total("dead_letters")
    first = next(iter(live.reasons.items()), None)
    text = "not known while the service is away" if found is None else "unreadable messages"
    history = data.stream_history(data.place().api_url).frame()
    st.metric(
        "Dead letters",
        words.count(found),
        delta=f"most often: {first[0].replace('_', ' ')}" if first else text,
        chart_data=layout.spark(history["dead_letters"].tail(SPARK_POINTS)),
        chart_type="area",
        help="Messages that could not be decoded; kept with reason and origin in the dead-letter topic",
        **layout.METRIC,
    )


def predictions_today(stores: Stores, when: TimeRange | None) -> None:
    midnight = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    totals = data.known(data.attempt(lambda: data.totals(stores, today=midnight)))
    heat = heat_counts(stores, when)
    st.metric(
        "Predictions today",
        words.count(None if totals is None else totals.rows_today),
        delta=None
        if totals is None
        else f"{words.count(totals.rows)} in all, {words.plural(totals.machines, 'machine')}",
        chart_data=None if heat is None else layout.spark(heat["windows"].tail(SPARK_POINTS)),
        chart_type="area",
        help="Rows scored since midnight UTC; the chart shows scored windows by event time",
        **layout.METRIC,
    )


def anomalies(stores: Stores, when: TimeRange | None) -> None:
    heat = heat_of(stores, when)
    scored = None if heat is None else int(heat["windows"].sum())
    found = None if heat is None else int(heat["anomalies"].sum())
    counts = heat_counts(stores, when)
    st.metric(
        "Anomalous windows",
        words.count(found),
        delta=f"{words.share(found / scored)} of the scored windows"
        if found is not None and scored
        else "nothing scored",
        chart_data=None if counts is None else layout.spark(counts["anomalies"].tail(SPARK_POINTS)),
        chart_type="bar",
        help="Windows in the chosen time that the model called anomalous",
        **layout.METRIC,
    )


def jobs_today(stores: Stores) -> None:
    now = utc_now().replace(second=0, microsecond=0)
    day = data.known(data.attempt(lambda: data.job_day(stores, now=now)))
    st.metric(
        "Jobs, last 24 h",
        words.count(None if day is None else day.ended),
        delta=None if day is None else f"{day.failed} failed · {day.active} active now",
        chart_data=None if day is None else layout.spark(day.completed_by_hour),
        chart_type="bar",
        help="Counted when they ended; the chart shows completed jobs by hour",
        **layout.METRIC,
    )


def newest(stores: Stores, now: datetime) -> None:
    fresh = data.known(data.attempt(lambda: data.lake_freshness(stores)))
    commit = None if fresh is None else fresh.set_index("table")["last_commit"].get("windows")
    commits = data.known(
        data.attempt(lambda: data.commits_per_minute(stores, "windows", now=now.replace(second=0, microsecond=0)))
    )
    st.metric(
        "Newest windows",
        words.ago(commit, now),
        delta="last commit to the lake",
        chart_data=None if commits is None else layout.spark(commits["rows"]),
        chart_type="bar",
        help="Wall-clock time of the last commit; the chart shows windows committed in each of the last 30 minutes",
        **layout.METRIC,
    )


def fleet(stores: Stores, when: TimeRange) -> None:
    with layout.card("Fleet", "worst anomaly score of each machine, the loudest first", height="stretch"):
        bucket = heat_bucket(when)
        heat = layout.shown(data.attempt(lambda: data.fleet_heat(stores, when, bucket=bucket)))
        if heat is None:
            return
        if heat.empty:
            st.caption("Nothing was scored in this time. Create an endpoint and a schedule, or score once by hand:")
            st.code("tidemill batch-endpoint invoke --name pump-health", language=None)
            return
        threshold = data.known(data.attempt(lambda: data.threshold(stores)))
        # what was never scored would only be white
        assert when.until is not None
        span = charts.Span(since=heat["bucket_start"].min(), until=when.until)
        chart = charts.fleet_heat(heat, threshold=threshold, bucket=bucket, span=span)
        st.altair_chart(chart, alt="Worst anomaly score of each machine over time")


def freshness(stores: Stores) -> None:
    with layout.card("Lake", "rows and newest commit of each table"):
        fresh = layout.shown(data.attempt(lambda: data.lake_freshness(stores)))
        if fresh is None:
            return
        now = utc_now()
        shown = pd.DataFrame(
            {
                "Table": fresh["table"],
                "Rows": [words.count(n) for n in fresh["rows"]],
                "Size": [words.size(n) if n else words.NOTHING for n in fresh["bytes"]],
                "Written": [words.ago(t, now) for t in fresh["last_commit"]],
            }
        )
        right = st.column_config.TextColumn(alignment="right")
        st.dataframe(
            shown,
            hide_index=True,
            column_config={"Rows": right, "Size": right, "Written": right},
            alt="Rows, size and newest commit of each table of the lake",
        )


def latest_jobs(stores: Stores) -> None:
    with layout.card("Latest jobs"):
        found = layout.shown(data.attempt(lambda: data.list_jobs(stores, limit=6)))
        if found is None:
            return
        if found.jobs.empty:
            st.caption("No job yet.")
            return
        now = utc_now()
        for row in data.each(found.jobs):
            look = theme.job_state(row.status)
            with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
                st.badge(row.status, icon=look.icon, color=look.colour)
                st.page_link(
                    "views/jobs.py",
                    label=f"{row.endpoint_name}, {words.plural(int(row.items_succeeded), 'row')}",
                    help=row.name,
                    query_params={"job": row.name},
                    width="stretch",
                )
                st.caption(words.ago(row.created_at, now), width="content")


def heat_of(stores: Stores, when: TimeRange | None) -> pd.DataFrame | None:
    """The fleet's scores by machine and bucket; None where they cannot be read."""
    if when is None:
        return None
    return data.known(data.attempt(lambda: data.fleet_heat(stores, when, bucket=heat_bucket(when))))


def heat_counts(stores: Stores, when: TimeRange | None) -> pd.DataFrame | None:
    """Scored and anomalous windows by bucket, without the newest, which still waits and would look like a fall."""
    heat = heat_of(stores, when)
    if heat is None:
        return None
    whole = heat[heat["bucket_start"] < heat["bucket_start"].max()]
    counts: pd.DataFrame = whole.groupby("bucket_start", as_index=False)[["windows", "anomalies"]].sum()
    return counts


def heat_bucket(when: TimeRange) -> float:
    return data.bucket_seconds(when, at_most=HEAT_CELLS, at_least=60)


def spark_bucket(when: TimeRange | None) -> float:
    return 60.0 if when is None else data.bucket_seconds(when, at_most=SPARK_POINTS, at_least=60)


def filled(rate: pd.DataFrame, column: str, when: TimeRange, bucket: float) -> pd.Series:
    """Counts with their zeros: a bucket without a row had none."""
    step = pd.Timedelta(seconds=bucket)
    assert when.since is not None
    assert when.until is not None
    whole = pd.date_range(pd.Timestamp(when.since).floor(step), pd.Timestamp(when.until), freq=step)
    return rate.set_index("bucket_start")[column].reindex(whole, fill_value=0).tail(SPARK_POINTS)


page()
