"""One job's way through its worker processes: mini-batches go to idle ones, dead and stuck ones are replaced."""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from scoring.collect import succeeded_items
from scoring.compute.fleet import Instance, waits_for
from scoring.compute.meter import Meter
from scoring.compute.news import ComputeNews
from scoring.compute.process import WorkerGone, WorkerProcess
from scoring.compute.workplace import Workplace
from scoring.division import Division, Piece, tries_of
from scoring.errors import JobFailed
from scoring.job import Job, JobStatus
from scoring.minibatch import MiniBatch, MiniBatchOutcome, MiniBatchResult
from scoring.plan import planned_items
from scoring.retry import Failure, after_failure, init_gives_up, init_limit

_TICK_SECONDS = 0.1
_SHUTDOWN_LIMIT = 10.0
_READ_LIMIT = 60.0
_LOOK_SECONDS = 1.0
_ASK_SECONDS = 0.2


@dataclass(kw_only=True)
class _Try:
    """A mini-batch, or a piece of one, on its way. `tries` counts the calls made, the running one included."""

    mini_batch: MiniBatch
    piece: Piece
    division: Division | None = None
    tries: int = 0
    items: int | None = None
    traceback: str | None = None
    started: float = 0.0


@dataclass(kw_only=True)
class Slot:
    """A place for a worker process on an instance. `deadline` is monotonic: for init(), reading, or run()."""

    instance: Instance
    process: str
    worker: WorkerProcess | None = None
    is_ready: bool = False
    current: _Try | None = None
    deadline: float | None = None

    @property
    def name(self) -> str:
        return f"{self.instance.name}/{self.process}"


class Supply(Protocol):
    """Where a job's instances and worker processes come from."""

    @property
    def instances(self) -> int:
        """How many instances the job may have."""
        ...

    def acquire(self, count: int) -> Sequence[Instance]:
        """Up to so many instances; none where all are busy. Raises NoInstance where the job is not to wait for one."""
        ...

    def release(self, instance: Instance) -> None: ...

    def take(self, instance: Instance) -> WorkerProcess:
        """Raises OSError where none can be made."""
        ...

    def give_back(self, instance: Instance, worker: WorkerProcess) -> None: ...

    def never_spoke(self, worker: WorkerProcess) -> bool:
        """A worker ended before its first word; whether that was not the script's fault, and is mended."""
        ...

    def message(self, slot: Slot) -> dict[str, Any]:
        """What a worker is told of the job."""
        ...


class JobRun:
    """One job's way through its processes, in the thread that called `run`."""

    def __init__(
        self,
        *,
        job: Job,
        place: Workplace,
        supply: Supply,
        pending: Sequence[MiniBatch],
        on_result: Callable[[MiniBatchResult], None],
        should_stop: Callable[[], str | None],
        on_news: Callable[[ComputeNews], None],
    ) -> None:
        self._settings = job.deployment.retry_settings
        self._compute = job.deployment.compute
        self._processes = job.deployment.max_concurrency_per_instance
        self._script = Path(job.deployment.script.scoring_script).name
        self._place = place
        self._supply = supply
        self._wanted_instances = min(supply.instances, len(pending))
        self._instances: list[Instance] = []
        self._asked_at = -_ASK_SECONDS
        self._slots: list[Slot] = []
        self._pending = deque(_Try(mini_batch=m, piece=Piece(mini_batch=m)) for m in pending)
        self._left = len(self._pending)
        self._on_result = on_result
        self._should_stop = should_stop
        self._on_news = on_news
        self._meter = Meter()
        self._selector = selectors.DefaultSelector()
        self._failed_inits = 0
        self._init_traceback: str | None = None
        self._ever_ready = False
        self._looked_at = time.monotonic()

    def score_all(self) -> None:
        try:
            while self._left and self._should_stop() is None:
                self._leave_what_is_taken_away()
                self._ask_for_instances()
                self._hand_out()
                self._listen(_TICK_SECONDS)
                self._check_deadlines()
                self._look_after()
            self._end_idle()
        finally:
            for slot in self._slots:
                self._drop(slot)
            for instance in self._instances:
                self._supply.release(instance)
            self._look_after(every=0)
            self._place.clean()
            self._selector.close()

    # --- instances ----------------------------------------------------------------------------------------------

    def _ask_for_instances(self) -> None:
        missing = self._wanted_instances - len(self._instances)
        now = time.monotonic()
        if missing <= 0 or not self._pending or now - self._asked_at < _ASK_SECONDS:
            return
        self._asked_at = now
        found = self._supply.acquire(missing)
        self._instances += found
        for instance in found:
            self._slots += [Slot(instance=instance, process=f"process{n:03d}") for n in range(self._processes)]
        # one process of each instance before the second of any
        self._slots.sort(key=lambda slot: (slot.process, len(slot.instance.name), slot.instance.name))
        if not self._instances:
            self._on_news(ComputeNews(status=JobStatus.PROVISIONING, phase=waits_for(self._compute)))
        elif found and not self._ever_ready:
            names = ", ".join(instance.name for instance in self._instances)
            self._on_news(ComputeNews(status=JobStatus.STARTING, phase=f"starting workers on {names}"))

    def _leave_what_is_taken_away(self) -> None:
        """What an instance worked at when it was taken away is no failed try: another instance begins it anew."""
        for instance in [instance for instance in self._instances if instance.is_leaving]:
            for slot in [slot for slot in self._slots if slot.instance is instance]:
                if slot.current is not None:
                    slot.current.tries -= 1
                    self._pending.appendleft(slot.current)
                    slot.current = None
                self._drop(slot)
                self._slots.remove(slot)
            self._instances.remove(instance)
            self._supply.release(instance)
            self._asked_at = -_ASK_SECONDS
            self._on_news(ComputeNews(phase=f"instance {instance.name} was taken away; goes on where it was"))

    # --- handing out --------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        for slot in self._slots:
            if not self._pending:
                return
            if slot.worker is None and self._wanted():
                self._start(slot)
            if slot.worker is not None and slot.is_ready and slot.current is None:
                self._score(slot, self._pending.popleft())

    def _wanted(self) -> bool:
        """Whether more mini-batches wait than processes that will soon take one."""
        soon = sum(1 for slot in self._slots if slot.worker is not None and slot.current is None)
        return len(self._pending) > soon

    def _start(self, slot: Slot) -> None:
        try:
            slot.worker = self._supply.take(slot.instance)
        except OSError as error:
            self._init_failed(slot, f"a worker process could not be started: {error}", None)
            return
        self._meter.begin(slot.worker, slot.instance)
        slot.is_ready = False
        slot.deadline = time.monotonic() + init_limit(self._settings.timeout).total_seconds()
        self._selector.register(slot.worker, selectors.EVENT_READ, slot)
        try:
            slot.worker.send(self._supply.message(slot))
        except WorkerGone:
            self._gone(slot)

    def _score(self, slot: Slot, attempt: _Try) -> None:
        assert slot.worker is not None
        attempt.tries += 1
        attempt.started = time.monotonic()
        slot.current = attempt
        slot.deadline = attempt.started + max(_READ_LIMIT, self._settings.timeout)
        message = {
            "op": "score",
            "index": attempt.mini_batch.index,
            "try": attempt.tries,
            **attempt.mini_batch.message(),
            "stem": self._place.stem(attempt.mini_batch.index, attempt.tries),
        }
        if attempt.piece.number:
            message |= {"piece": attempt.piece.number, "part": attempt.piece.rows}
            message["stem"] = f"{message['stem']}.p{attempt.piece.number}"
        try:
            slot.worker.send(message)
        except WorkerGone:
            self._gone(slot)

    # --- what comes back ----------------------------------------------------------------------------------------

    def _listen(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)  # nothing to listen to: a process could not be started
            return
        for key, _ in self._selector.select(seconds):
            slot = key.data
            if slot.worker is None:
                continue
            try:
                messages = slot.worker.messages()
            except WorkerGone:
                self._gone(slot)
                continue
            for message in messages:
                self._take_message(slot, message)
        for slot in self._slots:
            # a child that the script forked may hold the connection open after its parent has died
            if slot.worker is not None and not slot.worker.is_alive:
                self._last_words(slot)

    def _last_words(self, slot: Slot) -> None:
        """What a dead process had still sent counts: a mini-batch that it finished is not scored again."""
        assert slot.worker is not None
        try:
            for message in slot.worker.messages():
                self._take_message(slot, message)
        except WorkerGone:
            pass
        if slot.worker is not None:
            self._gone(slot)

    def _take_message(self, slot: Slot, message: dict[str, Any]) -> None:
        kind = message["op"]
        if kind == "ready":
            slot.is_ready, slot.deadline = True, None
            if slot.worker is not None:
                self._meter.met(slot.worker)
            if not self._ever_ready:
                self._on_news(ComputeNews(status=JobStatus.RUNNING, phase="scoring"))
            self._ever_ready = True
        elif kind == "init_failed" or (kind == "exited" and slot.current is None):
            self._init_failed(slot, str(message.get("error")), message.get("traceback"))
        elif slot.current is not None and kind in {"loaded", "scored", "raised", "exited"}:
            self._answered(slot, slot.current, message)

    def _answered(self, slot: Slot, attempt: _Try, message: dict[str, Any]) -> None:
        kind = message["op"]
        if kind != "exited" and (message.get("index"), message.get("try")) != (attempt.mini_batch.index, attempt.tries):
            return
        if message.get("items") is not None:
            attempt.items = int(message["items"])
        if kind == "loaded":
            slot.deadline = time.monotonic() + self._settings.timeout
        elif kind == "scored":
            self._succeeded(slot, attempt, message)
        else:
            failure = Failure.RAISED if kind == "raised" else Failure.DIED
            self._failed(slot, failure, str(message.get("error")), message.get("traceback"))

    def _succeeded(self, slot: Slot, attempt: _Try, message: dict[str, Any]) -> None:
        items, rows = int(message["items"]), int(message["rows"])
        succeeded = succeeded_items(returned=rows, items=items)
        slot.current, slot.deadline = None, None
        self._ended(
            attempt,
            MiniBatchResult(
                index=attempt.mini_batch.index,
                outcome=MiniBatchOutcome.SUCCEEDED,
                items=items,
                succeeded=succeeded,
                failed=items - succeeded,
                tries=attempt.tries,
                seconds=float(message["seconds"]),
                worker=slot.name,
                rows_path=message.get("rows_path"),
                rows=rows,
                error=None if rows >= items else f"run() of {self._script} returned {rows} rows for {items} items",
            ),
        )

    def _failed(self, slot: Slot, failure: Failure, error: str, traceback: str | None) -> None:
        attempt = slot.current
        assert attempt is not None
        slot.current, slot.deadline = None, None
        # the first traceback is the one to show: later tries may fail of what the first one left behind
        attempt.traceback = attempt.traceback or traceback
        self._place.note_failure(slot.name, attempt.mini_batch.index, attempt.tries, error, traceback)
        most = tries_of(attempt.piece, attempt.items, self._settings.max_retries)
        step = after_failure(failure, tries=attempt.tries, settings=replace(self._settings, max_retries=most))
        if step.new_process:
            self._drop(slot)
        if step.requeue:
            self._pending.append(attempt)
            return
        items = planned_items(attempt.mini_batch) if attempt.items is None else attempt.items
        tries = "" if attempt.tries == 1 else f", in {attempt.tries} tries"
        self._gave_up(
            attempt,
            MiniBatchResult(
                index=attempt.mini_batch.index,
                outcome=MiniBatchOutcome.FAILED,
                items=items,
                succeeded=0,
                failed=items,
                tries=attempt.tries,
                seconds=time.monotonic() - attempt.started,
                worker=slot.name,
                error=error + tries,
                traceback=attempt.traceback,
            ),
        )

    def _gave_up(self, attempt: _Try, result: MiniBatchResult) -> None:
        division = attempt.division or Division(result)
        halves = division.halves(attempt.piece, attempt.items) if self._settings.bisect else ()
        if not halves:
            self._ended(attempt, result)
            return
        division.divided(attempt.piece, result)
        self._pending += [_Try(mini_batch=half.mini_batch, piece=half, division=division) for half in halves]

    def _ended(self, attempt: _Try, result: MiniBatchResult) -> None:
        whole = result if attempt.division is None else attempt.division.end(attempt.piece, result)
        if whole is not None:
            self._left -= 1
            self._on_result(whole)

    # --- processes that fail ------------------------------------------------------------------------------------

    def _gone(self, slot: Slot) -> None:
        assert slot.worker is not None
        if not slot.worker.has_spoken and self._supply.never_spoke(slot.worker):
            self._drop(slot)
            return
        self._meter.usage()
        how = slot.worker.how_it_ended()
        if slot.current is None:
            if slot.is_ready:
                self._drop(slot)  # it died between two mini-batches: nothing is lost
            else:
                self._init_failed(slot, f"{how} in init() of {self._script}", None)
        else:
            self._failed(slot, Failure.DIED, f"{how} in run() of {self._script}", None)

    def _init_failed(self, slot: Slot, error: str, traceback: str | None) -> None:
        self._drop(slot)
        self._failed_inits += 1
        self._init_traceback = self._init_traceback or traceback
        self._place.note_failure(slot.name, -1, self._failed_inits, error, traceback)
        if init_gives_up(failures=self._failed_inits, processes=max(1, len(self._slots)), ever_ready=self._ever_ready):
            raise JobFailed(
                f"no worker process could be made ready, {self._failed_inits} tries: {error}",
                user_traceback=self._init_traceback,
            )

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.worker is None or slot.deadline is None or now < slot.deadline:
                continue
            if not slot.worker.has_spoken and self._supply.never_spoke(slot.worker):
                self._drop(slot)
            elif slot.current is None:
                limit = init_limit(self._settings.timeout).total_seconds()
                self._init_failed(slot, f"init() of {self._script} took longer than {limit:.0f} s", None)
            elif slot.current.items is None:
                limit = max(_READ_LIMIT, self._settings.timeout)
                self._failed(slot, Failure.TIMED_OUT, f"reading the mini-batch took longer than {limit:.0f} s", None)
            else:
                self._failed(
                    slot,
                    Failure.TIMED_OUT,
                    f"run() of {self._script} took longer than {self._settings.timeout} s (retry_settings.timeout)",
                    None,
                )

    def _look_after(self, *, every: float = _LOOK_SECONDS) -> None:
        now = time.monotonic()
        if now - self._looked_at < every:
            return
        self._looked_at = now
        for slot in self._slots:
            self._place.cut_long_logs(slot.instance.name, slot.process)
        self._on_news(ComputeNews(usage=self._meter.usage()))

    # --- the end ------------------------------------------------------------------------------------------------

    def _end_idle(self) -> None:
        """Let idle processes call shutdown() and keep them warm; busy ones, and whoever takes too long, are killed."""
        waiting = set()
        for slot in self._slots:
            if slot.worker is None or not slot.is_ready or slot.current is not None:
                self._drop(slot)
                continue
            try:
                slot.worker.send({"op": "end"})
                waiting.add(slot.name)
            except WorkerGone:
                continue
        deadline = time.monotonic() + _SHUTDOWN_LIMIT
        while waiting and time.monotonic() < deadline:
            self._should_stop()  # the caller keeps its lease in there
            for key, _ in self._selector.select(_TICK_SECONDS):
                slot = key.data
                if slot.worker is None or slot.name not in waiting:
                    continue
                try:
                    ended = [message for message in slot.worker.messages() if message["op"] == "ended"]
                except WorkerGone:
                    waiting.discard(slot.name)
                    continue
                if ended:
                    waiting.discard(slot.name)
                    if not ended[0].get("clean", True):
                        self._drop(slot)  # a thread or child of the script would work on in the next job
                        continue
                    self._selector.unregister(slot.worker)
                    self._meter.end(slot.worker)
                    self._supply.give_back(slot.instance, slot.worker)
                    slot.worker = None

    def _drop(self, slot: Slot) -> None:
        if slot.worker is None:
            return
        try:
            self._selector.unregister(slot.worker)
        except (KeyError, ValueError):
            pass
        self._meter.end(slot.worker)
        slot.worker.kill()
        slot.worker, slot.is_ready, slot.deadline = None, False, None
