"""How many digits of a job's predictions.csv are right: `python accuracy.py predictions.csv`.

Every file has one row, neither none nor two.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

LABELS = Path(__file__).resolve().parent / "data" / "labels.csv"


def accuracy(predictions: Path) -> float:
    """The share of right digits; raises ValueError where a file has no prediction, or more than one."""
    found = pd.read_csv(predictions, sep=" ", header=None, names=["file", "class", "probability"])
    wanted = pd.read_csv(LABELS)
    if sorted(found["file"]) != sorted(wanted["file"]):
        raise ValueError(f"{predictions} has {len(found)} rows; wanted is one row for each of {len(wanted)} files")
    joined = wanted.merge(found, on="file")
    return float((joined["class"] == joined["label"]).mean())


if __name__ == "__main__":
    path = Path(sys.argv[1])
    print(f"accuracy of {path}: {accuracy(path):.1%} of {len(pd.read_csv(LABELS))} digits")
