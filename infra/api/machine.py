"""This machine, in the words in which Azure lists sizes of virtual machines."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def sizes() -> list[dict[str, Any]]:
    """One size. Every other name is accepted, as scripts carry it, and means this one."""
    return [
        {
            "name": "this_machine",
            "family": platform.machine(),
            "v_cpus": os.cpu_count() or 1,
            "memory_gb": _memory_gb(),
            "gpus": len(list(Path("/dev").glob("nvidia[0-9]*"))),
            "low_priority_capable": True,
        }
    ]


def _memory_gb() -> float | None:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    return round(total / (1 << 30), 1)
