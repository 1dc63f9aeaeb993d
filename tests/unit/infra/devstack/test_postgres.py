"""Where the server's files lie and who may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from infra.devstack.postgres import PostgresServer, reachable_by_others, server_options, write_secret


def test_it_listens_on_the_loopback_address_only_and_keeps_what_it_acknowledged() -> None:
    options = server_options(20001)
    assert options["listen_addresses"] == "127.0.0.1"
    assert options["unix_socket_directories"] == ""
    assert options["fsync"] == "on"
    assert "synchronous_commit" not in options


def test_the_password_is_made_once_and_private(tmp_path: Path) -> None:
    first = PostgresServer(tmp_path, port=1).url
    assert PostgresServer(tmp_path, port=1).url == first
    file = tmp_path / "run" / "postgres-password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) >= 24


def test_a_secret_is_never_written_over_another(tmp_path: Path) -> None:
    write_secret(tmp_path / "word", "one")
    with pytest.raises(FileExistsError):
        write_secret(tmp_path / "word", "two")


def test_a_closed_directory_on_the_way_is_noticed(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    assert not reachable_by_others(inner)
    assert reachable_by_others(Path(os.sep))
