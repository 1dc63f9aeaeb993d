"""A small network that knows how the sensors of a healthy pump go together.

Each quantity of a window is predicted from the *other* quantities of that window: the network sees them with one
quantity masked, and answers what that one should be. A pump that cavitates, or whose impeller is worn, gives values
that no longer fit each other, although each may be within its own limits. Missing values are masked in the same way,
so a window with a dead sensor is still scored by the rest.

`train.py` and `score.py` both import this file, so what is trained is what is scored.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

QUANTITIES = ("flow", "suction_pressure", "discharge_pressure", "motor_current", "bearing_temperature", "vibration")
STATISTICS = ("mean", "stddev", "max")
FEATURES = tuple(f"{quantity}_{statistic}" for quantity in QUANTITIES for statistic in STATISTICS)
GROUP = np.repeat(np.arange(len(QUANTITIES)), len(STATISTICS))
"""Which quantity each feature belongs to: they are masked together."""


class MaskedPredictor(torch.nn.Module):
    """From visible features, their mask and the time of day to all features, in normalised units."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(2 * len(FEATURES) + 2, hidden),
            torch.nn.SiLU(),
            torch.nn.Linear(hidden, hidden),
            torch.nn.SiLU(),
            torch.nn.Linear(hidden, len(FEATURES)),
        )

    def forward(self, values: torch.Tensor, visible: torch.Tensor, clock: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([values * visible, visible, clock], dim=1))


@dataclass
class Normalisation:
    """What healthy windows look like, and how well they are predicted.

    floor         per feature: added before the logarithm of a spread, so that a perfectly still sensor stays finite
    centre, scale per machine and feature: median of the healthy windows, and their usual distance from it
    bias, error   per machine and feature: median and usual size of what the network gets wrong on healthy windows
    threshold     scores above it are anomalies

    The machine `*` stands for those that were not in training.
    """

    floor: list[float]
    centre: dict[str, list[float]]
    scale: dict[str, list[float]]
    bias: dict[str, list[float]] = field(default_factory=dict)
    error: dict[str, list[float]] = field(default_factory=dict)
    threshold: float = float("inf")

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Normalisation:
        return cls(**json.loads(path.read_text()))


def shaped(windows: pd.DataFrame) -> np.ndarray:
    """Features as they are measured: mean, spread, and peak above the mean. Absent columns and values are NaN."""
    columns = {}
    for quantity in QUANTITIES:
        for statistic in STATISTICS:
            name = f"{quantity}_{statistic}"
            known = windows[name] if name in windows else pd.Series(np.nan, index=windows.index)
            columns[name] = pd.to_numeric(known, errors="coerce").astype(float)
        columns[f"{quantity}_max"] = columns[f"{quantity}_max"] - columns[f"{quantity}_mean"]
    return np.column_stack([columns[name] for name in FEATURES])


def unrolled(raw: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Spreads and peaks on a logarithmic scale: twice as much vibration counts the same, whatever the pump."""
    values = raw.copy()
    spreads = np.array([statistic != "mean" for _ in QUANTITIES for statistic in STATISTICS])
    values[:, spreads] = np.log(np.maximum(raw[:, spreads], 0.0) + floor[spreads])
    return values


def of_machine(figures: dict[str, list[float]], windows: pd.DataFrame) -> np.ndarray:
    """A row of figures for each window, by its machine."""
    return np.array([figures.get(machine, figures["*"]) for machine in windows["machine_id"]])


def clock(windows: pd.DataFrame) -> np.ndarray:
    """Time of day as a point on a circle: water and air are warmer at noon."""
    start = pd.to_datetime(windows["window_start"], utc=True)
    angle = 2 * np.pi * (start.dt.hour * 60 + start.dt.minute).to_numpy() / 1440
    return np.column_stack([np.sin(angle), np.cos(angle)])


def normalised(windows: pd.DataFrame, by: Normalisation) -> np.ndarray:
    """Distance of each feature from its machine's healthy median, in healthy units; NaN where it was not measured."""
    values = unrolled(shaped(windows), np.array(by.floor))
    return np.clip((values - of_machine(by.centre, windows)) / of_machine(by.scale, windows), -20, 20)


def residuals(network: MaskedPredictor, values: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Measured less predicted, each quantity predicted from the others. NaN where it was not measured."""
    known = torch.tensor(np.isfinite(values), dtype=torch.float32)
    filled = torch.tensor(np.nan_to_num(values), dtype=torch.float32)
    hours = torch.tensor(moments, dtype=torch.float32)
    predicted = torch.zeros_like(filled)
    with torch.inference_mode():
        for group in range(len(QUANTITIES)):
            own = torch.tensor(group == GROUP)
            visible = known * (~own).float()
            predicted[:, own] = network(filled, visible, hours)[:, own]
    return values - predicted.numpy()


def scored(network: MaskedPredictor, windows: pd.DataFrame, by: Normalisation) -> tuple[np.ndarray, list[str | None]]:
    """Per window: the greatest surprise among its quantities, in healthy standard deviations, and whose it is.

    NaN and None where nothing was measured.
    """
    if windows.empty:
        return np.empty(0), []
    off = residuals(network, normalised(windows, by), clock(windows))
    surprise = ((off - of_machine(by.bias, windows)) / of_machine(by.error, windows)) ** 2
    per_quantity = np.full((len(windows), len(QUANTITIES)), np.nan)
    for group in range(len(QUANTITIES)):
        own = surprise[:, group == GROUP]
        counted = np.isfinite(own).sum(axis=1)
        total = np.nansum(own, axis=1)
        per_quantity[:, group] = np.where(counted > 0, np.sqrt(total / np.maximum(counted, 1)), np.nan)
    nothing = ~np.isfinite(per_quantity).any(axis=1)
    best = np.nanargmax(np.where(nothing[:, None], 0.0, per_quantity), axis=1)
    score = per_quantity[np.arange(len(windows)), best]
    return np.where(nothing, np.nan, score), [
        None if none else QUANTITIES[i] for i, none in zip(best, nothing, strict=True)
    ]
