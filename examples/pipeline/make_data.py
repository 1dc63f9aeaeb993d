"""Readings of twelve pumps as CSV files, below data/: a month to learn from, and a day to score. Two pumps are sick."""

from __future__ import annotations

import random
from pathlib import Path

SICK = {"pump-04", "pump-09"}
COLUMNS = "minute,flow,pressure,vibration"


def write(folder: Path, *, days: int, seed: int) -> None:
    """One file a pump, a reading each ten minutes; one in fifty is missing, as sensors leave it: -999."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    for number in range(1, 13):
        pump = f"pump-{number:02}"
        lines = [COLUMNS]
        for minute in range(0, days * 1440, 10):
            shaking = 6.0 if pump in SICK and days == 1 else 2.0
            values = [chance.gauss(80, 4), chance.gauss(4, 0.2), chance.gauss(shaking, 0.5)]
            cells = ["-999" if chance.random() < 0.02 else f"{value:.3f}" for value in values]
            lines.append(f"{minute},{','.join(cells)}")
        (folder / f"{pump}.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    data = Path(__file__).parent / "data"
    write(data / "month", days=30, seed=1)
    write(data / "day", days=1, seed=2)
    print(f"24 files below {data.name}")
