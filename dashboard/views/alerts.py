"""What the rules on windows say: alerts that fire now, and those that did in the chosen time."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data, layout, theme, words
from storage.queries.alerts import Wanted
from storage.queries.stores import EVERYTHING, Stores, utc_now

MOST_FIRING = 12
MOST_LISTED = 500
EVERYBODY = "All machines"


def page() -> None:
    stores = data.place().stores
    known = layout.shown(data.attempt(lambda: data.alert_episodes(stores, Wanted(), limit=1)))
    if known is None:
        return
    if known.empty:
        layout.empty(
            "No alert has fired",
            "Rules on windows (threshold, rate of change, silence) are written into alerts.yml of the state directory, "
            "or into the definition of a stream. These are in force:",
            "tidemill alert rules",
        )
        return
    view(pick(stores))


def pick(stores: Stores) -> str | None:
    """The machine (kept in the URL, and not under the name of the predictions' one: here it may be all)."""
    found = data.known(data.attempt(lambda: data.alert_episodes(stores, Wanted(), limit=MOST_LISTED)))
    names = [] if found is None else sorted(found["machine_id"].dropna().unique())
    chosen = st.session_state.get("of") or st.query_params.get("of")
    options = [EVERYBODY, *sorted({*names, *([chosen] if chosen and chosen != EVERYBODY else [])})]
    machine = st.selectbox("Machine", options, key="of", bind="query-params", width=300, label_visibility="collapsed")
    return None if machine in (None, EVERYBODY) else str(machine)


@st.fragment(run_every=layout.REFRESH)
def view(machine: str | None) -> None:
    stores = data.place().stores
    when = layout.time_range(stores) or EVERYTHING
    firing = layout.shown(
        data.attempt(lambda: data.alert_episodes(stores, Wanted(firing=True, machine_id=machine), limit=MOST_LISTED))
    )
    listed = layout.shown(
        data.attempt(lambda: data.alert_episodes(stores, Wanted(when=when, machine_id=machine), limit=MOST_LISTED))
    )
    if firing is None or listed is None:
        return
    figures(firing, listed)
    now_firing(firing)
    history(listed)
    by_rule(listed)
    if when is not EVERYTHING:
        layout.caption(when)


def figures(firing: pd.DataFrame, listed: pd.DataFrame) -> None:
    critical = int((firing["severity"] == "critical").sum())
    ended = listed[listed["ended_at"].notna() & ~listed["withdrawn"].astype(bool)]
    lengths = (ended["ended_at"] - ended["began_at"]).dt.total_seconds() if len(ended) else pd.Series(dtype=float)
    with st.grid(4, gap="small"):
        st.metric("Firing now", words.count(len(firing)), delta=f"{words.count(critical)} critical", **layout.METRIC)
        st.metric(
            "Machines concerned",
            words.count(firing["machine_id"].nunique()),
            delta="with an alert that fires now",
            **layout.METRIC,
        )
        st.metric("In the chosen time", words.count(len(listed)), delta="alerts that fired", **layout.METRIC)
        st.metric(
            "Half of them ended within",
            words.duration(lengths.median() if len(lengths) else None),
            delta="in event time, of those that have ended",
            **layout.METRIC,
        )


def now_firing(firing: pd.DataFrame) -> None:
    with layout.card("Firing now", "the worst first, then the newest"):
        if firing.empty:
            layout.nothing("Nothing fires.")
            return
        order = {name: place for place, name in enumerate(theme.SEVERITIES)}
        ranked = firing.assign(rank=[order.get(str(name), len(order)) for name in firing["severity"]])
        ranked = ranked.sort_values(["rank", "began_at"], ascending=[True, False], kind="stable")
        now = utc_now()
        for row in data.each(ranked.head(MOST_FIRING)):
            look = theme.severity(row.severity)
            with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
                st.badge(row.severity, icon=look.icon, color=look.colour, width=110)
                st.markdown(f"**{plain(row.rule)}**&ensp;{plain(row.message)}", width="stretch")
                st.caption(words.ago(row.began_at, now), width="content")
                if isinstance(row.machine_id, str):
                    st.page_link(
                        "views/predictions.py",
                        label=row.machine_id,
                        icon=":material/arrow_forward:",
                        query_params={"machine": row.machine_id},
                        width="content",
                    )
        if len(ranked) > MOST_FIRING:
            st.caption(f"and {words.count(len(ranked) - MOST_FIRING)} more: `tidemill alert list --firing` shows all")


def history(listed: pd.DataFrame) -> None:
    with layout.card("History", "alerts that fired in the chosen time"):
        if listed.empty:
            layout.nothing("No alert in this time.")
            return
        seconds = (listed["ended_at"] - listed["began_at"]).dt.total_seconds()
        shown = pd.DataFrame(
            {
                "Severity": [[f"{theme.severity(name).mark} {name}"] for name in listed["severity"]],
                "Rule": listed["rule"],
                "Machine": [None if pd.isna(name) else f"/predictions?machine={name}" for name in listed["machine_id"]],
                "Began (UTC)": [words.clock(t) for t in listed["began_at"]],
                "Lasted": [
                    "fires" if pd.isna(length) else "taken back" if withdrawn else words.duration(length)
                    for length, withdrawn in zip(seconds, listed["withdrawn"], strict=True)
                ],
                "What": listed["message"],
            }
        )
        right = st.column_config.TextColumn(alignment="right", width=110)
        st.dataframe(
            shown,
            hide_index=True,
            height=420,
            column_config={
                "Severity": st.column_config.MultiselectColumn(
                    options=[f"{look.mark} {name}" for name, look in theme.SEVERITIES.items()],
                    color=[look.colour for look in theme.SEVERITIES.values()],
                    width=110,
                ),
                "Machine": st.column_config.LinkColumn(display_text=r"machine=(.*)$", width=130),
                "Began (UTC)": right,
                "Lasted": right,
                "What": st.column_config.TextColumn(width="large"),
            },
            alt="Alerts of the chosen time: severity, rule, machine, begin, length, message",
        )
        st.download_button(
            "CSV", data.csv(listed), "alerts.csv", "text/csv", icon=":material/download:", type="tertiary"
        )


def by_rule(listed: pd.DataFrame) -> None:
    if listed.empty:
        return
    left, right = st.columns(2)
    with left, layout.card("Rules with the most", height="stretch"):
        counted = (
            listed.groupby(["stream", "rule", "severity"], as_index=False)
            .agg(alerts=("id", "count"), firing=("state", lambda states: int((states == "firing").sum())))
            .sort_values("alerts", ascending=False)
        )
        most = int(counted["alerts"].max())
        st.dataframe(
            pd.DataFrame(
                {
                    "Rule": counted["rule"],
                    "Stream": counted["stream"],
                    "Firing": counted["firing"],
                    "Alerts": counted["alerts"],
                }
            ),
            hide_index=True,
            column_config={"Alerts": st.column_config.ProgressColumn(format="%d", min_value=0, max_value=most)},
            alt="Alerts by rule",
        )
    with right, layout.card("Machines with the most", height="stretch"):
        worst = listed.groupby("machine_id", as_index=False).agg(alerts=("id", "count"))
        worst = worst.sort_values("alerts", ascending=False).head(8)
        st.dataframe(
            pd.DataFrame(
                {"Machine": [f"/predictions?machine={name}" for name in worst["machine_id"]], "Alerts": worst["alerts"]}
            ),
            hide_index=True,
            column_config={"Machine": st.column_config.LinkColumn(display_text=r"machine=(.*)$")},
            alt="Machines with the most alerts",
        )


def plain(text: str) -> str:
    """A text that is no markup."""
    return text.replace("$", "\\$").replace("_", "\\_").replace("*", "\\*")


page()
