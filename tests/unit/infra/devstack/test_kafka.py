"""The broker's configuration."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest

from infra.devstack.kafka import brokers_listed, server_properties


def properties() -> dict[str, str]:
    text = server_properties(data=Path("/data"), port=20001, controller_port=20002)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_it_listens_on_the_loopback_address_only() -> None:
    listeners = properties()["listeners"].split(",")
    assert listeners == ["PLAINTEXT://127.0.0.1:20001", "CONTROLLER://127.0.0.1:20002"]


def test_ten_megabytes_pass_and_nothing_is_created_by_accident() -> None:
    assert int(properties()["message.max.bytes"]) > 10 * 1024 * 1024
    assert properties()["auto.create.topics.enable"] == "false"


@pytest.mark.parametrize(("brokers", "sent"), [(1, 12), (0, 12), (2, 5)])
def test_the_answer_to_a_metadata_request_is_counted_also_in_pieces(brokers: int, sent: int) -> None:
    answer = struct.pack(">iii", 8, 1, brokers)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer[:sent])
                connection.sendall(answer[sent:])

        threading.Thread(target=serve, daemon=True).start()
        assert brokers_listed("127.0.0.1", server.getsockname()[1], timeout=5) == brokers
