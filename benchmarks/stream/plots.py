"""Pictures of what throughput.py, publishing.py, growth.py and lag.py measured; runs in the peers' environment.

benchmarks/stream/.venv/bin/python benchmarks/stream/plots.py --throughput FILE --publishing FILE --into docs/images
benchmarks/stream/.venv/bin/python benchmarks/stream/plots.py --growth FILE --lag FILE --into docs/images
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

TITLES = {
    "single": "one JSON reading a message",
    "arrow": "500 readings a message, Arrow",
    "lines": "500 readings a message, JSON lines",
    "columns": "500 readings a message, JSON columns",
}
OURS, THEIRS = "#1f6f8b", "#b8b8b8"

LAG = "readable within, s (95 %)"
FIGURES: Mapping[str, Callable[[dict[str, Any]], float | None]] = {
    "million readings/s": lambda run: run["point"]["rate"] / 1e6,
    "memory of a worker, MiB": lambda run: run["point"]["memory_mib"],
    "commit, ms (median)": lambda run: run["point"]["commit_ms_median"],
    LAG: lambda run: run["lag"] and run["lag"]["p95_seconds"],
}
CURVES: Mapping[str, tuple[str, Callable[[dict[str, Any]], int]]] = {
    "sensors": ("sensors", lambda point: point["setup"]["sensors"]),
    "partitions": ("partitions", lambda point: point["setup"]["partitions"]),
    "workers": ("workers", lambda point: point["setup"]["workers"]),
    "readings": ("readings", lambda point: point["readings"]),
}


def bars(axes: Any, title: str, rates: dict[str, list[float]]) -> None:
    """Medians as bars, the spread as lines; a logarithmic scale where the largest is far from the least."""
    names = sorted(rates, key=lambda name: statistics.median(rates[name]))
    middles = [statistics.median(rates[name]) for name in names]
    low = [middle - min(rates[name]) for name, middle in zip(names, middles, strict=True)]
    high = [max(rates[name]) - middle for name, middle in zip(names, middles, strict=True)]
    colours = [OURS if name.startswith(("tidemill", "json", "arrow")) else THEIRS for name in names]
    axes.barh(names, middles, xerr=[low, high], color=colours, error_kw={"lw": 0.8, "ecolor": "#555555"})
    if max(middles) > 8 * min(middles):
        axes.set_xscale("log")
    for place, middle in enumerate(middles):
        axes.annotate(f" {middle:,.0f}", (middle, place), va="bottom", fontsize=7, color="#333333")
    axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def rates_of(runs: list[dict[str, Any]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for run in runs:
        if run["cpu_rate"]:
            found.setdefault(run["name"], []).append(run["cpu_rate"])
    return found


def throughput(runs: list[dict[str, Any]], folder: Path) -> None:
    kinds = [kind for kind in TITLES if any(run["kind"] == kind for run in runs)]
    heights = [1 + 0.45 * len({run["name"] for run in runs if run["kind"] == kind}) for kind in kinds]
    figure, panels = plt.subplots(len(kinds), 1, figsize=(7.5, sum(heights)), height_ratios=heights, squeeze=False)
    for kind, axes in zip(kinds, panels[:, 0], strict=True):
        bars(axes, TITLES[kind], rates_of([run for run in runs if run["kind"] == kind]))
    panels[-1, 0].set_xlabel("readings a CPU second, Kafka to windows", fontsize=8)
    kept(figure, folder / "stream-throughput.svg")


def publishing(runs: list[dict[str, Any]], folder: Path) -> None:
    figure, axes = plt.subplots(figsize=(7.5, 2.6))
    bars(axes, "publisher", rates_of(runs))
    axes.set_xlabel("readings a CPU second, into Kafka", fontsize=8)
    kept(figure, folder / "stream-publisher.svg")


def growth(runs: list[dict[str, Any]], lag: dict[str, Any], folder: Path) -> None:
    """A column a curve, a row a figure; of the curve of readings, the lag is that of the run of lag.py, by minute."""
    figure, panels = plt.subplots(len(FIGURES), len(CURVES), figsize=(10, 8), sharex="col", sharey="row")
    for column, (curve, (label, place)) in enumerate(CURVES.items()):
        own = [run for run in runs if run["point"]["setup"]["curve"] == curve]
        for row, (title, figure_of) in enumerate(FIGURES.items()):
            axes = panels[row, column]
            found = [(place(run["point"]), figure_of(run)) for run in own]
            if curve == "readings" and title == LAG:
                found = [((n + 1) * 60 * lag["rate"], p95) for n, p95 in enumerate(lag["p95_by_minute"])]
            shown = [(at, value) for at, value in found if value is not None]
            axes.plot([at for at, _ in shown], [value for _, value in shown], "o-", color=OURS, markersize=4, lw=1)
            axes.set_xscale("log")
            if curve != "readings":
                ticks = sorted({at for at, _ in shown})
                axes.set_xticks(ticks, [f"{at:,}" for at in ticks])
            axes.tick_params(labelsize=8, which="both")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.grid(alpha=0.25)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
            if not column:
                axes.set_ylabel(title, fontsize=8)
        panels[-1, column].set_xlabel(label, fontsize=8)
    for axes in panels[:, 0]:
        axes.set_ylim(bottom=0)  # last: it ends the fitting of the scale to what is drawn
    kept(figure, folder / "stream-growth.svg")


def kept(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--throughput", type=Path, help="what throughput.py --out wrote")
    parser.add_argument("--publishing", type=Path, help="what publishing.py --out wrote")
    parser.add_argument("--growth", type=Path, help="what growth.py --into wrote; needs --lag")
    parser.add_argument("--lag", type=Path, help="what lag.py --out wrote")
    parser.add_argument("--into", type=Path, required=True, help="folder of the pictures")
    given = parser.parse_args()
    if given.throughput:
        throughput(json.loads(given.throughput.read_text()), given.into)
    if given.publishing:
        publishing(json.loads(given.publishing.read_text()), given.into)
    if given.growth:
        if not given.lag:
            parser.error("--growth needs --lag: the lag of a long run is drawn with it")
        growth(json.loads(given.growth.read_text()), json.loads(given.lag.read_text()), given.into)


if __name__ == "__main__":
    main()
