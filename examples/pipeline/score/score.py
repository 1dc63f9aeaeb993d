"""How far a pump's columns are from what is usual: one row a file. Runs in a pipeline's step and in a deployment."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pandas as pd

FAR = 4.0  # spreads

usual: dict[str, dict[str, float]] = {}


def init() -> None:
    # a step gives the model as an argument, a model's deployment in a variable
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=os.environ.get("AZUREML_MODEL_DIR"))
    folder = parser.parse_known_args()[0].model
    (limits,) = Path(folder).rglob("limits.json")
    usual.update(json.loads(limits.read_text())["columns"])


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        means = pd.read_csv(path)
        away = {column: abs(means[column].mean() - own["mean"]) / own["spread"] for column, own in usual.items()}
        column = max(away, key=lambda name: away[name])
        rows.append(f"{Path(path).stem},{'sick' if away[column] > FAR else 'well'},{column},{away[column]:.2f}")
    return rows
