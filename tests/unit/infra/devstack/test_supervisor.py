"""The supervisor with small programs in place of Kafka and Postgres."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.devstack import supervisor as supervision
from infra.devstack.backoff import RestartPolicy
from infra.devstack.errors import NotUsable
from infra.devstack.parts import Part, Progress
from infra.devstack.processes import Launch
from infra.devstack.state import PartState, StackState, read_state
from infra.devstack.supervisor import Running, Supervisor, stop_layers
from infra.home import Home

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.run.mkdir()
    return made


def part(
    home: Home, name: str, program: str, *, after: tuple[str, ...] = (), once: bool = False, **more: object
) -> Part:
    def launch() -> Launch:
        return Launch(argv=(sys.executable, "-S", "-c", program), cwd=home.root, log=home.logs / f"{name}.log")

    return Part(name=name, launch=launch, after=after, once=once, grace=2, **more)  # type: ignore[arg-type]


def run_until(
    supervisor: Supervisor, home: Home, done: Callable[[StackState], bool], limit: float = 60
) -> tuple[StackState, str | None]:
    """Run until `done` holds for the state that others see; that state, and what `run` returned."""
    deadline = time.monotonic() + limit
    seen: list[StackState] = []

    def wait(seconds: float) -> None:
        state = read_state(home)
        if state is not None and done(state):
            seen.append(state)
            supervisor.request_stop()
        if time.monotonic() > deadline:
            supervisor.request_stop()
        time.sleep(seconds / 5)

    error = supervisor.run(wait)
    return (seen[0] if seen else StackState(supervisor=(seen and seen[0].supervisor) or None)), error  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    """No such process, or one that only waits to be collected."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def by_name(state: StackState) -> dict[str, PartState]:
    return {one.name: one for one in state.parts}


def test_parts_start_in_order_and_steps_end_first(home: Home) -> None:
    order: list[str] = []
    parts = [
        part(home, "store", SLEEP),
        part(home, "step", "open('made', 'w')", after=("store",), once=True),
        part(home, "service", "open('made'); " + SLEEP, after=("step",)),
    ]
    supervisor = Supervisor(home=home, parts=parts, progress=lambda line: order.append(line.split(" after")[0]))
    state, error = run_until(supervisor, home, lambda state: state.state == "ready")
    assert error is None
    assert order == ["store: ready", "step: done", "service: ready"]
    assert {name: one.state for name, one in by_name(state).items()} == {
        "store": "ready",
        "step": "done",
        "service": "ready",
    }
    pids = [one.process.pid for one in state.parts if one.process]
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    after = read_state(home)
    assert after is not None
    assert after.state == "stopped"


def test_a_part_that_ends_is_started_again_with_its_last_line_told(home: Home) -> None:
    crash = "print('no such broker'); raise SystemExit(3)"
    supervisor = Supervisor(
        home=home, parts=[part(home, "service", crash, ready=lambda _: False)], policy=RestartPolicy(first=0.01)
    )
    state, _ = run_until(supervisor, home, lambda state: state.parts[0].restarts >= 3)
    assert state.parts[0].last_error == "ended: exit code 3; last line of its log: no such broker"


def test_a_part_that_is_killed_comes_back_ready(home: Home) -> None:
    supervisor = Supervisor(home=home, parts=[part(home, "service", SLEEP)], policy=RestartPolicy(first=0.01))
    killed: list[int] = []

    def done(state: StackState) -> bool:
        one = state.parts[0]
        if one.state == "ready" and one.process and not killed:
            killed.append(one.process.pid)
            psutil.Process(one.process.pid).kill()
        return one.state == "ready" and one.restarts == 1

    state, _ = run_until(supervisor, home, done)
    assert state.parts[0].process
    assert state.parts[0].process.pid != killed[0]
    assert "SIGKILL" in str(state.parts[0].last_error)


def test_a_part_that_never_gets_ready_is_ended_at_its_limit(home: Home) -> None:
    slow = part(home, "service", SLEEP, ready=lambda _: False, limit=0.3)
    supervisor = Supervisor(home=home, parts=[slow], policy=RestartPolicy(first=0.01))
    state, _ = run_until(supervisor, home, lambda state: state.parts[0].restarts >= 1)
    assert state.parts[0].last_error == "was not ready within 0 s"


@pytest.mark.parametrize("is_store_away", [True, False])
def test_a_part_that_hangs_is_replaced_unless_what_it_needs_is_away(
    home: Home, monkeypatch: pytest.MonkeyPatch, is_store_away: bool
) -> None:
    monkeypatch.setattr(supervision, "HANGING_SECONDS", 0.3)
    monkeypatch.setattr(supervision, "PROBE_SECONDS", 0.05)
    away = home.root / "away"
    store = part(home, "store", SLEEP, ready=lambda _: not (away.exists() and is_store_away))
    service = part(home, "service", SLEEP, after=("store",), ready=lambda _: not away.exists())
    supervisor = Supervisor(home=home, parts=[store, service], policy=RestartPolicy(first=0.01))

    def done(state: StackState) -> bool:
        if state.state == "ready":
            away.touch()
        return by_name(state)["store" if is_store_away else "service"].restarts >= 1

    state, _ = run_until(supervisor, home, done)
    told = by_name(state)["store" if is_store_away else "service"].last_error
    assert told == "did not answer for 0 s"
    assert by_name(state)["service" if is_store_away else "store"].restarts == 0


def test_no_grandchild_outlives_the_stop(home: Home) -> None:
    # the grandchild leads a session of its own, as a worker process may
    program = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'], "
        "start_new_session=True); open('grandchild', 'w').write(str(p.pid)); p.wait()"
    )
    there = home.root / "grandchild"
    service = part(home, "service", program, ready=lambda _: there.exists() and there.read_text() != "")
    run_until(Supervisor(home=home, parts=[service]), home, lambda state: state.state == "ready")
    pid = int(there.read_text())
    assert gone(pid)


def test_an_orphan_of_a_part_that_died_is_ended_while_the_stack_goes_on(home: Home) -> None:
    program = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'], "
        "start_new_session=True); open('grandchild', 'a').write(str(p.pid) + ' '); p.wait()"
    )
    there = home.root / "grandchild"
    killed: list[int] = []

    def done(state: StackState) -> bool:
        one = state.parts[0]
        if one.process and there.exists() and there.read_text().endswith(" ") and not killed:
            killed.append(one.process.pid)
            psutil.Process(one.process.pid).kill()
        return one.restarts == 1 and one.state == "ready" and gone(int(there.read_text().split()[0]))

    supervisor = Supervisor(home=home, parts=[part(home, "service", program)], policy=RestartPolicy(first=0.01))
    run_until(supervisor, home, done)


def test_what_cannot_start_at_all_stops_the_rest_with_its_reason(home: Home) -> None:
    def prepare(_: Progress) -> None:
        raise NotUsable("no Java runs here")

    parts = [part(home, "store", SLEEP), part(home, "broker", SLEEP, prepare=prepare)]
    error = Supervisor(home=home, parts=parts).run()
    assert error == "no Java runs here"
    state = read_state(home)
    assert state is not None
    assert (state.state, state.error) == ("failed", "no Java runs here")


def test_a_deleted_home_ends_the_stack(home: Home) -> None:
    def wait(seconds: float) -> None:
        state = read_state(home)
        if state is not None and state.state == "ready":
            for path in home.run.iterdir():
                path.unlink()
            home.run.rmdir()
        time.sleep(seconds)

    error = Supervisor(home=home, parts=[part(home, "store", SLEEP)]).run(wait)
    assert error is not None
    assert "cannot go on" in error


def test_parts_stop_before_what_they_need(home: Home) -> None:
    parts = [
        part(home, "store", SLEEP),
        part(home, "broker", SLEEP),
        part(home, "step", "", after=("store",), once=True),
        part(home, "service", SLEEP, after=("step", "store", "broker")),
        part(home, "page", SLEEP, after=("step",)),
    ]
    running = [Running(one, one.after, PartState(name=one.name)) for one in parts]
    layers = [[one.part.name for one in layer] for layer in stop_layers(running)]
    assert layers == [["service", "page"], ["broker", "step"], ["store"]]


def test_the_supervisor_loads_only_what_it_needs() -> None:
    """It stays for as long as the stack: each package that it loads is memory for nothing."""
    code = "import sys; import infra.devstack.supervisor; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    loaded = set(done.stdout.split())
    assert loaded & {"ingestion", "scoring", "storage", "pydantic", "pyarrow", "numpy", "jgo", "click"} == set()
