"""Ports: free, remembered, from a base, refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from infra.devstack.errors import NotUsable
from infra.devstack.ports import assign, free_ports, is_free

NAMES = ("api", "kafka", "postgres")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that a program listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_free_ports_differ_and_are_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_a_port_that_is_listened_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_base_numbers_them_in_order() -> None:
    base = next(port for port in free_ports(500) if all(is_free(port + offset) for offset in range(len(NAMES))))
    assert assign(NAMES, base=base, remembered={"kafka": 1}) == {"api": base, "kafka": base + 1, "postgres": base + 2}


def test_remembered_ports_are_kept_and_the_others_are_new() -> None:
    remembered = dict(zip(NAMES[:2], free_ports(2), strict=True))
    ports = assign(NAMES, base=None, remembered=remembered)
    assert {name: ports[name] for name in remembered} == remembered
    assert len(set(ports.values())) == 3


def test_a_port_in_use_is_refused_by_name(taken: int) -> None:
    with pytest.raises(NotUsable, match=rf"port {taken} \(kafka\).*--port-base"):
        assign(NAMES, base=None, remembered={"kafka": taken})
