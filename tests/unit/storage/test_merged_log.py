"""Many log files as one: times that lines have, times that they get, and going on where one stopped."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import merged_log as module
from storage.merged_log import merged_log

OUT = "logs/user/stdout/node0/process000.stdout.txt"
OTHER = "logs/user/stdout/node0/process001.stdout.txt"
STATES = "logs/azureml/executionlogs.txt"
T = datetime(2026, 3, 29, 12, 0, 0, tzinfo=UTC).timestamp()


def write(folder: Path, source: str, text: str) -> None:
    path = folder / source
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def note(folder: Path, seconds: float, **sizes: int) -> None:
    named = {OUT: sizes.get("out"), OTHER: sizes.get("other")}
    sizes_ = {source: size for source, size in named.items() if size is not None}
    write(folder, "logs/sys/log_times.jsonl", json.dumps({"at": T + seconds, "sizes": sizes_}) + "\n")


def texts(folder: Path, **more: object) -> list[str]:
    return [line.text for line in merged_log(folder, {}, whole=True).lines]


def test_prints_without_a_time_get_when_they_were_seen(tmp_path: Path) -> None:
    write(tmp_path, STATES, "2026-03-29T12:00:00.500Z Running\n2026-03-29T12:00:05.000Z Finalizing\n")
    write(tmp_path, OUT, "first\nsecond\n")
    write(tmp_path, OTHER, "between\n")
    note(tmp_path, 2, out=6)
    note(tmp_path, 3, other=8)
    note(tmp_path, 4, out=13)
    page = merged_log(tmp_path, {}, whole=True)
    assert [line.text.split()[-1] for line in page.lines] == ["Running", "first", "between", "second", "Finalizing"]
    assert [line.at.timestamp() - T for line in page.lines] == [0.5, 2, 3, 4, 5]
    assert page.lines[1].source == OUT


@pytest.mark.parametrize(
    "head", ["2026-03-29T12:00:01.250Z", "[2026-03-29T14:00:01.250+02:00]", "2026-03-29 12:00:01.250+0000|INFO"]
)
def test_a_line_with_a_time_keeps_it(tmp_path: Path, head: str) -> None:
    write(tmp_path, OUT, f"{head} x\n")
    (line,) = merged_log(tmp_path, {}, whole=True).lines
    assert line.at.timestamp() - T == 1.25


def test_what_looks_like_a_time_and_is_none_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path, OUT, "2026-13-29 12:00:01 x\n\x00\xff\n\n")
    assert len(merged_log(tmp_path, {}, whole=True).lines) == 3


def test_the_order_within_a_file_is_never_changed(tmp_path: Path) -> None:
    write(tmp_path, OUT, "2026-03-29T12:00:09Z late\n2026-03-29T12:00:01Z early\nnone\n")
    assert [line.split()[-1] for line in texts(tmp_path)] == ["late", "early", "none"]


def test_going_on_tells_what_came_since_and_no_half_lines(tmp_path: Path) -> None:
    write(tmp_path, OUT, "one\ntw")
    first = merged_log(tmp_path, {}, whole=False)
    assert [line.text for line in first.lines] == ["one"]
    assert merged_log(tmp_path, first.read_to, whole=False).lines == []
    write(tmp_path, OUT, "o\nthree")
    write(tmp_path, OTHER, "new file\n")
    second = merged_log(tmp_path, first.read_to, whole=False)
    assert sorted(line.text for line in second.lines) == ["new file", "two"]
    assert [line.text for line in merged_log(tmp_path, second.read_to, whole=True).lines] == ["three"]


def test_large_files_come_in_pages_in_the_right_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 200)
    write(tmp_path, OUT, "".join(f"2026-03-29T12:00:{n:02}Z out {n}\n" for n in range(0, 60, 2)))
    write(tmp_path, OTHER, "2026-03-29T12:00:59Z last\n" + "x" * 500 + "\n")
    write(tmp_path, STATES, "".join(f"2026-03-29T12:00:{n:02}Z state {n}\n" for n in range(1, 59, 20)))
    told, read_to, calls = [], {}, 0
    while True:
        page = merged_log(tmp_path, read_to, whole=True)
        told += page.lines
        read_to, calls = page.read_to, calls + 1
        assert calls < 100
        if not page.more:
            break
    assert calls > 3
    assert [line.at for line in told] == sorted(line.at for line in told)
    assert sum("out" in line.text for line in told) == 30
    assert sum(len(line.text) for line in told if "x" in line.text) == 500


def test_links_and_doubles_are_left_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret\n")
    write(tmp_path, OUT, "mine\n")
    (tmp_path / OTHER).symlink_to(secret)
    write(tmp_path, "logs/user/error/node0/process000.txt", "twice\n")
    write(tmp_path, "logs/job_result.txt", "twice\n")
    write(tmp_path, "logs/readme.txt", "how to\n")
    assert texts(tmp_path) == ["mine"]


def test_a_job_without_logs_has_no_lines(tmp_path: Path) -> None:
    assert merged_log(tmp_path / "absent", {}, whole=False).lines == []
