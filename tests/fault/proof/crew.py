"""The workers of one home: started, killed, frozen and, as by a supervisor, back again when they end by themselves."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ingestion.kafka.topics import TopicAdmin
from ingestion.steps import Step
from tests.fault.proof.worker import Orders, Variant, give_order, order_file, work
from tests.stream_process import StreamStack

LIMIT = 240.0
"""Seconds for anything that has to happen, on a machine that does much else."""

# a worker's imports cost seconds, a fork of a process that has made them nothing
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.fault.proof.worker"])


@dataclass
class Crew:
    """Members by name. One that ends by itself is counted in `ended`, by its exit code, and comes back."""

    stack: StreamStack
    notes: Path
    variant: Variant = "honest"
    may_end: bool = True
    definition: Path | None = None
    members: dict[str, ForkServerProcess] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._read = 0
        self.notes.mkdir(parents=True, exist_ok=True)
        self.stack.home.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in list(self.members):
            self.kill(member)
        if error is not None:
            error.add_note(f"the workers said last:\n{self.log[-4000:]}")

    # -- what happens to members --------------------------------------------------------------------------------------

    def start(self, member: str) -> ForkServerProcess:
        orders = Orders(
            member=member,
            environment=self.stack.environment,
            notes=self.notes.resolve(),
            variant=self.variant,
            definition=self.definition,
        )
        process = _FORKS.Process(target=work, args=(orders,), daemon=True)
        process.start()
        self.members[member] = process
        return process

    def start_all(self, *members: str) -> None:
        """Start them, and wait until they have committed something."""
        for member in members:
            self.start(member)
        self.wait_for_progress()

    def kill(self, member: str) -> None:
        process = self.members.pop(member)
        process.kill()
        process.join(timeout=60)
        order_file(self.notes, member).unlink(missing_ok=True)

    def leave(self, member: str) -> None:
        """Told to stop, it ends by itself."""
        process = self.members.pop(member)
        process.terminate()
        process.join(timeout=LIMIT)
        assert process.exitcode == 0, f"{member} ended with {process.exitcode} when told to stop"

    def send(self, member: str, number: signal.Signals) -> None:
        pid = self.members[member].pid
        assert pid is not None
        os.kill(pid, number)

    def order(self, member: str, step: Step, times: int, number: signal.Signals) -> None:
        give_order(self.notes, member, step, times, number)

    def revive(self) -> None:
        """Start again who ended by itself."""
        for member, process in list(self.members.items()):
            if process.exitcode is not None:
                self.ended.append(process.exitcode)
                assert self.may_end, f"{member} ended by itself with {process.exitcode}: {self.last_error}"
                self.start(member)

    # -- what they say ------------------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        path = self.notes / "workers.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def last_error(self) -> str:
        said = [line for line in self.log.splitlines() if "Error" in line or "stream stops" in line]
        return said[-1][-300:] if said else "it said nothing"

    def steps(self) -> list[dict[str, Any]]:
        """Every step that any member has done, in order."""
        path = self.notes / "steps.jsonl"
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._read)
                # the last line may be on its way
                whole = file.read().rpartition(b"\n")[0]
            self._steps += [json.loads(line) for line in whole.splitlines()]
            self._read += len(whole) + 1 if whole else 0
        return self._steps

    def reached(self, number: signal.Signals) -> list[Step]:
        """The steps at which a member sent itself this signal."""
        return [line["step"] for line in self.steps() if line["signal"] == number]

    def restored(self) -> int:
        """How many partitions were taken over by somebody."""
        return sum(line["step"] == "restored" for line in self.steps())

    def positions(self) -> dict[int, int]:
        return {partition: held.next_offset for partition, held in self.stack.progress().items()}

    # -- waiting ------------------------------------------------------------------------------------------------------

    def until(self, what: str, is_so: Callable[[], object], *, limit: float = LIMIT) -> None:
        """Until it is so; those that end by themselves meanwhile come back."""
        deadline = time.monotonic() + limit
        while not is_so():
            assert time.monotonic() < deadline, f"not within {limit:.0f} s: {what}\n{self.log[-4000:]}"
            self.revive()
            time.sleep(0.1)

    def wait_for_restored(self, member: str) -> None:
        """Until the member, as it runs now, has taken over a partition."""
        pid = self.members[member].pid
        self.until(
            f"{member} took over a partition",
            lambda: (
                self.members[member].pid != pid
                or any(line["pid"] == pid and line["step"] == "restored" for line in self.steps())
            ),
        )

    def wait_for_move(self, before: int) -> None:
        """Until somebody has taken over a partition, where `restored` said `before` earlier."""
        self.until("a partition was taken over", lambda: self.restored() > before)

    def wait_for_progress(self, partitions: Iterable[int] | None = None) -> None:
        """Until each partition (all that have messages) is committed beyond where its end is now."""
        ends = self.ends()
        chosen = set(ends if partitions is None else partitions)
        self.until(
            f"partitions {sorted(chosen)} are committed up to {ends}",
            lambda: (held := self.positions()) and all(held.get(p, 0) >= ends[p] for p in chosen),
        )

    def ends(self) -> dict[int, int]:
        with TopicAdmin(self.stack.bootstrap) as admin:
            return {partition: end for partition, end in admin.end_offsets(self.stack.topic).items() if end}
