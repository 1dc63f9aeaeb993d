"""How far the stream is: partitions, lag, late readings, dead letters, sensors that need a look."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import streamlit as st

from dashboard import charts, data, layout, theme, words
from storage.queries.stores import Stores, TimeRange, utc_now

POINTS = 96
KEEPS_UP = 30.0  # seconds of production: commits come every few seconds, so a little always waits
SILENT_AFTER = timedelta(minutes=10)


@st.fragment(run_every=layout.REFRESH)
def page() -> None:
    place = data.place()
    stores = place.stores
    live = data.live_stream(place.api_url)
    when = layout.time_range(stores)
    if when is None and live.partitions.empty:
        layout.empty(
            "Nothing has been streamed yet",
            "Start the stack and send it some readings:",
            "tidemill up && tidemill simulate",
        )
        return
    history = data.stream_history(place.api_url)
    figures(stores, live, history, when)
    streams(live)
    partitions(stores, live)
    if when is not None:
        rates(stores, when, history)
        lateness(stores, when, live)
    sensors(stores)
    if when is not None:
        layout.caption(when)


def figures(stores: Stores, live: data.LiveStream, history: data.StreamHistory, when: TimeRange | None) -> None:
    speeds = history.speeds()
    late = data.known(data.attempt(lambda: data.late_count(stores, when))) if when else None
    unknown = "not known while the service is away"
    lag = live.total("lag")
    with st.grid(6, gap="small"):
        st.metric(
            "Lag",
            words.count(lag),
            delta=unknown if lag is None else eta(lag, speeds),
            help="Messages after the last committed position, over all partitions",
            **layout.METRIC,
        )
        readable(live)
        st.metric(
            "Accepted",
            words.count(live.total("accepted")),
            delta=unknown if lag is None else "readings counted into windows",
            **layout.METRIC,
        )
        st.metric(
            "Late",
            words.count(live.total("late") if live.total("late") is not None else late),
            delta=f"{words.count(late)} in the chosen time",
            **layout.METRIC,
        )
        st.metric(
            "Duplicates", words.count(live.total("duplicates")), delta="sent twice, counted once", **layout.METRIC
        )
        st.metric(
            "Dead letters",
            words.count(live.total("dead_letters")),
            delta="kept with reason and origin"
            if live.open_letters is None
            else f"{words.count(live.open_letters)} open",
            help="Messages that could not be read; open: neither replayed nor discarded (`tidemill dlq`)",
            **layout.METRIC,
        )


def readable(live: data.LiveStream) -> None:
    p95, minutes = live.freshness.get("p95_seconds"), live.freshness.get("minutes")
    counted = live.freshness.get("windows")
    st.metric(
        "Readable within",
        words.duration(p95),
        delta="not known while the service is away"
        if not live.service_up
        else f"p95 of {words.count(counted)} windows, last {words.count(minutes)} min"
        if counted
        else f"no window closed in the last {words.count(minutes)} min",
        help="Seconds from the moment when the broker had the messages that closed a window to the end of the commit "
        "that made it readable in the lake; 95 of 100 windows took no longer",
        **layout.METRIC,
    )


def streams(live: data.LiveStream) -> None:
    """The built-in one and those that are defined."""
    found = live.streams
    if len(found) < 2 and not found["problem"].notna().any():
        return
    now = utc_now()
    looks = {"ready": "● runs", "stopped": "○ stopped", "wrong": "✕ wrong definition"}
    with layout.card("Streams", "the built-in one, and those that are defined in the home"):
        shown = pd.DataFrame(
            {
                "Stream": found["name"],
                "Worker": [looks.get(str(state), f"◌ {state}") for state in found["state"]],
                "Table": found["table"],
                "Rows": [words.count(n) for n in found["rows"]],
                "Lag": [words.count(n) for n in found["lag"]],
                "Dead letters": [words.count(n) for n in found["dead_letters"]],
                "Watermark (UTC)": [words.clock(t) for t in found["watermark"]],
                "Last commit": [words.ago(t, now) for t in found["last_commit_at"]],
            }
        )
        right = st.column_config.TextColumn(alignment="right")
        st.dataframe(
            shown,
            hide_index=True,
            column_config=dict.fromkeys(("Rows", "Lag", "Dead letters", "Watermark (UTC)", "Last commit"), right),
            alt="Worker, table, lag and watermark of each stream",
        )
        for row in data.each(found[found["problem"].notna()]):
            layout.away(f"{row.name}: {row.problem}")


def eta(lag: int, speeds: tuple[float, float] | None) -> str:
    """How long until the lag is gone, at the present speed."""
    if lag == 0:
        return "everything is in the lake"
    if speeds is None:
        return "messages not yet in the lake"
    consumed, produced = speeds
    if lag <= max(produced, 1) * KEEPS_UP:
        return "the stream keeps up"
    if consumed <= 0:
        return "messages not yet in the lake"
    if consumed <= produced:
        return f"growing by {words.rate(produced - consumed)} a second"
    return f"gone in about {words.duration(lag / (consumed - produced))}"


def partitions(stores: Stores, live: data.LiveStream) -> None:
    with layout.card("Partitions", "messages in the topic against messages in the lake; counters are of readings"):
        if live.problem is not None:
            layout.away(live.problem)
        if live.partitions.empty:
            from_lake(stores)
            return
        now = utc_now()
        found = live.partitions
        shown = pd.DataFrame(
            {
                "Partition": found["partition"].astype(str),
                "Produced": [words.count(n) for n in found["end_offset"]],
                "Consumed": [words.count(n) for n in found["next_offset"]],
                "Lag": found["lag"],
                "Watermark (UTC)": [words.clock(t) for t in found["watermark"]],
                "Accepted": [words.count(n) for n in found["accepted"]],
                "Late": [words.count(n) for n in found["late"]],
                "Duplicates": [words.count(n) for n in found["duplicates"]],
                "Dead letters": [words.count(n) for n in found["dead_letters"]],
                "Last commit": [words.ago(t, now) for t in found["last_commit_at"]],
            }
        )
        right = st.column_config.TextColumn(alignment="right")
        names = [
            "Produced",
            "Consumed",
            "Accepted",
            "Late",
            "Duplicates",
            "Dead letters",
            "Last commit",
            "Watermark (UTC)",
        ]
        most = max(int(found["lag"].fillna(0).max()), 100)
        st.dataframe(
            shown,
            hide_index=True,
            column_config={
                **dict.fromkeys(names, right),
                "Partition": st.column_config.TextColumn(width=80),
                "Lag": st.column_config.ProgressColumn(format="%d", min_value=0, max_value=most, width=150),
            },
            alt="Position, lag, watermark and counters of each partition",
        )


def from_lake(stores: Stores) -> None:
    """What the lake alone knows of the positions, while nobody can say how far the topic is."""
    found = layout.shown(data.attempt(lambda: data.positions(stores)))
    if found is None or found.empty:
        return
    st.caption("What the lake itself knows:")
    shown = pd.DataFrame(
        {
            "Partition": found["partition"].astype(str),
            "Last offset in a window": [words.count(n) for n in found["last_offset"]],
            "Newest window (UTC)": [words.clock(t) for t in found["last_window_end"]],
            "Windows": [words.count(n) for n in found["windows"]],
            "Machines": found["machines"],
        }
    )
    st.dataframe(shown, hide_index=True, alt="Position of each partition as the lake knows it")


def rates(stores: Stores, when: TimeRange, history: data.StreamHistory) -> None:
    bucket = data.bucket_seconds(when, at_most=POINTS, at_least=60)
    found = data.known(data.attempt(lambda: data.rates(stores, when, bucket=bucket)))
    span = charts.span_of(when)
    left, middle, right = st.columns(3)
    note = f"by event time, per {words.duration(bucket)}"
    with left, layout.card("Readings per second", note, height="stretch"):
        if found is None or found.empty:
            st.caption("No whole interval in this time.")
        else:
            chart = charts.area(found, x="bucket_start", y="readings_per_second", title="readings/s", span=span)
            st.altair_chart(chart, alt="Readings per second over event time")
    with middle, layout.card("Windows per minute", note, height="stretch"):
        if found is None or found.empty:
            st.caption("No whole interval in this time.")
        else:
            minutes = found.assign(per_minute=found["windows"] / bucket * 60)
            chart = charts.area(
                minutes, x="bucket_start", y="per_minute", title="windows/min", span=span, colour=theme.GREEN
            )
            st.altair_chart(chart, alt="Windows per minute over event time")
    with right, layout.card("Lag", "since somebody looks, by the clock", height="stretch"):
        seen = history.frame()
        if len(seen) < 3:
            st.caption("Looked at too few times yet; this chart fills while a page is open.")
        else:
            span = charts.Span(since=seen["at"].iloc[0], until=seen["at"].iloc[-1])
            chart = charts.area(seen, x="at", y="lag", title="messages", span=span, colour=theme.AMBER)
            st.altair_chart(chart, alt="Messages not yet in the lake, over the last minutes")


def lateness(stores: Stores, when: TimeRange, live: data.LiveStream) -> None:
    left, right = st.columns(2)
    with left, layout.card("Late readings", "came after their window had closed", height="stretch"):
        bucket = data.bucket_seconds(when, at_most=48, at_least=60)
        found = layout.shown(data.attempt(lambda: data.late_rate(stores, when, bucket=bucket)))
        if found is None:
            return
        if found.empty:
            layout.nothing("No reading came late.")
        else:
            chart = charts.bars(
                found,
                x="bucket_start",
                y="readings",
                title="late readings",
                span=charts.span_of(when),
                bucket=bucket,
                unit="readings",
                height=120,
            )
            st.altair_chart(chart, alt="Late readings over event time")
            worst = data.known(data.attempt(lambda: data.late_by_sensor(stores, when, limit=5)))
            if worst is not None:
                late_table(worst)
    with right, layout.card("Dead letters", "why messages could not be read", height="stretch"):
        dead_letters(live)


def late_table(worst: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "Sensor": worst["sensor_id"],
            "Readings": worst["readings"],
            "Worst": [words.duration(s) for s in worst["worst_seconds"]],
            "Newest (UTC)": [words.minute(t) for t in worst["last_event_time"]],
        }
    )
    right = st.column_config.TextColumn(alignment="right")
    st.dataframe(
        shown, hide_index=True, column_config={"Worst": right, "Newest (UTC)": right}, alt="Sensors with late readings"
    )


def dead_letters(live: data.LiveStream) -> None:
    total = live.total("dead_letters")
    if total is None:
        st.caption("Not known while the service is away.")
        return
    if total == 0:
        layout.nothing("Every message could be read.")
        return
    if live.reasons:
        reasons = pd.DataFrame(
            {
                "Reason": [r.replace("_", " ") for r in live.reasons],
                "Messages": list(live.reasons.values()),
                "Share": [100 * n / total for n in live.reasons.values()],
            }
        )
        st.dataframe(
            reasons,
            hide_index=True,
            column_config={"Share": st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100)},
            alt="Dead letters by reason",
        )
    waiting = live.open_letters
    if waiting is None:
        st.caption("Each is kept in the dead-letter topic with its reason, its bytes and where it came from.")
    elif waiting == 0:
        layout.nothing("Each of them was replayed or discarded.")
    else:
        one = "waits" if waiting == 1 else "wait"
        st.caption(f"{words.count(waiting)} {one} for somebody: look, replay after a fix, or discard.")
        st.code("tidemill dlq list --state open", language=None)


def sensors(stores: Stores) -> None:
    with layout.card(
        "Sensors that need a look",
        f"silent: no window for {words.duration(SILENT_AFTER.total_seconds())} while others have some",
    ):
        found = layout.shown(data.attempt(lambda: data.sensor_states(stores, silent_after=SILENT_AFTER)))
        if found is None:
            return
        if found.problem is not None:
            layout.away(found.problem)
            st.caption("Which sensors are unknown, and which were never seen, cannot be said until then.")
        elif not found.static_data:
            st.caption("No static data is loaded, so no sensor can be called unknown. Load it with:")
            st.code("tidemill load examples/plant", language=None)
        if found.sensors.empty:
            known = ", and all are known" if found.static_data else ""
            layout.nothing(f"All {found.total} sensors send{known}.")
            return
        marks = {"silent": "○ silent", "never seen": "◌ never seen", "unknown": "? unknown"}
        shown = pd.DataFrame(
            {
                "State": [[marks[s]] for s in found.sensors["state"]],
                "Sensor": found.sensors["sensor_id"],
                "Machine": found.sensors["machine_id"],
                "Newest window (UTC)": [words.clock(t) for t in found.sensors["last_window_end"]],
                "Behind the newest": [
                    words.duration(s) if s else words.NOTHING for s in found.sensors["behind_seconds"]
                ],
            }
        )
        st.dataframe(
            shown,
            hide_index=True,
            column_config={
                "State": st.column_config.MultiselectColumn(
                    options=list(marks.values()), color=["orange", "gray", "blue"], width=130
                )
            },
            alt="Silent, never seen and unknown sensors",
        )
        st.caption(f"{len(found.sensors)} of {found.total} sensors")


page()
