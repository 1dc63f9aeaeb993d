"""`tidemill stream`: what it says of definitions without any stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from infra.cli.main import root
from ingestion.errors import InvalidInput
from storage.lake.creation import opened
from storage.lake.stream_tables import StreamTables
from tests.streams import SMALL, a_definition


def invoked(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(root, ["--home", str(home), "stream", *arguments])


@pytest.fixture(autouse=True)
def _no_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # `--home` is told to children through the environment
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TIDEMILL_KAFKA_BOOTSTRAP", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def a_file(folder: Path, file: str = "s.yml", /, **changes: Any) -> str:
    path = folder / file
    path.write_text(yaml.safe_dump(SMALL | changes, sort_keys=False))
    return str(path)


def test_check_tells_the_columns_of_what_is_sound(home: Path, tmp_path: Path) -> None:
    done = invoked(home, "check", a_file(tmp_path))
    assert done.exit_code == 0
    assert "s.yml: stream small, table small, columns machine_id, sensor_id, window_start, window_end" in done.stdout


def test_check_tells_what_is_sound_as_data_beside_what_is_wrong(home: Path, tmp_path: Path) -> None:
    sound, wrong = a_file(tmp_path), a_file(tmp_path, "wrong.yml", tabel="small")
    done = invoked(home, "check", sound, wrong, "-o", "json")
    assert done.exit_code == 2
    assert "tabel: unknown key" in done.stderr
    (first,) = json.loads(done.stdout)
    assert (first["file"], first["name"], first["table"]) == (sound, "small", "small")
    assert first["columns"][:2] == ["machine_id", "sensor_id"]
    assert invoked(home, "check", sound, "--query", "[].name", "-o", "tsv").stdout == "small\n"


def test_create_and_reset_tell_what_they_did_as_data(home: Path, tmp_path: Path) -> None:
    file = a_file(tmp_path, description="mine")
    row = {"name": "small", "state": "stopped", "topic": "sensor-readings", "table": "small", "description": "mine"}
    created = invoked(home, "create", "-f", file, "-o", "json")
    assert (created.exit_code, json.loads(created.stdout)) == (0, [row]), created.output
    assert invoked(home, "create", "-f", file).stdout == ""
    assert yaml.safe_load(invoked(home, "create", "-f", file, "-o", "yaml").stdout) == [row]
    again = invoked(home, "reset", "small", "--yes", "-o", "json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, row | {"deleted": []}), again.output


def test_a_wrong_query_is_refused_before_anything_is_stored(home: Path, tmp_path: Path) -> None:
    done = invoked(home, "create", "-f", a_file(tmp_path), "--query", "[")
    assert done.exit_code != 0
    assert not (home / "streams" / "small.yml").exists()


def test_check_tells_all_that_is_wrong_in_all_files(home: Path, tmp_path: Path) -> None:
    first = a_file(tmp_path, "a.yml", name="A", filter="now() > event_time")
    second = a_file(tmp_path, "b.yml", aggregates={"count": "cont"})
    torn = tmp_path / "c.yml"
    torn.write_text("name: x\nname: y\n")
    done = invoked(home, "check", first, second, str(torn), str(tmp_path / "d.yml"))
    assert done.exit_code == 2
    told = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in told] == [
        f"{first}:1",
        f"{first}:8",
        f"{second}:6",
        f"{torn}:2",
        str(tmp_path / "d.yml"),
    ]
    assert "the key is given twice" in done.stderr
    assert "no such file" in done.stderr


def test_check_finds_two_files_of_one_name(home: Path, tmp_path: Path) -> None:
    done = invoked(home, "check", a_file(tmp_path, "a.yml"), a_file(tmp_path, "b.yml"))
    assert done.exit_code == 2
    assert "stream small is that of" in done.stderr
    assert "table small is that of" in done.stderr


def test_create_list_show_and_delete_without_a_stack(home: Path, tmp_path: Path) -> None:
    created = invoked(home, "create", "-f", a_file(tmp_path, description="mine"))
    assert (created.exit_code, created.exception) == (0, None), created.output
    assert "no stack runs" in created.stderr
    assert (home / "streams" / "small.yml").exists()
    listed = json.loads(invoked(home, "list", "-o", "json").stdout)
    assert [row["name"] for row in listed] == ["windows", "small"]
    assert listed[1] | {"description": "mine", "state": "stopped", "rows": 0, "lag": None} == listed[1]
    assert invoked(home, "list").stdout.splitlines()[2].startswith("small ")
    assert "nothing has been committed yet" in invoked(home, "show", "small").stderr
    assert isinstance(invoked(home, "delete", "small").exception, Exception), "off a terminal it asks for --yes"
    assert (home / "streams" / "small.yml").exists()
    assert invoked(home, "delete", "small", "--yes").exit_code == 0
    assert not (home / "streams" / "small.yml").exists()
    missing = invoked(home, "show", "small")
    assert isinstance(missing.exception, InvalidInput)


def test_a_table_of_other_columns_is_refused_and_nothing_is_stored(home: Path, tmp_path: Path) -> None:
    opened(home / "lake", StreamTables.of(a_definition(key=["machine_id"])).windows)
    done = invoked(home, "create", "-f", a_file(tmp_path))
    assert isinstance(done.exception, InvalidInput)
    assert "a table small with other columns: sensor_id is missing" in str(done.exception)
    assert not (home / "streams").exists()


def test_reset_deletes_rows_and_begins_with_the_changed_definition(home: Path, tmp_path: Path) -> None:
    assert invoked(home, "create", "-f", a_file(tmp_path)).exit_code == 0
    opened(home / "lake", StreamTables.of(a_definition()).windows)
    changed = a_file(tmp_path, "changed.yml", key=["machine_id"])
    refused = invoked(home, "create", "-f", changed)
    assert "tidemill stream reset small" in str(refused.exception)
    done = invoked(home, "reset", "small", "-f", changed, "--yes")
    assert done.exit_code == 0, done.exception
    assert "deleted: small" in done.stderr
    assert not (home / "lake" / "small").exists()
    assert (home / "streams" / "small.yml").read_text() == Path(changed).read_text()
    wrong = invoked(home, "reset", "other", "-f", changed, "--yes")
    assert "found 'small', and other is to be reset" in str(wrong.exception)


def test_a_list_shows_what_is_wrong_with_a_file(home: Path) -> None:
    (home / "streams").mkdir(parents=True)
    (home / "streams" / "bad.yml").write_text("name: bad\n")
    done = invoked(home, "list")
    assert done.exit_code == 0, done.exception
    assert "bad.yml:1: window: found nothing" in done.stdout
