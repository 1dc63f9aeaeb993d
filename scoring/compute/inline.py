"""Mini-batches scored by a function of this process, one after the other: for tests of the engine."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scoring.collect import succeeded_items, wants_predictions, wants_text
from scoring.compute.news import ComputeNews, no_news
from scoring.drivers import rows
from scoring.job import Job, JobStatus
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatch, MiniBatchOutcome, MiniBatchResult
from scoring.plan import planned_items
from scoring.retry import Failure, after_failure


class InlineCompute:
    """ComputeBackend. `score` takes the place of a script's `run`; it gets the mini-batch itself. No timeouts here."""

    def __init__(self, score: Callable[[MiniBatch], Any]) -> None:
        self._score = score

    def run(
        self,
        job: Job,
        mini_batches: Sequence[MiniBatch],
        *,
        manifest: Manifest,
        model_path: str,
        job_folder: Path,
        on_result: Callable[[MiniBatchResult], None],
        should_stop: Callable[[], str | None],
        on_news: Callable[[ComputeNews], None] = no_news,
    ) -> None:
        on_news(ComputeNews(status=JobStatus.RUNNING, phase="scoring"))
        folder = job_folder / "results"
        folder.mkdir(parents=True, exist_ok=True)
        for mini_batch in mini_batches:
            if should_stop() is not None:
                return
            on_result(self._ended(job, mini_batch, folder))

    def close(self) -> None:
        pass

    def _ended(self, job: Job, mini_batch: MiniBatch, folder: Path) -> MiniBatchResult:
        items = planned_items(mini_batch)
        tries = 0
        while True:
            tries += 1
            started = time.monotonic()
            try:
                returned = self._score(mini_batch)
                count = rows.count(returned)
                path = rows.write(
                    returned,
                    str(folder / f"{mini_batch.index:06d}.e{job.lease_epoch}.{tries}"),
                    text=wants_text(job),
                    predictions=wants_predictions(job),
                )
            except Exception as error:
                step = after_failure(Failure.RAISED, tries=tries, settings=job.deployment.retry_settings)
                if step.requeue:
                    continue
                return MiniBatchResult(
                    index=mini_batch.index,
                    outcome=MiniBatchOutcome.FAILED,
                    items=items,
                    succeeded=0,
                    failed=items,
                    tries=tries,
                    seconds=time.monotonic() - started,
                    worker="inline",
                    error=f"{type(error).__name__}: {error}",
                    traceback=traceback.format_exc(),
                )
            succeeded = succeeded_items(returned=count, items=items)
            return MiniBatchResult(
                index=mini_batch.index,
                outcome=MiniBatchOutcome.SUCCEEDED,
                items=items,
                succeeded=succeeded,
                failed=items - succeeded,
                tries=tries,
                seconds=time.monotonic() - started,
                worker="inline",
                rows_path=path,
                rows=count,
            )
