"""Trains the pump-health model on healthy windows.

    tidemill sql "select w.*, s.quantity from windows w join sensors s using (sensor_id)" -o parquet > windows.parquet
    python examples/pump-health/train.py windows.parquet --out model

The windows are rows of the lake's `windows` table with the sensor's `quantity`. Writes `weights.pt` and
`normalisation.json` into the model folder, and prints one JSON object with what it saw. The same windows and seed give
the same model.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent / "code"))
from pump_model import (
    FEATURES,
    GROUP,
    QUANTITIES,
    STATISTICS,
    MaskedPredictor,
    Normalisation,
    clock,
    normalised,
    residuals,
    scored,
    shaped,
    unrolled,
)

INDEX = ["machine_id", "window_start", "window_end"]
HOLD_OUT = 4  # every fourth hour, so that all times of day are both learned and held out
FEWEST = 30  # windows of a machine that is judged by itself, not by the fleet
MARGIN = 1.1  # the next weeks are a little different from the hold-out


def wide(windows: pd.DataFrame) -> pd.DataFrame:
    """One row per machine and window, as the job's pivot makes them."""
    missing = {*INDEX, "quantity", *STATISTICS} - set(windows.columns)
    if missing:
        sys.exit(f"the windows lack the columns {', '.join(sorted(missing))}; see the query at the top of this file")
    table = windows.pivot_table(index=INDEX, columns="quantity", values=list(STATISTICS), aggfunc="first")
    table.columns = [f"{quantity}_{statistic}" for statistic, quantity in table.columns]
    return table.reset_index().sort_values(["window_start", "machine_id"], ignore_index=True)


def usual(values: np.ndarray) -> np.ndarray:
    """A standard deviation that a few strays do not move, per column; never zero."""
    spread = np.nanquantile(np.abs(values - np.nanmedian(values, axis=0)), 0.6827, axis=0)
    return np.maximum(np.nan_to_num(spread, nan=1.0), 1e-6)


def middle(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.nanmedian(values, axis=0))


def by_machine(
    figure: Callable[[np.ndarray], np.ndarray], values: np.ndarray, machines: pd.Series
) -> dict[str, list[float]]:
    """A figure of each column for each machine with enough windows, and for the fleet under `*`."""
    rows_of = machines.reset_index(drop=True).groupby(machines.to_numpy()).indices
    found = {str(m): figure(values[rows]) for m, rows in rows_of.items() if len(rows) >= FEWEST or len(rows_of) == 1}
    found["*"] = np.median(np.array(list(found.values()) or [figure(values)]), axis=0)
    return {machine: column.tolist() for machine, column in found.items()}


def fit(values: np.ndarray, moments: np.ndarray, *, seed: int, epochs: int) -> MaskedPredictor:
    """Learn to predict hidden quantities from visible ones. One or two quantities are hidden at a time."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = MaskedPredictor()
    known = torch.tensor(np.isfinite(values), dtype=torch.float32)
    filled = torch.tensor(np.nan_to_num(values), dtype=torch.float32)
    hours = torch.tensor(moments, dtype=torch.float32)
    group = torch.tensor(GROUP)
    size = min(256, len(filled))
    steps = max(1, epochs * len(filled) // size)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-4)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(filled), (size,), generator=generator)
        order = torch.rand(size, len(QUANTITIES), generator=generator).argsort(dim=1)
        hidden = order < torch.randint(1, 3, (size, 1), generator=generator)
        visible = known[rows] * (~hidden[:, group]).float()
        asked = known[rows] * hidden[:, group].float()
        off = network(filled[rows], visible, hours[rows]) - filled[rows]
        loss = (
            torch.nn.functional.huber_loss(off, torch.zeros_like(off), reduction="none") * asked
        ).sum() / asked.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pace.step()
    return network.eval()


def explained(off: np.ndarray, values: np.ndarray) -> float:
    """Share of the variance of the means that the other quantities account for."""
    means = np.arange(0, len(FEATURES), len(STATISTICS))
    return 1 - float(np.nanmean(np.clip(off[:, means], -5, 5) ** 2) / np.nanmean(np.clip(values[:, means], -5, 5) ** 2))


def train(
    windows: pd.DataFrame, *, seed: int, epochs: int, quantile: float
) -> tuple[MaskedPredictor, Normalisation, dict]:
    """The network, what healthy looks like, and figures about both."""
    hour = windows["window_start"].dt.floor("h").rank(method="dense").to_numpy(int)
    first, held = windows[hour % HOLD_OUT != 0], windows[hour % HOLD_OUT == 0]
    raw = shaped(first)
    floor = np.nan_to_num(0.05 * np.nanmedian(np.abs(raw), axis=0)) + 1e-9
    values, machines = unrolled(raw, floor), first["machine_id"]
    healthy = Normalisation(
        floor=floor.tolist(),
        centre=by_machine(middle, values, machines),
        scale=by_machine(usual, values, machines),
    )

    network = fit(normalised(first, healthy), clock(first), seed=seed, epochs=epochs)
    off = residuals(network, normalised(held, healthy), clock(held))
    healthy.bias = by_machine(middle, off, held["machine_id"])
    healthy.error = by_machine(usual, off, held["machine_id"])
    score, _ = scored(network, held, healthy)
    healthy.threshold = MARGIN * float(np.nanquantile(score, quantile))
    return (
        network,
        healthy,
        {
            "windows": len(windows),
            "machines": int(windows["machine_id"].nunique()),
            "held_out": len(held),
            "threshold": round(healthy.threshold, 3),
            "held_out_above_threshold": int((score > healthy.threshold).sum()),
            "explained": round(explained(off, normalised(held, healthy)), 3),
            "features": len(FEATURES),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("windows", type=Path, help="Parquet file of windows with their quantity")
    parser.add_argument("--out", type=Path, default=Path("model"), help="the model folder")
    parser.add_argument("--until", type=datetime.fromisoformat, help="use windows that end by then (RFC 3339)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--quantile", type=float, default=0.998, help="of healthy held-out scores: the threshold")
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # so small a network only waits for a second thread
    begun = time.perf_counter()
    windows = wide(pd.read_parquet(arguments.windows))
    if arguments.until:
        windows = windows[windows["window_end"] <= arguments.until]
    if len(windows) < 100:
        sys.exit(f"{len(windows)} windows are too few to learn from; give at least 100")
    network, healthy, figures = train(
        windows, seed=arguments.seed, epochs=arguments.epochs, quantile=arguments.quantile
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), arguments.out / "weights.pt")
    healthy.save(arguments.out / "normalisation.json")
    print(json.dumps({**figures, "seconds": round(time.perf_counter() - begun, 1)}))


if __name__ == "__main__":
    main()
