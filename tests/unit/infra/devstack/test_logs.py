"""Logs: kept within a size, and followed across that."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

from infra.devstack.logs import follow, last_lines, rotate
from infra.devstack.processes import tail


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {n}\n" for n in range(10_000)))
    assert tail(log, 3) == "line 9997\nline 9998\nline 9999"
    assert tail(tmp_path / "none.log", 3) == ""


def test_only_a_log_that_is_too_long_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * 10)
    assert not rotate(log, largest=10)
    with log.open("ab") as writer:
        writer.write(b"y")
        writer.flush()
        assert rotate(log, largest=10)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 10 + b"y"
    assert not rotate(tmp_path / "none.log")


def test_following_goes_on_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    lines = follow({"a": log, "b": tmp_path / "b.log"}, poll=0.01)

    def append(path: Path, text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    append(log, "not seen: before the first look\n")
    # a generator looks for the first time when it is first asked
    (tmp_path / "b.log").write_text("")
    threading.Timer(0.1, append, (log, "one\ntwo\nhal")).start()
    assert list(itertools.islice(lines, 2)) == [("a", "one"), ("a", "two")]
    append(log, "f\n")
    assert next(lines) == ("a", "half")
    rotate(log, largest=1)
    threading.Timer(0.1, append, (log, "new\n")).start()
    assert next(lines) == ("a", "new")
    append(tmp_path / "b.log", "from b\n")
    assert next(lines) == ("b", "from b")


def test_last_lines_name_their_part(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("1\n2\n")
    assert list(last_lines({"a": tmp_path / "a.log", "b": tmp_path / "b.log"}, 1)) == [("a", "2")]
