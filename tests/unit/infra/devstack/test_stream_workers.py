"""Workers of defined streams come and go with the files of the home, without a word to the others."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.devstack.backoff import RestartPolicy
from infra.devstack.parts import Part
from infra.devstack.processes import Launch
from infra.devstack.state import PartState, StackState, read_state
from infra.devstack.stream_workers import StreamWorkers
from infra.devstack.supervisor import Supervisor
from infra.home import Home

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    for folder in (made.run, made.logs, made.streams):
        folder.mkdir()
    return made


def part(home: Home, name: str, program: str = SLEEP, *, optional: bool = False, edition: str = "") -> Part:
    launch = Launch(argv=(sys.executable, "-c", program), cwd=home.root, log=home.logs / f"{name}.log", env={})
    return Part(name=name, launch=lambda: launch, optional=optional, edition=edition, limit=30, grace=5)


def run_through(supervisor: Supervisor, home: Home, steps: list[Callable[[dict[str, PartState]], bool]]) -> StackState:
    """Run until each step, asked in turn with the parts that others see, has said that it is done."""
    deadline = time.monotonic() + 60
    left = list(steps)
    last: list[StackState] = []

    def wait(seconds: float) -> None:
        state = read_state(home)
        if state is not None:
            last[:] = [state]
            if left and left[0]({one.name: one for one in state.parts}):
                left.pop(0)
        if not left or time.monotonic() > deadline:
            supervisor.request_stop()
        time.sleep(seconds / 5)

    assert supervisor.run(wait) is None
    assert not left, f"{len(left)} steps were not reached; last seen {last}"
    return last[0]


def test_a_part_comes_changes_and_goes_while_the_others_run_on(home: Home) -> None:
    found: list[Part] = []
    pids: dict[str, int] = {}

    def is_ready(parts: dict[str, PartState], name: str) -> int | None:
        held = parts.get(name)
        return held.process.pid if held is not None and held.state == "ready" and held.process else None

    def began(parts: dict[str, PartState]) -> bool:
        pid = is_ready(parts, "fixed")
        if pid is None:
            return False
        pids["fixed"] = pid
        found.append(part(home, "guest", optional=True, edition="1"))
        return True

    def came(parts: dict[str, PartState]) -> bool:
        pid = is_ready(parts, "guest")
        if pid is None:
            return False
        pids["guest"] = pid
        found[:] = [part(home, "guest", optional=True, edition="2")]
        return True

    def changed(parts: dict[str, PartState]) -> bool:
        pid = is_ready(parts, "guest")
        if pid in (None, pids["guest"]):
            return False
        assert not psutil.pid_exists(pids["guest"]) or psutil.Process(pids["guest"]).status() == psutil.STATUS_ZOMBIE
        found.clear()
        return True

    def went(parts: dict[str, PartState]) -> bool:
        if "guest" in parts:
            return False
        assert is_ready(parts, "fixed") == pids["fixed"]
        assert parts["fixed"].restarts == 0
        return True

    supervisor = Supervisor(home=home, parts=[part(home, "fixed")], found=lambda: list(found))
    run_through(supervisor, home, [began, came, changed, went])


def test_the_stack_is_ready_without_a_part_that_fails_and_is_optional(home: Home) -> None:
    failing = part(home, "guest", "print('no such topic'); raise SystemExit(2)", optional=True)
    supervisor = Supervisor(
        home=home, parts=[part(home, "fixed")], found=lambda: [failing], policy=RestartPolicy(first=0.01)
    )

    def failed(parts: dict[str, PartState]) -> bool:
        held = parts.get("guest")
        if held is None or held.restarts < 2:
            return False
        assert held.last_error == "ended: exit code 2; last line of its log: no such topic"
        return True

    def is_whole(parts: dict[str, PartState]) -> bool:
        state = read_state(home)
        return state is not None and state.state == "ready"

    run_through(supervisor, home, [failed, is_whole])


def test_definitions_are_found_by_their_files_and_a_change_is_another_edition(home: Home) -> None:
    (home.streams / "pump_shift.yml").write_text("a")
    for other in ("Pump.yml", "x.yaml", ".draft.yml", "note.txt"):
        (home.streams / other).write_text("a")
    workers = StreamWorkers(home)
    (worker,) = workers.parts()
    assert worker.name == "stream-pump_shift"
    assert worker.optional
    assert worker.launch().argv[-3:] == ("stream", "run", str(home.streams / "pump_shift.yml"))
    assert not worker.ready(1)
    assert [same.edition for same in workers.parts()] == [worker.edition]
    (home.streams / "pump_shift.yml").write_text("ab")
    assert workers.parts()[0].edition != worker.edition
    (home.streams / "pump_shift.yml").unlink()
    assert list(workers.parts()) == []
    assert list(StreamWorkers(Home(home.root / "none")).parts()) == []
