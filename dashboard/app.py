"""The dashboard's entry: pages, the line above every page, and the page itself. Started by `tidemill dashboard run`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import layout

HERE = Path(__file__).parent

# a pages' folder named `pages` would make a fresh server run its files, asked for by address, without this one
st.set_page_config(page_title="tidemill", page_icon=str(HERE / "icon.svg"), layout="wide")
st.logo(str(HERE / "logo.svg"), size="large")
page = st.navigation(
    [
        st.Page(
            "views/overview.py",
            title="Overview",
            icon=":material/monitor_heart:",
            default=True,
            help="What needs you, and the whole plant at a glance.",
        ),
        st.Page(
            "views/stream.py",
            title="Stream",
            icon=":material/water:",
            help="How far the stream is, what came late, what could not be read.",
        ),
        st.Page(
            "views/alerts.py",
            title="Alerts",
            icon=":material/notifications:",
            help="What the rules on windows say: firing now, and what fired before.",
        ),
        st.Page(
            "views/jobs.py",
            title="Jobs",
            icon=":material/task_alt:",
            help="Batch scoring jobs: progress, timeline, errors, where they came from.",
        ),
        st.Page(
            "views/predictions.py",
            title="Predictions",
            icon=":material/query_stats:",
            help="Scores of each machine over time, beside its sensors and the true faults.",
        ),
    ],
    position="top",
)
layout.header(page.title)
page.run()
