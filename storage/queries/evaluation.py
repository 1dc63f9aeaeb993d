"""Predictions against the simulator's ground truth: a pure comparison of two frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """How good the labels were. Ratios are None where nothing can be divided.

    precision      of the windows called anomalous, the share that overlaps a fault of that machine
    recall         of the fault episodes that scored windows overlap, the share with at least one anomalous window
    window_recall  of the scored windows that overlap a fault, the share called anomalous
    lead_time      median time from the end of an episode's first anomalous window to the episode's end
    """

    windows: int
    anomalous: int
    anomalous_in_fault: int
    windows_in_fault: int
    episodes: int
    episodes_found: int
    lead_time: timedelta | None

    @property
    def precision(self) -> float | None:
        return self.anomalous_in_fault / self.anomalous if self.anomalous else None

    @property
    def recall(self) -> float | None:
        return self.episodes_found / self.episodes if self.episodes else None

    @property
    def window_recall(self) -> float | None:
        return self.anomalous_in_fault / self.windows_in_fault if self.windows_in_fault else None


def evaluate(predictions: pd.DataFrame, faults: pd.DataFrame) -> Evaluation:
    """Compare predictions (machine_id, window_start, window_end, anomalous) with faults (… starts_at, ends_at)."""
    in_fault = pd.Series(False, index=predictions.index)
    leads: list[timedelta] = []
    episodes = found = 0
    for machine, of_machine in faults.groupby("machine_id"):
        mine = predictions[predictions["machine_id"] == machine]
        for episode in of_machine.itertuples():
            overlap = mine[(mine["window_start"] < episode.ends_at) & (mine["window_end"] > episode.starts_at)]
            in_fault[overlap.index] = True
            episodes += not overlap.empty
            hits = overlap[overlap["anomalous"].astype(bool)]
            if not hits.empty:
                found += 1
                leads.append(max(timedelta(0), episode.ends_at - hits["window_end"].min()))
    called = predictions["anomalous"].astype(bool)
    return Evaluation(
        windows=len(predictions),
        anomalous=int(called.sum()),
        anomalous_in_fault=int((called & in_fault).sum()),
        windows_in_fault=int(in_fault.sum()),
        episodes=episodes,
        episodes_found=found,
        lead_time=sorted(leads)[len(leads) // 2] if leads else None,
    )
