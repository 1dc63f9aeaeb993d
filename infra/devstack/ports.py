"""Which TCP ports a stack uses: free ones, or a run of numbers from a base; remembered by the caller."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping, Sequence

from infra.devstack.errors import NotUsable

# below the range from which systems take the ports of outgoing connections: a port of ours that is idle for the
# seconds of a restart must not be lent to one of those
FIRST, LAST = 20_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Can a server listen there now? A port in TIME_WAIT counts as free, as servers set SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, avoid: frozenset[int] = frozenset()) -> list[int]:
    """`count` different ports that are free now, searched from a random one upwards. Raises NotUsable if too few."""
    start = random.SystemRandom().randrange(FIRST, LAST)
    found: list[int] = []
    for offset in range(LAST - FIRST):
        port = FIRST + (start - FIRST + offset) % (LAST - FIRST)
        if len(found) == count:
            break
        if port not in avoid and is_free(port):
            found.append(port)
    if len(found) < count:
        raise NotUsable(f"fewer than {count} TCP ports from {FIRST} to {LAST} are free on this machine")
    return found


def assign(names: Sequence[str], *, base: int | None, remembered: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: from the base up in order, else the remembered one, else a free one.

    Raises NotUsable naming each port that is in use.
    """
    if base is not None:
        ports = {name: base + offset for offset, name in enumerate(names)}
    else:
        known = {name: remembered[name] for name in names if name in remembered}
        fresh = [name for name in names if name not in known]
        ports = {**known, **dict(zip(fresh, free_ports(len(fresh), avoid=frozenset(known.values())), strict=True))}
    used = [f"{port} ({name})" for name, port in ports.items() if not is_free(port)]
    if used:
        raise NotUsable(
            f"in use by another program: port {', '.join(used)}; end that program, or give a free run of "
            f"{len(names)} ports with --port-base"
        )
    return ports
