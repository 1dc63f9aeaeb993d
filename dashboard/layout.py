"""Pieces that every page is made of: the line above it, sections, empty states, words for what is away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from dashboard import data, words
from storage.queries.errors import QueryError
from storage.queries.stores import Stores, TimeRange, utc_now

T = TypeVar("T")

METRIC: dict[str, Any] = {"border": True, "height": "stretch", "delta_color": "off", "delta_arrow": "off"}
"""How every figure's card looks: its `delta` is a faint line of context, not a change."""

REFRESH = "5s"
"""How often the live parts of a page look again."""


def header(title: str) -> None:
    """Title and how the parts are on the left, the time range on the right; the range lives in the URL."""
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        _title(title)
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        st.segmented_control(
            "Time range",
            list(data.RANGES),
            key="range",
            default=data.DEFAULT_RANGE,
            required=True,
            bind="query-params",
            label_visibility="collapsed",
        )


@st.fragment(run_every=REFRESH)
def _title(title: str) -> None:
    place = data.place()
    live = data.live_stream(place.api_url)
    database = data.postgres_problem(place.stores)
    lake = data.attempt(lambda: data.extent(place.stores))
    parts = [
        _state("Service", away=not live.service_up),
        _state("Stream", away=live.problem is not None, unknown=not live.service_up),
        _state("Database", away=database is not None),
        _state(
            "Lake", away=isinstance(lake, QueryError), unknown=not isinstance(lake, QueryError) and lake.until is None
        ),
    ]
    st.markdown(f"## {title} &emsp;:small[{' '.join(parts)}]", anchors=False)


def _state(name: str, *, away: bool, unknown: bool = False) -> str:
    if unknown:
        return f":gray-badge[:material/help: {name} {'empty' if name == 'Lake' else 'unknown'}]"
    return f":red-badge[:material/error: {name} away]" if away else f":green-badge[:material/check_circle: {name}]"


def chosen() -> str:
    """The time range that is picked above the page."""
    return str(st.session_state.get("range") or data.DEFAULT_RANGE)


def time_range(stores: Stores) -> TimeRange | None:
    """The picked range over what the lake holds; None (after saying so) where it holds nothing or cannot be read."""
    when = data.attempt(lambda: data.time_range(stores, chosen()))
    if isinstance(when, QueryError):
        away(when)
        return None
    return when


def caption(when: TimeRange) -> None:
    """What the charts cover, in words."""
    assert when.since is not None
    assert when.until is not None
    behind = words.ago(when.until, utc_now())
    st.caption(
        f"Event time {words.minute(when.since)} to {words.minute(when.until)} UTC · newest window ended {behind}"
    )


@contextmanager
def card(title: str | None = None, note: str | None = None, *, height: str = "content") -> Iterator[None]:
    """A bordered part of a page with its title and, beside it, one faint line that says what is seen."""
    with st.container(border=True, height=height):  # type: ignore[arg-type]
        if title:
            st.markdown(f"**{title}**" + (f"&emsp;:gray[:small[{note}]]" if note else ""))
        yield


def empty(title: str, text: str, command: str | None = None) -> None:
    """Nothing to show yet: why, and the command that changes it."""
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.space("small")
        st.markdown(f":material/inbox: **{title}**", text_alignment="center")
        st.caption(text, text_alignment="center")
        if command:
            st.code(command, language=None, width="content")
        st.space("small")


def away(error: QueryError | str) -> None:
    """A part that cannot be read now, in its own words; the page looks again by itself."""
    st.warning(
        f"{str(error)[:1].upper()}{str(error)[1:]}. This page looks again by itself.", icon=":material/cloud_off:"
    )


def shown(answer: T | QueryError) -> T | None:
    """The answer, or None after the reason was shown."""
    if isinstance(answer, QueryError):
        away(answer)
        return None
    return answer


def nothing(text: str) -> None:
    """A part of a page that has nothing to say, said in one faint line."""
    st.caption(f":material/check: {text}")


def spark(values: Sequence[float] | pd.Series) -> list[float] | None:
    """Values for a metric's small chart; None where there are too few to draw."""
    kept = [float(v) for v in values if not pd.isna(v)]
    return kept if len(kept) > 4 else None
