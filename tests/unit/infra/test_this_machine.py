"""Processes of this machine: the living, the dead, the unburied."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from infra.this_machine import machine, started
from scoring.owner import Owner

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="there is no /proc to look into")


def test_this_process_has_a_beginning_and_one_name() -> None:
    assert str(started(os.getpid())).isdigit()
    assert started(os.getpid()) == started(os.getpid())
    assert machine() == machine()
    me = Owner(machine=machine(), pid=os.getpid(), started=str(started(os.getpid())), number=0)
    assert Owner.read(str(me)) == me


def test_a_killed_process_is_gone_before_and_after_its_burial() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert started(child.pid) is not None
    child.kill()
    ends = time.monotonic() + 90
    while started(child.pid) is not None:
        assert time.monotonic() < ends, "waited 90 s for a killed process to end"
        time.sleep(0.01)
    child.wait()
    assert started(child.pid) is None
