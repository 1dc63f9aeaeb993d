"""A text for people by default, every form for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from infra.cli.answer import Answer, answering
from infra.cli.evaluate import evaluate
from infra.cli.load import load
from infra.cli.output import FORMATS
from infra.cli.stack import doctor, status
from infra.cli.stream import show_command
from infra.cli.topics import list_
from scoring.errors import InvalidInput

PARTS = [{"name": "kafka", "pid": 7, "log": Path("/k.log")}, {"name": "serve", "pid": None, "log": Path("/s.log")}]


@click.command()
@click.argument("names", nargs=-1)
@answering
def parts(names: tuple[str, ...], answer: Answer) -> None:
    """The parts."""
    print(f"looking {names}", file=click.get_text_stream("stderr"))
    answer.show(PARTS, lambda: (f"* {part['name']}" for part in PARTS))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(parts, arguments, catch_exceptions=False)


@pytest.mark.parametrize("arguments", [(), ("-o", "table"), ("--output", "TABLE")])
def test_people_get_their_text(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).stdout == "* kafka\n* serve\n"


@pytest.mark.parametrize(
    ("arguments", "read"),
    [(("-o", "json"), json.loads), (("-o", "jsonc"), json.loads), (("-o", "yaml"), yaml.safe_load)],
)
def test_scripts_get_the_whole_answer(arguments: tuple[str, ...], read: Callable[[str], object]) -> None:
    assert read(run(*arguments).stdout) == [{**part, "log": str(part["log"])} for part in PARTS]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--query", "[0].name"), '"kafka"\n'),
        (("--query", "[0].name", "-o", "tsv"), "kafka\n"),
        (("--query", "[].[name, log]", "-o", "tsv"), "kafka\t/k.log\nserve\t/s.log\n"),
        (("--query", "[].{part: name}", "-o", "table"), "Part\n-----\nkafka\nserve\n"),
        (("-o", "none"), ""),
    ],
)
def test_scripts_get_what_they_ask_for(arguments: tuple[str, ...], expected: str) -> None:
    assert run(*arguments).stdout == expected


def test_a_wrong_query_is_refused_before_anything_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidInput, match="no JMESPath"):
        run("--query", "]")
    assert "looking" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [status, doctor, load, show_command, list_, evaluate], ids=lambda c: c.name)
def test_every_command_that_tells_a_state_takes_them(command: click.Command) -> None:
    options = {option: parameter for parameter in command.params for option in parameter.opts}
    assert {"-o", "--output", "--query"} <= options.keys()
    assert isinstance(options["-o"].type, click.Choice)
    assert tuple(options["-o"].type.choices) == FORMATS
