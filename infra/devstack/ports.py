"""Which TCP ports a stack uses: free ones, or a run of numbers from a base; remembered by the caller."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from infra.devstack.errors import NotUsable


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Can a server listen there now? A port in TIME_WAIT counts as free, as servers set SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """`count` different ports that are free now. Held together, so that none comes twice."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def assign(names: Sequence[str], *, base: int | None, remembered: dict[str, int]) -> dict[str, int]:
    """A port for each name: from the base up in order, else the remembered one, else a free one.

    Raises NotUsable naming each port that is in use.
    """
    if base is not None:
        ports = {name: base + offset for offset, name in enumerate(names)}
    else:
        known = {name: remembered[name] for name in names if name in remembered}
        fresh = [name for name in names if name not in known]
        taken = set(known.values())
        candidates = [port for port in free_ports(len(fresh) + len(taken)) if port not in taken]
        ports = {**known, **dict(zip(fresh, candidates, strict=False))}
    used = [f"{port} ({name})" for name, port in ports.items() if not is_free(port)]
    if used:
        raise NotUsable(
            f"in use by another program: port {', '.join(used)}; end that program, or give a free run of "
            f"{len(names)} ports with --port-base"
        )
    return ports
