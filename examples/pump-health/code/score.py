"""Scores windows of pumps: how far a window's sensors are from going together as in a healthy pump.

An ordinary Azure scoring script: `init()` once a worker, `run(mini_batch)` once a mini-batch. A mini-batch is a
DataFrame with one row per machine and window: `machine_id`, `window_start`, `window_end`, and columns such as
`flow_mean` or `vibration_max`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pump_model import MaskedPredictor, Normalisation, scored

network: MaskedPredictor
healthy: Normalisation


def init() -> None:
    """Load the model from the folder that AZUREML_MODEL_DIR names."""
    global network, healthy
    torch.set_num_threads(1)  # workers are the parallelism
    folder = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("weights.pt")).parent
    network = MaskedPredictor()
    network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    network.eval()
    healthy = Normalisation.load(folder / "normalisation.json")


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    """One row per window: score, label (`normal`, `anomaly`, `unknown` where nothing was measured), and why."""
    score, top = scored(network, mini_batch, healthy)
    known = np.isfinite(score)
    label = np.where(known, np.where(score > healthy.threshold, "anomaly", "normal"), "unknown")
    return pd.DataFrame(
        {
            "machine_id": mini_batch["machine_id"].to_numpy(),
            "window_start": mini_batch["window_start"].to_numpy(),
            "window_end": mini_batch["window_end"].to_numpy(),
            "score": score,
            "label": label,
            "threshold": healthy.threshold,
            "top_feature": top,
        }
    )
