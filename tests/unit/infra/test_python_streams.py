"""Files that declare streams in Python: sound ones are definitions like any other, others harm nobody."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import psutil
import pytest
from click.testing import CliRunner

from infra.cli.main import root as tidemill
from infra.python_streams import documents_in
from infra.settings import Settings
from infra.stream_definitions import StreamDefinitions, read, read_all
from ingestion.errors import InvalidInput

EXAMPLES = Path(__file__).parents[3] / "examples/streams"

HEAD = """
from datetime import timedelta
from ingestion.declaration import AggregateSpec, Stream, TumblingWindow

def small(name, **more):
    given = {"window": TumblingWindow(size=timedelta(seconds=10)),
             "aggregates": [AggregateSpec(column="count", function="count")]}
    return Stream(name=name, **(given | more))
"""


def a_file(folder: Path, text: str, head: str = HEAD) -> Path:
    path = folder / "given.py"
    path.write_text(head + dedent(text))
    return path


def names(file: Path) -> list[str]:
    return [one.definition.name for one in read_all(file, readings_topic="t")]


def test_the_example_is_two_streams_and_is_stored_as_yaml(tmp_path: Path) -> None:
    file = EXAMPLES / "quantities.py"
    definitions = StreamDefinitions(Settings(home=tmp_path / "home"))
    for one in definitions.read_all(file):
        assert definitions.store(one.definition, one.content)
        assert definitions.get(one.definition.name) == one.definition
    assert definitions.names() == ["power_by_minute", "vibration_by_minute"]
    assert definitions.path("power_by_minute").read_text().startswith("# declared in quantities.py\nname: power")
    assert definitions.chosen("power_by_minute", file) == definitions.read_all(file)[1]
    with pytest.raises(InvalidInput, match=r"declares 2 streams \(vibration_by_minute, power_by_minute\), and one"):
        read(file, readings_topic="t")


def test_values_lists_and_the_same_again_are_found_in_order(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'c'\n")
    file = a_file(
        tmp_path,
        """
        import sys
        from beside import NAME
        print("x" * 1_000_000)
        print("y" * 1_000_000, file=sys.stderr)
        a = small("a")
        again = a
        more = [small("b", topic="elsewhere"), 7], (small(NAME),)
        last = (small(NAME), a)
        """,
    )
    assert names(file) == ["a", "c"]
    assert read_all(file, readings_topic="t")[0].definition.topic == "t"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a = (", 9, "not Python: '(' was never closed"),
        ("a = 3", 1, "no stream is declared; assign one to a name"),
        ("a = 1\nb = a / 0", 10, "running it raised ZeroDivisionError: division by zero"),
        ("import no_such_module", 9, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys\nsys.exit(0)", 10, "the file ends its process"),
        ("raise KeyboardInterrupt", 9, "KeyboardInterrupt"),
        ("import os\nos._exit(7)", 1, "the process of the file ended with code 7 before it said"),
        ("import os\nos.kill(os.getpid(), 9)", 1, "ended with SIGKILL"),
        ("def f(): f()\nf()", 9, "RecursionError"),
        ("a = bytearray(1 << 40)", 9, "MemoryError"),
        ("a = Stream(name='a')", 9, "missing 2 required keyword-only arguments: 'window' and 'aggregates'"),
        ("a = small('a', aggregates=3)", 8, "stream 'a': 'int' object is not iterable"),
        ("a = small('a', filter=object())", 8, "is not JSON serializable"),
        ("a = small('a', derived={'x': float('nan')})", 8, "not JSON compliant"),
        ("a = small('A b')", 8, "name: found 'A b', wanted a name"),
        ("a, b = small('a'), small('a', description='other')\nc = [a, b]", 8, "an earlier stream is named 'a', too"),
    ],
)
def test_a_file_that_is_wrong_names_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    file = a_file(tmp_path, text)
    with pytest.raises(InvalidInput) as refused:
        names(file)
    assert str(refused.value).startswith(f"{file}:{line}: ")
    assert told in str(refused.value)


def test_what_is_wrong_with_a_key_names_the_line_of_the_key(tmp_path: Path) -> None:
    file = a_file(
        tmp_path,
        """
        a = Stream(
            name="a",
            filter="valeu > 3",
            window=TumblingWindow(size=timedelta(seconds=10)),
            derived={
                "twice": "value * 2",
                "half": "random()",
            },
            aggregates=[
                AggregateSpec(column="count", function="count"),
                AggregateSpec(column="odd", function="oddest"),
            ],
        )
        """,
        head=HEAD.lstrip(),
    )
    with pytest.raises(InvalidInput) as refused:
        names(file)
    found = {line.split(":")[1]: line for line in str(refused.value).splitlines()}
    at = {text: str(n) for n, text in enumerate((line.strip() for line in file.read_text().splitlines()), 1)}
    assert "filter" in found[at['filter="valeu > 3",']]
    assert "derived.half" in found[at['"half": "random()",']]
    assert "aggregates.odd.function" in found[at['AggregateSpec(column="odd", function="oddest"),']]


def test_a_file_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    file = a_file(
        tmp_path,
        f"""
        import signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        started = subprocess.Popen(["sleep", "600"])
        open({str(pid)!r}, "w").write(str(started.pid))
        while True:
            time.sleep(1)
        """,
    )
    began = time.monotonic()
    with pytest.raises(InvalidInput, match=r"given\.py:1: the file did not end within 4 s"):
        documents_in(file, limit=timedelta(seconds=4))
    assert time.monotonic() - began < 60
    if pid.exists():  # on a slow machine the limit was over before
        assert not psutil.pid_exists(int(pid.read_text())) or psutil.Process(int(pid.read_text())).status() == "zombie"


def test_threads_and_hooks_at_exit_are_not_waited_for(tmp_path: Path) -> None:
    file = a_file(
        tmp_path,
        """
        import atexit, threading, time
        threading.Thread(target=time.sleep, args=(600,)).start()
        atexit.register(time.sleep, 600)
        a = small("a")
        """,
    )
    assert names(file) == ["a"]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        documents_in(tmp_path / "none.py")
    (tmp_path / "big.py").write_bytes(b"#" * 1_000_001)
    with pytest.raises(InvalidInput, match="larger than 1000000 bytes"):
        documents_in(tmp_path / "big.py")
    (tmp_path / "bytes.py").write_bytes(b"a = '\xff'\n")
    with pytest.raises(InvalidInput, match=r"bytes\.py:1: not Python"):
        documents_in(tmp_path / "bytes.py")


def test_the_command_checks_and_creates(tmp_path: Path) -> None:
    file = a_file(tmp_path, "streams = [small('a'), small('b')]")
    home = {"TIDEMILL_HOME": str(tmp_path / "home")}
    checked = CliRunner().invoke(tidemill, ["stream", "check", str(file)], env=home)
    assert checked.exit_code == 0, checked.output
    assert [line.split(": ")[1].split(",")[0] for line in checked.output.splitlines()] == ["stream a", "stream b"]
    created = CliRunner().invoke(tidemill, ["stream", "create", "-f", str(file)], env=home)
    assert created.exit_code == 0, created.output
    assert sorted(path.name for path in (tmp_path / "home" / "streams").iterdir()) == ["a.yml", "b.yml"]
    wrong = a_file(tmp_path, "streams = [small('c'), small('d', table='a')]")
    refused = CliRunner().invoke(tidemill, ["stream", "create", "-f", str(wrong)], env=home)
    assert refused.exit_code != 0
    assert "table a is that of the stream a" in str(refused.exception)
    assert not (tmp_path / "home" / "streams" / "c.yml").exists(), "nothing is half done"
