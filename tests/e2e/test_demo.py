"""`tidemill demo` as a person and as CI see it; what it claims is read again from the stores."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

TIDEMILL = [sys.executable, "-m", "infra.cli.main"]
LIMIT = 1200  # seconds; a minute and a half where nothing else runs


@pytest.fixture
def home(stack_home: Path) -> Iterator[Path]:
    """A place for one demo's home, which others may pass through: Postgres does not run as root."""
    folder = stack_home / f"demo-{time.monotonic_ns()}"
    folder.mkdir(mode=0o755)
    yield folder
    subprocess.run([*TIDEMILL, "--home", str(folder / "demo"), "down"], capture_output=True, timeout=240, check=False)


@dataclass(frozen=True)
class Claims:
    """The figures of the demo's last step."""

    windows: int
    per_job: list[int]
    parquet: int
    postgres: int
    precision: float
    recall: float
    gib: float


def claims(text: str) -> Claims:
    def found(pattern: str) -> list[str]:
        match = re.search(pattern, text)
        assert match, f"{pattern!r} is not in:\n{text[-4000:]}"
        return [group.replace(",", "") for group in match.groups()]

    (windows,) = found(r"windows written +([\d,]+) in the lake")
    ((jobs),) = re.findall(r"scheduled jobs +2 completed, (.+?) machine windows, 0 of them twice", text)
    parquet, postgres = found(r"predictions +([\d,]+) in Parquet, ([\d,]+) in Postgres")
    (precision,) = found(r"precision +([\d.]+)%")
    (recall,) = found(r"recall +([\d.]+)%")
    (gib,) = found(r"memory +([\d.]+) GiB")
    return Claims(
        windows=int(windows),
        per_job=[int(rows.replace(",", "")) for rows in re.findall(r"[\d,]*\d", jobs)],
        parquet=int(parquet),
        postgres=int(postgres),
        precision=float(precision),
        recall=float(recall),
        gib=float(gib),
    )


def processes_of(home: Path) -> list[str]:
    """Command lines of living processes that name this home."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(home) in word for word in words) and process.pid != os.getpid():
            found.append(" ".join(words)[:150])
    return found


def scored_per_job(postgres_url: str) -> dict[str, tuple[int, int, int, int]]:
    """Of each completed job: predictions, distinct windows among them, and the table versions that it covered."""
    engine = sa.create_engine(postgres_url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                sa.text(
                    """select j.name, count(*), count(distinct (p.machine_id, p.window_start)),
                              (j.manifest->>'from_version')::int, (j.manifest->>'to_version')::int
                       from jobs j join predictions p on p.job_name = j.name
                       where j.status = 'Completed' and j.trigger = 'schedule' group by 1 order by 5"""
                )
            )
            return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}
    finally:
        engine.dispose()


def check_stores(home: Path, said: Claims) -> None:
    """Read the lake with Delta and Postgres with SQL, nothing of the demo's own in between."""
    url = json.loads((home / "stack.json").read_text())["postgres_url"]
    jobs = scored_per_job(url)
    assert len(jobs) >= 2
    first, second = list(jobs.values())[:2]
    assert [first[0], second[0]] == said.per_job
    assert sum(said.per_job) == said.parquet == said.postgres
    assert first[3] == second[2], "the second job begins where the first one ended"
    assert all(rows == distinct for rows, distinct, _, _ in jobs.values()), "no window is scored twice by a job"

    lake = DeltaTable(str(home / "lake" / "predictions")).to_pyarrow_table(
        columns=["job_name", "machine_id", "window_start"]
    )
    in_lake = {name: pc.sum(pc.equal(lake["job_name"], name)).as_py() for name in jobs}
    # a later job may just be between its two commits: those that ended are equal
    assert in_lake == {name: rows for name, (rows, _, _, _) in jobs.items()}
    keys = lake.group_by(["machine_id", "window_start"]).aggregate([])
    assert keys.num_rows == lake.num_rows, "no window is scored twice by two jobs"

    windows = DeltaTable(str(home / "lake" / "windows"))
    assert windows.to_pyarrow_dataset().count_rows() >= said.windows > 100_000


def test_without_a_terminal_it_ends_by_itself_and_its_figures_are_true(home: Path) -> None:
    ended = subprocess.run(
        [*TIDEMILL, "--home", str(home), "demo"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "DEMO_EXIT": "1"},
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert "\x1b" not in ended.stdout, "a log has no colours"
    said = claims(ended.stdout)
    assert said.precision >= 80
    assert said.recall >= 50
    assert said.gib < 3
    assert processes_of(home) == []

    # the stores outlive the stack: only Postgres is started again
    up = [*TIDEMILL, "--home", str(home / "demo"), "up", "--only", "postgres"]
    subprocess.run(up, capture_output=True, timeout=240, check=True)
    try:
        check_stores(home / "demo", said)
    finally:
        subprocess.run([*TIDEMILL, "--home", str(home / "demo"), "down"], capture_output=True, timeout=240, check=True)


def test_on_a_terminal_it_stays_until_interrupted(home: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DEMO_EXIT"}
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        [*TIDEMILL, "--home", str(home), "demo"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**environment, "TERM": "xterm", "COLUMNS": "200"},
    )
    os.close(theirs)
    try:
        text = read_until(ours, "Ctrl-C stops everything.", demo, limit=LIMIT)
        said = claims(text)
        check_stores(home / "demo", said)
        address = re.search(r"pages +(http://\S+)", text)
        assert address
        assert psutil.pid_exists(demo.pid)
        os.killpg(demo.pid, signal.SIGINT)
        text += read_until(ours, "stopped after", demo, limit=240)
        assert demo.wait(timeout=120) == 0
        assert "Traceback" not in text
        assert processes_of(home) == []
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()
        os.close(ours)


def read_until(terminal: int, wanted: str, process: subprocess.Popen[bytes], *, limit: float) -> str:
    """What the terminal shows, without its control sequences, up to and with `wanted`."""
    text, deadline = "", time.monotonic() + limit
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        if ready:
            try:
                text += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break  # the other side is closed
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")
        if wanted in plain:
            return plain
    raise AssertionError(f"{wanted!r} was not shown within {limit} s (exit code {process.poll()}):\n{text[-4000:]}")


def test_a_failure_is_one_clear_line(tmp_path: Path) -> None:
    in_the_way = tmp_path / "a-file"
    in_the_way.write_text("")
    ended = subprocess.run(
        [*TIDEMILL, "--home", str(in_the_way), "demo"], capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode != 0
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert "a-file" in line
