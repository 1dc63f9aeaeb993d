"""What is usual: mean and spread of every column over all pumps."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

parser = argparse.ArgumentParser()
parser.add_argument("--means", type=Path, required=True)
parser.add_argument("--note")
parser.add_argument("--limits", type=Path, required=True)
arguments = parser.parse_args()

together = pd.concat(pd.read_csv(file) for file in sorted(arguments.means.glob("*.csv"))).drop(columns="minute")
usual = {column: {"mean": together[column].mean(), "spread": together[column].std()} for column in together}
(arguments.limits / "limits.json").write_text(json.dumps({"note": arguments.note, "columns": usual}, indent=1))
print(f"limits of {', '.join(usual)} from {len(together)} means")
