"""A job under a runner's lease: every write for it goes through here, and none after the lease is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from scoring.errors import LeaseLost, TryAgain
from scoring.job import Job, JobStatus
from scoring.lease import Lease
from scoring.manifest import Manifest
from scoring.minibatch import MiniBatchResult
from scoring.ports import JobFinisher, JobStore
from scoring.retry import backoff

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a runner holds on.

    lease       how long a job stays ours without a renewal; a dead runner's job waits that long
    store_away  how long a store may be away before the runner lets go of its job (another claim goes on with it)
    max_claims  claims after which a job is given up: it seems to kill whoever runs it
    """

    lease: timedelta = timedelta(seconds=15)
    store_away: timedelta = timedelta(seconds=60)
    max_claims: int = 1000


class HeldJob:
    """A job under our lease: every write goes through here, in order, and none after the lease is lost.

    A thread of its own renews the lease, so that a long commit or a slow listing does not lose it.
    """

    def __init__(self, store: JobStore, job: Job, lease: Lease, patience: Patience) -> None:
        self._store = store
        self._job = job
        self._lease = lease
        self._patience = patience
        self._lock = threading.RLock()
        self._done = threading.Event()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._renew_always, name=f"lease-{job.name}", daemon=True)

    def __enter__(self) -> HeldJob:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(self._patience.lease.total_seconds())

    @property
    def job(self) -> Job:
        """As last stored; a cancel that was asked for is seen at the next write or renewal."""
        return self._job

    def check(self) -> None:
        """Raises LeaseLost when the job is not ours any more, as far as can be known here."""
        if self._lost is None and not self._lease.is_held(time.monotonic()):
            self._lost = f"the lease on job {self._job.name} ended before it could be renewed"
        if self._lost is not None:
            raise LeaseLost(self._lost)

    def save(self, job: Job, *, manifest: Manifest | None = None) -> Job:
        """Store the job, renewing the lease. Raises LeaseLost, or TryAgain after `store_away`."""

        def write() -> Job:
            asked_at = time.monotonic()
            stored = self._store.save(job, manifest=manifest, renew=self._lease.length)
            self._lease = self._lease.renewed(asked_at)
            return stored

        return self._written(write)

    def record(self, results: Sequence[MiniBatchResult], job: Job) -> Job:
        """Store ends of mini-batches, and the job's progress with them."""
        self._written(lambda: self._store.record(job, results))
        current = replace(self._job, progress=job.progress, usage=job.usage)
        if current.status is JobStatus.RUNNING:
            current = replace(current, status_reason="scoring")
        return self.save(current)

    def finish(self, finisher: JobFinisher, manifest: Manifest, results: Sequence[MiniBatchResult]) -> Job:
        return self._written(lambda: finisher.finish(self._job, manifest, results))

    def let_go(self) -> Job:
        """End the lease now, so that the next claim need not wait for its end."""
        return self._written(lambda: self._store.save(self._job, renew=timedelta(0)))

    def patiently(self, call: Callable[[], T]) -> T:
        """The call's answer, asking again while it raises TryAgain, for `store_away` at most; the lease is kept."""
        ends = time.monotonic() + self._patience.store_away.total_seconds()
        attempt = 0
        while True:
            self.check()
            try:
                return call()
            except TryAgain as away:
                attempt += 1
                pause = backoff(attempt)
                if time.monotonic() + pause > ends:
                    raise
                _log.info("job %s waits %.1f s: %s", self._job.name, pause, away)
                self._done.wait(pause)

    def _written(self, write: Callable[[], Job]) -> Job:
        def once() -> Job:
            with self._lock:
                self.check()
                try:
                    self._job = write()
                except LeaseLost as lost:
                    self._lost = str(lost)
                    raise
                return self._job

        return self.patiently(once)

    def _renew_always(self) -> None:
        while not self._done.wait(max(0.05, self._lease.renew_at - time.monotonic())):
            try:
                with self._lock:
                    if self._done.is_set() or self._job.status.is_terminal:
                        return
                    if self._lease.is_due(time.monotonic()):
                        asked_at = time.monotonic()
                        self._job = self._store.save(self._job, renew=self._lease.length)
                        self._lease = self._lease.renewed(asked_at)
            except LeaseLost as lost:
                self._lost = str(lost)
                return
            except Exception as error:  # whatever it is: the lease ends by itself if this goes on
                _log.warning("the lease on job %s could not be renewed: %s", self._job.name, error)
                self._done.wait(1.0)
