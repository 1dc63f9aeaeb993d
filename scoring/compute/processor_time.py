"""What processes have used of this machine, read from /proc; other systems tell nothing here."""

from __future__ import annotations

import os
from pathlib import Path


def core_seconds(pid: int, *, children: bool = True) -> float | None:
    """Processor time of a process and of its ended children, also of one that has died and is not reaped yet."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        # the name, in brackets, may hold spaces and brackets of its own
        fields = text.rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11 : 15 if children else 13]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None


def resident_bytes(pid: int) -> int | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None
