"""The base of the commands that speak Azure's dialect: nouns (`Noun`), their verbs (`Verb`), and what every verb takes.

A verb returns its result; `-o` and `--query` print it here, on stdout, and everything else goes to stderr. Long options
may be shortened as long as they stay unambiguous (`--f` is `--file`), and `--set` and `--tags` take several values, as
scripts for az rely on both.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.parser import _OptionParser, _ParsingState

from infra.cli import output
from scoring.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.client import TidemillClient
    from scoring.specs.document import Document
    from scoring.specs.validation import Spec

_SEVERAL = ("--set", "--tags", "--defaults")

_FIELD = re.compile(r"[a-z_]+(\.[a-z_]+)*")

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

F = TypeVar("F", bound=Callable[..., Any])


class _PrefixParser(_OptionParser):
    def _match_long_opt(self, opt: str, explicit_value: str | None, state: _ParsingState) -> None:
        super()._match_long_opt(self.full(opt), explicit_value, state)

    def full(self, opt: str) -> str:
        """The long option that `opt` begins. Raises UsageError where several do; itself where none does."""
        if opt in self._long_opt or not opt.startswith("--") or len(opt) < 3:
            return opt
        found = [name for name in self._long_opt if name.startswith(opt)]
        if len({id(self._long_opt[name].obj) for name in found}) > 1:
            raise click.UsageError(f"{opt} is ambiguous: it may be {', '.join(sorted(found))}", self.ctx)
        return found[0] if found else opt


def _globals() -> list[click.Parameter]:
    return [
        click.Option(
            ["-o", "--output", "output_format"],
            type=click.Choice(output.FORMATS),
            default="json",
            help="Output format; default json.",
        ),
        click.Option(["--query"], metavar="JMESPATH", help="What of the result is printed."),
        click.Option(["--debug"], is_flag=True, help="Show the traceback of a failure."),
        # one machine has one workspace; scripts name it nevertheless
        click.Option(["-g", "--resource-group"], hidden=True),
        click.Option(["-w", "--workspace-name"], hidden=True),
        click.Option(["--subscription"], hidden=True),
        click.Option(["--verbose"], is_flag=True, hidden=True),
        click.Option(["--only-show-errors"], is_flag=True, hidden=True),
        click.Option(["--no-wait"], is_flag=True, hidden=True),
    ]


_GLOBAL_NAMES = ("resource_group", "workspace_name", "subscription", "verbose", "only_show_errors", "no_wait")


class Verb(click.Command):
    """A command whose return value is its result."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**_HELP, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)
        taken = {option for parameter in self.params for option in parameter.opts}
        self.params += [g for g in _globals() if not taken.intersection(g.opts)]

    def make_parser(self, ctx: click.Context) -> _OptionParser:
        parser = _PrefixParser(ctx)
        for parameter in self.get_params(ctx):
            parameter.add_to_parser(parser, ctx)
        return parser

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        parser = self.make_parser(ctx)
        assert isinstance(parser, _PrefixParser)
        return super().parse_args(ctx, list(_repeated(parser, args)))

    def invoke(self, ctx: click.Context) -> None:
        form, query = ctx.params.pop("output_format"), ctx.params.pop("query")
        if ctx.params.pop("debug"):
            os.environ["TIDEMILL_DEBUG"] = "1"
        for name in _GLOBAL_NAMES:
            ctx.params.pop(name, None)
        search = output.compiled(query)
        result = super().invoke(ctx)
        output.show(None if result is None else search(result), form)


class Noun(click.Group):
    """A group of verbs, such as `batch-endpoint`."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**_HELP, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)


def _repeated(parser: _PrefixParser, args: list[str]) -> Iterator[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`."""
    option = None
    for position, arg in enumerate(args):
        if arg == "--":
            yield from args[position:]
            return
        if arg.startswith("-"):
            full = parser.full(arg) if arg.startswith("--") and "=" not in arg else arg
            option = full if full in _SEVERAL else None
            first = True
        elif option is not None:
            if not first:
                yield option
            first = False
        yield arg


name_option = click.option("-n", "--name", required=True, help="Its name.")
endpoint_option = click.option("-e", "--endpoint-name", required=True, help="The endpoint's name.")
file_option = click.option("-f", "--file", type=click.Path(), metavar="FILE", help="YAML file that describes it.")
set_option = click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Set a field, e.g. --set settings.mini_batch_size=5."
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def confirm(what: str, yes: bool) -> None:
    """Ask before deleting, on a terminal. Raises InvalidInput off one: a script must say --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"deleting {what} is not asked for without a terminal; give --yes (-y)", place="--yes")
    click.confirm(f"Delete {what}?", abort=True, err=True)


def note(message: str) -> None:
    """A line for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def connected() -> Iterator[TidemillClient]:
    """A client of the stack's service."""
    from infra.client import TidemillClient
    from infra.client.address import service_url

    with TidemillClient(service_url(), timeout_seconds=600) as client:
        yield client


def written(file: str | None, sets: Iterable[str], **options: Any) -> Document:
    """The document that a command was given: the file, then options (they win), then `--set`.

    An option's name is the field's path with `__` for dots; one that was not given is None and changes nothing.
    """
    from pathlib import Path

    from scoring.specs.document import empty_document, read_document

    document = read_document(file) if file is not None else empty_document(Path.cwd())
    for name, value in options.items():
        if value is not None and value != ():
            path = tuple(name.split("__"))
            document = document.with_value(path, value, origin=f"--{path[-1].replace('_', '-')}")
    return document.with_settings(list(sets))


@contextmanager
def placed(document: Document) -> Iterator[None]:
    """What the service refuses names a field; say in which line of the user's file that is."""
    try:
        yield
    except InvalidInput as error:
        place = error.place or ""
        path = tuple(place.split(".")) if _FIELD.fullmatch(place) else ()
        if not path or document.file is None or path[0] not in document.value:
            raise
        raise document.refusal(path, str(error).removeprefix(f"{place}: ")) from None


def body(spec: Spec) -> dict[str, Any]:
    """A spec as the body of a request; says on stderr which of its keys have no effect."""
    from scoring.specs.validation import without_effect

    for name in without_effect(spec):
        note(f"warning: {name} has no effect on this machine")
    return spec.model_dump(mode="json", exclude_none=True)


def tags_of(given: Iterable[str]) -> dict[str, str] | None:
    """`--tags a=1 b=2` as a mapping; None where none was given."""
    found: dict[str, str] = {}
    for pair in given:
        for part in pair.split():
            key, equals, value = part.partition("=")
            if not equals or not key:
                raise InvalidInput(f"found '{part}', wanted NAME=VALUE", place="--tags")
            found[key] = value
    return found or None
