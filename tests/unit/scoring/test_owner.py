"""Who is dead for certain, and who may only be silent."""

from __future__ import annotations

import pytest

from scoring.owner import Owner, is_gone

ME = Owner(machine="host-1a2b", pid=42, started="900", number=1)


def test_a_name_is_read_as_it_was_written() -> None:
    assert Owner.read(str(ME)) == ME


@pytest.mark.parametrize("text", ["", "host/42/1", "host/x@900/1", "host/42@900", "a/b/42@900/1", "runner"])
def test_a_name_made_otherwise_is_nobodys(text: str) -> None:
    assert Owner.read(text) is None
    assert not is_gone(text, machine="host", started=lambda pid: None)


@pytest.mark.parametrize(
    ("started", "machine", "gone"),
    [
        ("900", ME.machine, False),
        (None, ME.machine, True),
        ("901", ME.machine, True),  # the process id was given out again
        (None, "host-other", False),  # nobody here can know
    ],
)
def test_only_a_process_of_this_machine_is_known_to_be_gone(started: str | None, machine: str, gone: bool) -> None:
    asked: list[int] = []

    def look(pid: int) -> str | None:
        asked.append(pid)
        return started

    assert is_gone(str(ME), machine=machine, started=look) is gone
    assert asked == ([42] if machine == ME.machine else [])
