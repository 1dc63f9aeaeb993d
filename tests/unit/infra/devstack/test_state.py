"""The supervisor's files: whole, private where they must be, and safe against reused process numbers."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from infra.devstack.state import (
    Identity,
    PartState,
    StackState,
    SupervisorLock,
    read_state,
    remembered_ports,
    supervisor_file,
    write_addresses,
    write_state,
)
from infra.home import Home


def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.run.mkdir()
    return made


def test_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    own = Identity.of(os.getpid())
    assert own is not None
    parts = [PartState(name="kafka", state="ready", process=own, restarts=2), PartState(name="migrate", once=True)]
    state = StackState(supervisor=own, state="ready", parts=parts)
    write_state(home(tmp_path), state)
    assert read_state(Home(tmp_path)) == state


def test_a_state_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    here = home(tmp_path)
    assert read_state(here) is None
    for text in ("", "{", "[]", '{"supervisor": 1}'):
        supervisor_file(here).write_text(text)
        assert read_state(here) is None


def test_addresses_are_readable_by_the_owner_only_and_ports_are_remembered(tmp_path: Path) -> None:
    here = home(tmp_path)
    assert remembered_ports(here) == {}
    write_addresses(here, {"postgres_url": "postgresql+psycopg2://u:secret@h/d"}, {"kafka": 20001})
    assert stat.S_IMODE(here.stack_file.stat().st_mode) == 0o600
    assert remembered_ports(here) == {"kafka": 20001}


def test_a_reused_process_number_is_not_the_process(tmp_path: Path) -> None:
    own = Identity.of(os.getpid())
    assert own is not None
    assert own.process() is not None
    assert Identity(pid=own.pid, started=own.started - 100).process() is None


def test_the_lock_is_held_once(tmp_path: Path) -> None:
    here = home(tmp_path)
    first, second = SupervisorLock(here), SupervisorLock(here)
    assert not first.held()
    assert first.acquire()
    assert second.held()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
