"""Readings without those that are missing, as means over so many minutes: one file a pump."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

MISSING = -999

parser = argparse.ArgumentParser()
parser.add_argument("--readings", type=Path, required=True)
parser.add_argument("--minutes", type=int, required=True)
parser.add_argument("--out", type=Path, required=True)
arguments = parser.parse_args()

for file in sorted(arguments.readings.glob("*.csv")):
    readings = pd.read_csv(file).replace(MISSING, float("nan"))
    steps = readings["minute"] // arguments.minutes * arguments.minutes
    means = readings.drop(columns="minute").groupby(steps).mean()
    means.to_csv(arguments.out / file.name)
    print(f"{file.name}: {len(readings)} readings, {len(means)} means")
