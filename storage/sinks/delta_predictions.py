"""The lake's `predictions` table: all rows of a job in one Delta commit, once."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.collect import wants_predictions
from scoring.job import Job
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchResult
from storage.lake.predictions import commit, prediction_batches
from storage.sinks.places import Places


class DeltaPredictions:
    """Jobs on tables, and those that ask for predictions. The commit carries the application `job/<name>`."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def check(self, job: Job) -> None:
        """Nothing can be in the way: rows of other jobs stay."""

    def commit(self, job: Job, manifest: Manifest, results: Sequence[MiniBatchResult]) -> int:
        if not wants_predictions(job):
            return 0
        commit(self._places.lake, job, prediction_batches(job, manifest, results))
        return sum(result.rows for result in results if result.rows_path is not None)
