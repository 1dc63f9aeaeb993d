"""The broker's configuration."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.devstack import kafka
from infra.devstack.errors import PartFailed
from infra.devstack.jars import JarCache
from infra.devstack.java import Java
from infra.devstack.kafka import FORMAT_ATTEMPTS, KafkaBroker, brokers_listed, server_properties


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


@pytest.fixture
def formatter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], KafkaBroker]:
    """A broker whose Java is a script that leaves half a format and fails, for a number of times, and then formats."""

    def made(failures: int) -> KafkaBroker:
        java = tmp_path / "java"
        java.write_text(
            "#!/bin/sh\n"
            f"cd {tmp_path}\n"
            "echo x >> attempts\n"
            'test -e kafka/data/half && { echo "already half formatted" >&2; exit 3; }\n'
            "mkdir -p kafka/data && touch kafka/data/half\n"
            f"test $(wc -l < attempts) -le {failures} && {{ echo 'no memory' >&2; exit 1; }}\n"
            "touch kafka/data/meta.properties\n"
        )
        java.chmod(0o755)
        monkeypatch.setattr(kafka, "find_java", lambda: Java(program=java, version=17))
        monkeypatch.setattr(JarCache, "classpath", lambda *_: "jars")
        monkeypatch.setattr(kafka, "FORMAT_PAUSE_SECONDS", 0.0)
        return KafkaBroker(tmp_path, port=1, controller_port=2)

    return made


def test_a_format_that_fails_is_tried_again_from_a_clean_folder(formatter: Callable[[int], KafkaBroker]) -> None:
    said: list[str] = []
    broker = formatter(FORMAT_ATTEMPTS - 1)
    broker.prepare(said.append)
    assert (broker.directory / "data" / "meta.properties").exists()
    assert said[0] == "formatting Kafka's storage"
    data = broker.directory / "data"
    assert said[1:] == [
        f"Kafka's storage in {data} could not be formatted (attempt {number} of {FORMAT_ATTEMPTS}): "
        "kafka.tools.StorageTool ended with code 1: no memory"
        for number in range(1, FORMAT_ATTEMPTS)
    ]


def test_a_format_that_always_fails_says_what_the_last_attempt_said(
    formatter: Callable[[int], KafkaBroker], tmp_path: Path
) -> None:
    with pytest.raises(PartFailed, match=r"\(attempt 3 of 3\): kafka.tools.StorageTool ended with code 1: no memory$"):
        formatter(FORMAT_ATTEMPTS).prepare()
    assert len((tmp_path / "attempts").read_text().splitlines()) == FORMAT_ATTEMPTS


def test_a_folder_that_holds_something_is_never_cleaned(
    formatter: Callable[[int], KafkaBroker], tmp_path: Path
) -> None:
    kept = tmp_path / "kafka" / "data" / "sensor-readings-0" / "00000000000000000000.log"
    kept.parent.mkdir(parents=True)
    kept.write_text("readings")
    with pytest.raises(PartFailed, match="already half formatted"):
        formatter(1).prepare()
    assert kept.read_text() == "readings"
