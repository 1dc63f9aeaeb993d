"""Charts as pure functions: a frame in, a spec out. Times are drawn in UTC; every mark has a tooltip with units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import pandas as pd

from dashboard import theme, words
from storage.queries.stores import TimeRange

LEFT = 58
"""Pixels of every time chart's left axis, so that charts below each other share one time line."""

PADDING = {"left": 2, "right": 10, "top": 6, "bottom": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The time line that charts of a page share; `labels` False where another chart below shows them."""

    since: datetime
    until: datetime
    labels: bool = True

    def x(self, field: str) -> alt.X:
        """The horizontal encoding of a time field: the same in every layer, or Vega would merge axes with a warning."""
        length = self.until - self.since
        clock = "%H:%M:%S" if length < timedelta(minutes=10) else "%H:%M"
        text = f"utcFormat(datum.value, utcFormat(datum.value, '%H:%M:%S') == '00:00:00' ? '%d %b' : '{clock}')"
        axis = alt.Axis(
            title=None,
            labels=self.labels,
            ticks=False,
            grid=True,
            gridColor=theme.GRID,
            domain=False,
            labelColor=theme.FAINT,
            labelOverlap=True,
            labelExpr=text,
            labelFlush=True,
            labelPadding=6,
            tickCount=9,
        )
        domain = [{"expr": f"{moment.timestamp() * 1000:.0f}"} for moment in (self.since, self.until)]
        return alt.X(f"{field}:T", axis=axis, scale=alt.Scale(type="utc", domain=domain, nice=False))


def span_of(when: TimeRange) -> Span:
    """The time line of a range that has both ends."""
    assert when.since is not None
    assert when.until is not None
    return Span(since=when.since, until=when.until)


def fleet_heat(frame: pd.DataFrame, *, threshold: float | None, bucket: float, span: Span) -> alt.Chart:
    """Machines by time: the worst score of each cell. `frame` as storage.queries.predictions.fleet_heat."""
    data = frame.assign(
        bucket_end=frame["bucket_start"] + timedelta(seconds=bucket),
        when=[f"{words.minute(t)} UTC, {words.duration(bucket)}" for t in frame["bucket_start"]],
        scored=[words.score(s) for s in frame["max_score"]],
        found=[f"{a} of {w}" for a, w in zip(frame["anomalies"], frame["windows"], strict=True)],
    )
    worst = data.groupby("machine_id")["max_score"].max().sort_values(ascending=False)
    top = threshold if threshold is not None else float(worst.max() or 1.0) / 2
    steps = [share * top for share in (0.4, 0.8, 1, 2, 4)]
    legend = alt.Legend(
        title="Worst score" + (f", threshold {words.score(threshold)}" if threshold is not None else ""),
        orient="bottom",
        direction="horizontal",
        gradientLength=460,
        gradientThickness=10,
        titleFontWeight="normal",
        titleColor=theme.FAINT,
        labelColor=theme.FAINT,
        format=".3~g",
    )
    scale = alt.Scale(type="threshold", domain=steps, range=list(theme.HEAT))
    return (
        alt.Chart(data)
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=span.x("bucket_start"),
            x2="bucket_end:T",
            y=alt.Y("machine_id:N", sort=list(worst.index), title=None, axis=_names()),
            color=alt.Color("max_score:Q", scale=scale, legend=legend),
            tooltip=[
                alt.Tooltip("machine_id:N", title="Machine"),
                alt.Tooltip("when:N", title="Time"),
                alt.Tooltip("scored:N", title="Worst score"),
                alt.Tooltip("found:N", title="Anomalous windows"),
            ],
        )
        .properties(height=27 * len(worst) + 84)
        .properties(padding=PADDING)
        .configure_view(stroke=None)
    )


def score(frame: pd.DataFrame, *, threshold: float | None, faults: pd.DataFrame, span: Span) -> alt.LayerChart:
    """Anomaly score over time, anomalous windows marked, threshold drawn, true faults shaded."""
    data = with_gaps(
        frame.assign(
            when=[words.minute(t) + " UTC" for t in frame["window_start"]],
            scored=[words.score(s) for s in frame["score"]],
            reason=[words.quantity(f) if isinstance(f, str) else words.NOTHING for f in frame["top_feature"]],
        ),
        "window_start",
    )
    top = max([float(frame["score"].max()), (threshold or 0) * 1.5, 0.1]) * 1.12
    y = alt.Y("score:Q", title="Anomaly score", scale=alt.Scale(domain=[0, top], nice=False), axis=_values(5))
    tooltip = [
        alt.Tooltip("when:N", title="Window"),
        alt.Tooltip("scored:N", title="Score"),
        alt.Tooltip("label:N", title="Label"),
        alt.Tooltip("reason:N", title="Most unusual"),
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("job_name:N", title="Job"),
    ]
    base = alt.Chart(data)
    layers = [
        *_faults(faults, span, top=top, labels=True),
        base.mark_line(color=theme.BLUE, strokeWidth=1.4, interpolate="linear").encode(x=span.x("window_start"), y=y),
        base.transform_filter("datum.anomalous === true")
        .mark_point(color=theme.VERMILION, filled=True, size=22, shape="triangle-up", opacity=0.9)
        .encode(x=span.x("window_start"), y=y, tooltip=tooltip),
        base.mark_point(opacity=0, size=60).encode(x=span.x("window_start"), y=y, tooltip=tooltip),
    ]
    if threshold is not None:
        layers += _rule(threshold, f"threshold {words.score(threshold)}", span, theme.INK)
    return (
        alt.layer(*layers)
        .properties(height=230 + (30 if len(faults) else 0))
        .properties(padding=PADDING)
        .configure_view(stroke=None)
    )


def sensor(
    frame: pd.DataFrame, *, faults: pd.DataFrame, limits: tuple[float | None, float | None], span: Span
) -> alt.LayerChart:
    """One sensor's windows: mean as a line, min to max as a band; limits where they are near."""
    unit = words.unit(frame["unit"].iloc[0])
    data = with_gaps(
        frame.assign(
            when=[words.minute(t) + " UTC" for t in frame["bucket_start"]],
            values=[f"{m:.4g} {unit} ({a:.4g} to {b:.4g})" for m, a, b in _triples(frame)],
        ),
        "bucket_start",
    )
    low, high = float(frame["min"].min()), float(frame["max"].max())
    margin = (high - low or abs(high) or 1.0) * 0.15
    # a limit that is far away would flatten the line that people came to see
    near = [x for x in limits if x is not None and low - 3 * margin <= x <= high + 3 * margin]
    bottom, top = (
        min([low - margin, *[x - margin / 2 for x in near]]),
        max([high + margin, *[x + margin / 2 for x in near]]),
    )
    scale = alt.Scale(domain=[bottom, top], nice=False, zero=False)
    title = words.quantity(str(frame["quantity"].iloc[0]))
    y_axis = _values(3)
    base = alt.Chart(data)
    x = span.x("bucket_start")
    line = base.mark_line(color=theme.BLUE, strokeWidth=1.3).encode(
        x=x, y=alt.Y("mean:Q", title=unit or None, scale=scale, axis=y_axis)
    )
    band = base.mark_area(color=theme.SKY, opacity=0.3).encode(
        x=x, y=alt.Y("min:Q", scale=scale, title=unit or None, axis=y_axis), y2="max:Q"
    )
    hover = base.mark_point(opacity=0, size=60).encode(
        x=x,
        y=alt.Y("mean:Q", scale=scale),
        tooltip=[alt.Tooltip("when:N", title="From"), alt.Tooltip("values:N", title=title)],
    )
    rules = [layer for x_ in near for layer in _rule(x_, f"limit {x_:g}", span, theme.VERMILION)]
    return (
        alt.layer(*_faults(faults, span, top=top, bottom=bottom, labels=False), band, line, hover, *rules)
        .properties(
            height=96 + (18 if span.labels else 0),
            title=alt.TitleParams(
                title, anchor="start", fontSize=12, fontWeight=600, color=theme.INK, offset=4, frame="group"
            ),
        )
        .properties(padding=PADDING)
        .configure_view(stroke=None)
    )


def area(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    title: str,
    span: Span,
    colour: str = theme.BLUE,
    height: int = 170,
) -> alt.LayerChart:
    """A rate over time as a filled line from zero."""
    data = frame.assign(
        when=[words.minute(t) + " UTC" for t in frame[x]], value=[f"{words.rate(v)} {title}" for v in frame[y]]
    )
    base = alt.Chart(data).encode(
        x=span.x(x),
        y=alt.Y(f"{y}:Q", title=title, axis=_values(4), scale=alt.Scale(zero=True)),
        tooltip=[alt.Tooltip("when:N", title="From"), alt.Tooltip("value:N", title=title)],
    )
    return (
        alt.layer(
            base.mark_area(color=colour, opacity=0.14, interpolate="monotone"),
            base.mark_line(color=colour, strokeWidth=1.6, interpolate="monotone"),
            base.mark_point(opacity=0, size=60),
        )
        .properties(height=height)
        .properties(padding=PADDING)
        .configure_view(stroke=None)
    )


def bars(
    frame: pd.DataFrame, *, x: str, y: str, title: str, span: Span, bucket: float, unit: str,
    colour: str = theme.AMBER, height: int = 170,
) -> alt.Chart:  # fmt: skip
    """Counts over time, a bar a bucket."""
    data = frame.assign(
        until=frame[x] + timedelta(seconds=bucket * 0.9),
        when=[words.minute(t) + " UTC" for t in frame[x]],
        value=[f"{words.count(v)} {unit}" for v in frame[y]],
    )
    return (
        alt.Chart(data)
        .mark_bar(color=colour)
        .encode(
            x=span.x(x),
            x2="until:T",
            y=alt.Y(f"{y}:Q", title=title, axis=_values(4, whole=True), scale=alt.Scale(zero=True)),
            y2=alt.datum(0),
            tooltip=[alt.Tooltip("when:N", title="From"), alt.Tooltip("value:N", title=title)],
        )
        .properties(height=height)
        .properties(padding=PADDING)
        .configure_view(stroke=None)
    )


def gantt(frame: pd.DataFrame) -> alt.Chart:
    """Mini-batches by worker: a bar from the start of the last try to its end; colour and legend say how it ended."""
    done = frame[frame["ended_at"].notna() & frame["worker"].notna()]
    kinds = {"succeeded": theme.BLUE, "succeeded after a retry": theme.AMBER, "failed": theme.VERMILION}
    tries = done["tries"].fillna(1).astype(int)
    outcome = [
        "failed" if o == "failed" else "succeeded after a retry" if t > 1 else "succeeded"
        for o, t in zip(done["outcome"], tries, strict=True)
    ]
    data = done.assign(
        ended=outcome,
        number=[f"mini-batch {i}" for i in done["index"]],
        took=[words.duration(s) for s in done["seconds"]],
        tried=[words.plural(int(t), "try", "tries") for t in tries],
        began=[words.clock(t) + " UTC" for t in done["started_at"]],
        counted=[
            f"{words.count(r)} rows of {words.plural(int(i), 'item')}"
            for r, i in zip(done["rows"].fillna(0), done["items"], strict=True)
        ],
    ).drop(columns=["traceback"])
    workers = sorted(data["worker"].unique())
    span = Span(since=data["started_at"].min(), until=data["ended_at"].max())
    return (
        alt.Chart(data)
        .mark_bar(height=alt.RelativeBandSize(0.72), cornerRadius=2, stroke="white", strokeWidth=0.6)
        .encode(
            x=span.x("started_at"),
            x2="ended_at:T",
            y=alt.Y("worker:N", sort=workers, title=None, axis=_names()),
            color=alt.Color(
                "ended:N",
                scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
                legend=alt.Legend(title=None, orient="bottom", labelColor=theme.FAINT, symbolType="square"),
            ),
            tooltip=[
                alt.Tooltip("number:N", title="Mini-batch"),
                alt.Tooltip("worker:N", title="Worker"),
                alt.Tooltip("ended:N", title="Outcome"),
                alt.Tooltip("tried:N", title="Tries"),
                alt.Tooltip("began:N", title="Last try began"),
                alt.Tooltip("took:N", title="Took"),
                alt.Tooltip("counted:N", title="Made"),
                alt.Tooltip("error:N", title="Error"),
            ],
        )
        .properties(height=30 * len(workers) + 84)
        .properties(padding=PADDING)
        .configure_view(stroke=None)
    )


def with_gaps(frame: pd.DataFrame, time: str) -> pd.DataFrame:
    """The frame with an empty row in each gap longer than 2.5 usual steps: a line must not bridge missing data."""
    if len(frame) < 3:
        return frame
    ordered = frame.sort_values(time)
    steps = ordered[time].diff()
    usual = steps.median()
    gaps = ordered[steps > 2.5 * usual]
    if gaps.empty:
        return ordered
    empty = pd.DataFrame({time: gaps[time] - usual}).reindex(columns=ordered.columns)
    return pd.concat([ordered.astype({c: object for c in ordered if ordered[c].dtype == bool}), empty]).sort_values(
        time
    )


def _faults(
    faults: pd.DataFrame, span: Span, *, top: float, bottom: float = 0.0, labels: bool
) -> list[alt.Chart | alt.LayerChart]:
    if faults.empty:
        return []
    data = faults.assign(
        begins=[max(t, pd.Timestamp(span.since)) for t in faults["starts_at"]],
        ends=[min(t, pd.Timestamp(span.until)) for t in faults["ends_at"]],
        named=[words.quantity(k) for k in faults["kind"]],
        lasted=[
            f"{words.minute(a)} to {words.minute(b)} UTC"
            for a, b in zip(faults["starts_at"], faults["ends_at"], strict=True)
        ],
        bottom=bottom,
        top=top,
    )
    kinds = sorted(data["kind"].unique())
    legend = alt.Legend(
        title="True faults", orient="bottom", direction="horizontal", symbolType="square", symbolOpacity=0.7,
        titleFontWeight="normal", titleColor=theme.FAINT, labelColor=theme.FAINT, titleOrient="left",
    )  # fmt: skip
    colour = alt.Color(
        "named:N",
        scale=alt.Scale(domain=[words.quantity(k) for k in kinds], range=[theme.fault_colour(k) for k in kinds]),
        legend=legend if labels else None,
    )
    shade = (
        alt.Chart(data)
        .mark_rect(opacity=0.2)
        .encode(
            x=span.x("begins"),
            x2="ends:T",
            y=alt.Y("bottom:Q"),
            y2="top:Q",
            color=colour,
            tooltip=[
                alt.Tooltip("named:N", title="True fault"),
                alt.Tooltip("lasted:N", title="Time"),
                alt.Tooltip("severity:Q", title="Severity reached", format=".0%"),
            ],
        )
    )
    if not labels:
        return [shade]
    text = (
        alt.Chart(data)
        .mark_text(align="left", baseline="top", dx=5, dy=5, fontSize=11, fontWeight=600)
        .encode(x=span.x("begins"), y=alt.Y("top:Q"), text="named:N", color=colour)
    )
    return [shade, text]


def _rule(value: float, text: str, span: Span, colour: str) -> list[Any]:
    data = pd.DataFrame({"value": [value], "text": [text], "at": [pd.Timestamp(span.since)]})
    rule = alt.Chart(data).mark_rule(color=colour, strokeDash=[5, 4], strokeWidth=1).encode(y=alt.Y("value:Q"))
    label = (
        alt.Chart(data)
        .mark_text(align="left", baseline="bottom", dx=5, dy=-2, fontSize=11, color=colour)
        .encode(x=span.x("at"), y=alt.Y("value:Q"), text="text:N")
    )
    return [rule, label]


def _values(ticks: int, *, whole: bool = False) -> alt.Axis:
    return alt.Axis(
        tickCount=ticks, grid=True, gridColor=theme.GRID, domain=False, ticks=False, labelColor=theme.FAINT,
        titleColor=theme.FAINT, titleFontWeight="normal", minExtent=LEFT, maxExtent=LEFT, labelPadding=6,
        format="~s" if whole else ".4~g", **({"tickMinStep": 1} if whole else {}),
    )  # fmt: skip


def _names() -> alt.Axis:
    return alt.Axis(domain=False, ticks=False, labelPadding=8, labelColor=theme.INK, labelLimit=190)


def _triples(frame: pd.DataFrame) -> Sequence[tuple[float, float, float]]:
    return list(zip(frame["mean"], frame["min"], frame["max"], strict=True))
