"""Predictions against the simulator's ground truth: both sides read, compared by `scoring.evaluation`."""

from __future__ import annotations

from datetime import timedelta

from scoring.evaluation import Episode, Evaluation, ScoredWindow, evaluate
from storage.queries import predictions
from storage.queries.stores import EVERYTHING, Stores, TimeRange

PERSISTENCE = 3
SETTLING = timedelta(minutes=30)


def evaluation(
    stores: Stores,
    when: TimeRange,
    *,
    endpoint: str | None = None,
    persistence: int = PERSISTENCE,
    settling: timedelta = SETTLING,
) -> Evaluation | None:
    """How good the labels of the range were; None where nothing was scored or no ground truth is known.

    persistence  consecutive anomalous windows that make an alarm
    settling     windows that begin within this after an episode count neither way
    """
    faults = predictions.faults(stores, EVERYTHING)
    if faults.empty:
        return None
    scored = predictions.rows(stores, when, endpoint=endpoint)
    if scored.empty:
        return None
    return evaluate(
        [
            ScoredWindow(machine_id=machine, start=start.to_pydatetime(), end=end.to_pydatetime(), flagged=flagged)
            for machine, start, end, flagged in zip(
                scored["machine_id"], scored["window_start"], scored["window_end"], scored["anomalous"], strict=True
            )
        ],
        [
            Episode(
                fault_id=row["fault_id"],
                machine_id=row["machine_id"],
                kind=row["kind"],
                sensor_id=row["sensor_id"] if isinstance(row["sensor_id"], str) else None,
                starts_at=row["starts_at"].to_pydatetime(),
                ends_at=row["ends_at"].to_pydatetime(),
            )
            for row in faults.to_dict("records")
        ],
        persistence=persistence,
        settling=settling,
    )
