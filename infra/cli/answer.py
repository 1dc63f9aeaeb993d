"""Commands that tell a state: a text for people by default; with `-o` or `--query` in every form that a script may ask.

`-o table` is the text for people, unless `--query` has made something else of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click

from infra.cli import output

Command = Callable[..., Any]


class Answer:
    """How the caller wants to have the answer."""

    def __init__(self, form: str | None, query: str | None) -> None:
        """Raises InvalidInput for a query that is no JMESPath, before the command does anything."""
        self._search = output.compiled(query)
        self._form = form or ("table" if query is None else "json")
        self._is_text = self._form == "table" and query is None

    def show(self, result: Any, for_people: Callable[[], Iterable[str]]) -> None:
        """Print `result` (mappings, lists, scalars; else its `str`) as asked for; `for_people` gives a text's lines."""
        if not self._is_text:
            # paths and times as text, as every form and every query can have them
            plain = json.loads(json.dumps(result, default=str))
            output.show(self._search(plain), self._form)
            return
        for line in for_people():
            print(line)


def answering(command: Command) -> Command:
    """Give a command `-o` and `--query`; it gets an `Answer` as its keyword `answer`."""

    @click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(output.FORMATS, case_sensitive=False),
        help="Form of the answer; default a table for people, and json with --query.",
    )
    @click.option("--query", metavar="JMESPATH", help="What of the answer is printed.")
    @wraps(command)
    def with_answer(*args: Any, form: str | None, query: str | None, **kwargs: Any) -> Any:
        return command(*args, answer=Answer(form, query), **kwargs)

    return with_answer
