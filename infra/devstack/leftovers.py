"""Finds and ends what a killed supervisor left running: processes that it recorded, and those that carry its marker."""

from __future__ import annotations

import os

import psutil

from infra.devstack.processes import MARKER
from infra.devstack.state import read_state
from infra.home import Home


def find_leftovers(home: Home) -> list[psutil.Process]:
    """Living processes of this home's stack, the supervisor itself not among them."""
    found: dict[int, psutil.Process] = {}
    state = read_state(home)
    for part in state.parts if state else []:
        process = part.process.process() if part.process else None
        if process is not None:
            for one in (process, *_children(process)):
                found[one.pid] = one
    found |= {process.pid: process for process in psutil.process_iter() if is_marked(process, home)}
    spared = {os.getpid(), state.supervisor.pid if state else -1}
    return [process for pid, process in sorted(found.items()) if pid not in spared]


def is_marked(process: psutil.Process, home: Home) -> bool:
    """Is it alive, and was it started by the stack of this home, at whatever remove?"""
    try:
        return bool(process.environ().get(MARKER) == str(home.root) and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, OSError):
        return False


def end_leftovers(home: Home, *, patience: float = 6.0) -> list[str]:
    """End them: they got a signal when the supervisor died, so wait, then kill. Returns `name (pid)` of the killed.

    A Postgres or Kafka that is killed recovers from its log at the next start, as after a power cut.
    """
    _, alive = psutil.wait_procs(find_leftovers(home), timeout=patience)
    # another look: what was waited for may have had children of its own
    alive = list({process.pid: process for process in (*alive, *find_leftovers(home))}.values())
    killed = []
    for process in alive:
        try:
            killed.append(f"{process.name()} ({process.pid})")
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(alive, timeout=5)
    return killed


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
