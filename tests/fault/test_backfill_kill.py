"""kill -9 of a backfill at each of its steps, and two at once: the table ends with the rows of an undisturbed one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ingestion.test_backfill import ORDER, late_in_order, lose, publish
from tests.stream_process import StreamStack, stream_stack

pytestmark = [pytest.mark.stack, pytest.mark.fault]

# the parts are imported once, and every backfill is a fork that has talked to nobody yet
BACKFILLS = textwrap.dedent(
    """
    import json, os, signal, sys
    from datetime import timedelta
    import ingestion.backfill.engine, ingestion.kafka.history, ingestion.pipeline, storage.lake.backfill_table
    from infra.backfills import BackfillWish, backfill
    from infra.settings import Settings
    from ingestion.backfill.reads import EventRange
    from tests.integration.ingestion.test_backfill import ORIGIN, SECONDS

    def carried_out(at, number, waits):
        steps = []

        def step(name):
            steps.append(name)
            if name == at and steps.count(name) == number:
                if not waits:
                    os.kill(os.getpid(), signal.SIGKILL)
                print(json.dumps(name), flush=True)
                sys.stdin.readline()

        span = EventRange(since=ORIGIN, until=ORIGIN + timedelta(seconds=SECONDS))
        wish = BackfillWish(stream="windows", span=span, piece_rows=40)
        return backfill(Settings(), wish, step=step).report

    def forked(at, number, waits):
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        try:
            report = carried_out(at, number, waits)
            print(json.dumps([report.written, report.different]), flush=True)
        except Exception as error:
            print(json.dumps(str(error)), flush=True)
            os._exit(1)
        os._exit(0)

    for line in sys.stdin:
        print(json.dumps(forked(*json.loads(line))), flush=True)
    """
)


class Backfills:
    """A process that carries out one backfill after the other: for each line that it gets, one answer or two."""

    def __init__(self, stack: StreamStack) -> None:
        self.errors = stack.home / "backfills.log"
        with self.errors.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", BACKFILLS],
                env=os.environ | stack.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, step: str = "none", number: int = 1, *, waits: bool = False) -> None:
        self.tell(json.dumps([step, number, waits]))

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.errors.read_text()
        return json.loads(line)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=60)


STEPS = [
    ("compared", 1),
    ("late part on disk", 1),
    ("late entry written", 1),
    ("part on disk", 1),
    ("entry written", 1),
    ("written", 1),
    ("written", 2),
]


@pytest.fixture
def stack(kafka_bootstrap: str, tmp_path: Path) -> Iterator[StreamStack]:
    with stream_stack(
        kafka_bootstrap, tmp_path, "backfill-kill", partitions=2, correction_lateness_seconds=15.0
    ) as made:
        yield made


@pytest.mark.timeout(400)
def test_killed_at_each_step_it_ends_with_the_same_rows(stack: StreamStack) -> None:
    publish(stack)
    stack.wait_ready(stack.start())
    stack.wait_committed()
    before, late = stack.rows("windows", ORDER), late_in_order(stack.late())
    assert lose(stack, "window_start >= '2026-03-01T23:58:00Z' and machine_id <> 'pump-1'") > 50
    assert lose(stack, "window_start >= '2026-03-01T23:58:00Z' and machine_id <> 'pump-1'", "late_readings") > 5
    grown = []
    backfills = Backfills(stack)
    try:
        for step, number in STEPS:
            backfills.ask(step, number)
            assert backfills.answer() == -signal.SIGKILL, step
            grown.append(len(stack.rows("windows", ORDER)))
        assert grown[0] < grown[-1] < len(before), f"killed before rows were written, and after some: {grown}"
        backfills.ask()
        written, different = backfills.answer()
        assert backfills.answer() == 0
    finally:
        backfills.close()
    assert (written, different) == (len(before) - grown[-1], 0)
    assert stack.rows("windows", ORDER) == before
    assert late_in_order(stack.late()) == late


@pytest.mark.timeout(300)
def test_of_two_at_once_one_is_refused(stack: StreamStack) -> None:
    """By the lock; and where the lock does not reach, by the number that each commit carries."""
    publish(stack)
    worker = stack.start()
    stack.wait_ready(worker)
    stack.wait_committed()
    before = stack.rows("windows", ORDER)
    lost = lose(stack, "machine_id = 'pump-1' and window_start >= '2026-03-01T23:58:00Z'")
    first, second = Backfills(stack), Backfills(stack)
    try:
        first.ask("compared", 1, waits=True)
        assert first.answer() == "compared"
        second.ask()
        assert "another backfill is writing" in second.answer()
        assert second.answer() == 1
        (stack.home / "run" / "backfill-windows.lock").unlink()
        second.ask()
        assert second.answer() == [lost, 0]
        first.tell("go on")
        assert "another backfill is writing" in first.answer()
    finally:
        first.close()
        second.close()
    assert stack.rows("windows", ORDER) == before
    assert worker.poll() is None, "the live worker noticed nothing"
