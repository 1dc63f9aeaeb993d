"""What every Azure-like command takes: shortened options, several values, accepted globals, results and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from infra.cli.command import (
    Changes,
    Noun,
    body,
    confirm,
    generic_update,
    placed,
    set_option,
    tags_of,
    warn,
    written,
    yes_option,
)
from infra.cli.failures import NotConfirmed, exit_code_of
from scoring.errors import Conflict, InvalidInput, NotFound, TryAgain
from scoring.specs.compute import ComputeSpec
from scoring.specs.document import Document
from scoring.specs.validation import parse


@click.group(cls=Noun)
def thing() -> None:
    """A noun."""


@thing.command()
@click.option("-n", "--name")
@click.option("-e", "--endpoint-name")
@click.option("-f", "--file")
@click.option("--min-instances")
@click.option("--max-instances")
@click.option("--set-default", is_flag=True)
@click.option("--tags", multiple=True)
@set_option
def make(sets: tuple[str, ...], tags: tuple[str, ...], **options: Any) -> Any:
    return {**options, "sets": list(sets), "tags": tags_of(tags)}


@thing.command()
@yes_option
def drop(yes: bool) -> None:
    confirm("thing x", yes)


@thing.command()
def empty() -> Any:
    warn("nothing is here")
    return []


@thing.command()
@generic_update
def update(changes: Changes) -> Any:
    return changes.applied(Document(value={"name": "x", "tags": {"a": "1"}, "list": [1, 2]})).value


@thing.command()
def create() -> Any:
    return {"name": "x"}


def run(*args: str) -> Any:
    """The result of `make` as a dict."""
    result = CliRunner().invoke(thing, ["make", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_long_options_may_be_shortened() -> None:
    made = run("--endpoint", "e", "--f", "x.yml", "--na=n", "--max", "3")
    assert (made["endpoint_name"], made["file"], made["name"], made["max_instances"]) == ("e", "x.yml", "n", "3")


def test_an_exact_option_beats_those_that_it_begins() -> None:
    made = run("--set", "a=1", "--set-default", "--set-d")
    assert made["sets"] == ["a=1"]
    assert made["set_default"] is True


def test_an_ambiguous_option_is_refused_with_the_candidates() -> None:
    result = CliRunner().invoke(thing, ["make", "--m", "3"])
    assert result.exit_code == 2
    assert "--m is ambiguous: it may be --max-instances, --min-instances" in result.stderr
    assert result.stdout == ""


def test_an_unknown_option_is_refused() -> None:
    result = CliRunner().invoke(thing, ["make", "--nmae", "3"])
    assert result.exit_code == 2
    assert "--nmae" in result.stderr


def test_set_and_tags_take_several_values() -> None:
    made = run("--set", "a.b=1", "c=2", "--tags", "x=1", "y=2", "--set", "d=3", "-n", "n")
    assert made["sets"] == ["a.b=1", "c=2", "d=3"]
    assert made["tags"] == {"x": "1", "y": "2"}
    assert made["name"] == "n"


def test_globals_of_scripts_for_azure_are_accepted() -> None:
    made = run("-g", "rg", "-w", "ws", "--subscription", "s", "--only-show-errors", "--verbose", "-n", "x")
    assert made["name"] == "x"
    assert run("--resource-group", "rg", "--workspace-name", "ws", "-n", "y")["name"] == "y"

    assert run("--acquire-policy-token", "--change-reference", "r", "-n=z")["name"] == "z"


def test_updates_are_made_in_the_order_of_the_command_line() -> None:
    words = "--remove tags.a --set tags.b=1 list[0]=7 --add list x=1 y=2 3 --set tags.b=2 --add tags c=3"
    result = CliRunner().invoke(thing, ["update", *words.split()], catch_exceptions=False)
    assert json.loads(result.stdout) == {"name": "x", "tags": {"b": 2, "c": 3}, "list": [7, 2, {"x": 1, "y": 2}, 3]}
    forced = CliRunner().invoke(thing, ["update", "--set", "tags.b=1", "--force-string"], catch_exceptions=False)
    assert json.loads(forced.stdout)["tags"] == {"a": "1", "b": "1"}


def test_warnings_go_to_stderr_and_can_be_left_out() -> None:
    result = CliRunner().invoke(thing, ["empty"])
    assert (result.stdout, result.stderr) == ("[]\n", "warning: nothing is here\n")
    assert CliRunner().invoke(thing, ["empty", "--only-show-errors"]).stderr == ""


def test_no_wait_prints_nothing_and_is_only_where_there_is_something_to_wait_for() -> None:
    result = CliRunner().invoke(thing, ["create", "--no-wait"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "accepted" in result.stderr
    assert CliRunner().invoke(thing, ["empty", "--no-wait"]).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), 2),
        (click.UsageError("x"), 2),
        (NotFound("x"), 3),
        (Conflict("x"), 1),
        (TryAgain("x"), 1),
        (NotConfirmed("x"), 1),
        (RuntimeError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(error) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1


def test_query_and_output() -> None:
    result = CliRunner().invoke(thing, ["make", "-n", "abc", "--query", "name", "-o", "tsv"])
    assert (result.exit_code, result.stdout) == (0, "abc\n")
    assert CliRunner().invoke(thing, ["empty"]).stdout == "[]\n"
    assert CliRunner().invoke(thing, ["empty", "-o", "xml"]).exit_code == 2
    assert CliRunner().invoke(thing, ["empty", "-o", "JSON"]).stdout == "[]\n"


def test_short_help() -> None:
    result = CliRunner().invoke(thing, ["make", "-h"])
    assert result.exit_code == 0
    assert "--endpoint-name" in result.stdout


def test_deleting_without_a_terminal_needs_yes() -> None:
    with pytest.raises(InvalidInput, match="--yes"):
        CliRunner().invoke(thing, ["drop"], catch_exceptions=False)
    assert CliRunner().invoke(thing, ["drop", "-y"]).exit_code == 0


def test_options_beat_the_file_and_set_beats_both(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("name: from-file\nmin_instances: 1\nmax_instances: 2\n")
    document = written(str(file), ["max_instances=9"], name="from-option", max_instances="5", description=None)
    spec = parse(ComputeSpec, document)
    assert (spec.name, spec.min_instances, spec.max_instances) == ("from-option", 1, 9)
    with pytest.raises(InvalidInput, match=r"^--max-instances: max_instances: found 'x'"):
        parse(ComputeSpec, written(str(file), [], max_instances="x"))


def test_what_the_service_refuses_is_given_its_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("name: x\ncode_configuration:\n  code: a\n  scoring_script: b.py\n")
    document = written(str(file), [])
    expected = r"c\.yml:4: code_configuration\.scoring_script: there is no file"
    with pytest.raises(InvalidInput, match=expected), placed(document):
        raise InvalidInput("there is no file b.py", place="code_configuration.scoring_script")
    with pytest.raises(InvalidInput, match=r"^elsewhere: no"), placed(document):
        raise InvalidInput("no", place="elsewhere")


def test_keys_without_effect_are_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    spec = parse(ComputeSpec, written(None, [], name="cpu", location="westeurope"))
    assert body(spec)["name"] == "cpu"
    captured = capsys.readouterr()
    assert captured.err == "warning: location has no effect on this machine\n"
    assert captured.out == ""


def test_tags_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(InvalidInput, match="--tags: found 'x', wanted NAME=VALUE"):
        tags_of(["a=1 x"])
