"""Processes of this machine, told apart for certain: also across a restart, and from those of other containers."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from uuid import uuid4

_PROC = Path("/proc")


def machine() -> str:
    """A name of this space of process ids, the same in all its processes, until the machine starts anew.

    Where that cannot be known (there is no /proc) a name that nobody else has: then nobody is taken for dead.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return f"{_host()}-{uuid4().hex}"
    return f"{_host()}-{hashlib.sha256(f'{boot} {space}'.encode()).hexdigest()[:12]}"


def started(pid: int) -> str | None:
    """When that process began, in ticks since the boot; None where there is none, or where it is dead and unburied."""
    try:
        # the name of the program, in brackets, may hold anything
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return "unknown"
    return None if fields[0] in {"Z", "X"} else fields[19]


def _host() -> str:
    return "".join(c if c.isalnum() or c in "-._" else "-" for c in socket.gethostname()) or "host"
