"""Pictures of what throughput.py and publishing.py measured; runs in the peers' environment.

benchmarks/stream/.venv/bin/python benchmarks/stream/plots.py THROUGHPUT.json PUBLISHING.json docs/images
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

TITLES = {
    "single": "one JSON reading a message",
    "arrow": "500 readings a message, Arrow",
    "lines": "500 readings a message, JSON lines",
    "columns": "500 readings a message, JSON columns",
}
OURS, THEIRS = "#1f6f8b", "#b8b8b8"


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


def main() -> None:
    throughput, publishing, folder = (Path(argument) for argument in sys.argv[1:4])
    runs = json.loads(throughput.read_text())
    kinds = [kind for kind in TITLES if any(run["kind"] == kind for run in runs)]
    heights = [1 + 0.45 * len({run["name"] for run in runs if run["kind"] == kind}) for kind in kinds]
    figure, panels = plt.subplots(len(kinds), 1, figsize=(7.5, sum(heights)), height_ratios=heights, squeeze=False)
    for kind, axes in zip(kinds, panels[:, 0], strict=True):
        bars(axes, TITLES[kind], rates_of([run for run in runs if run["kind"] == kind]))
    panels[-1, 0].set_xlabel("readings a CPU second, Kafka to windows", fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "stream-throughput.svg", metadata={"Date": None})
    figure, axes = plt.subplots(figsize=(7.5, 2.6))
    bars(axes, "publisher", rates_of(json.loads(publishing.read_text())))
    axes.set_xlabel("readings a CPU second, into Kafka", fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "stream-publisher.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
