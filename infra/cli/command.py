"""The base of the commands that speak Azure's dialect: nouns (`Noun`), their verbs (`Verb`), and what every verb takes.

A verb returns its result; `-o` and `--query` print it here, on stdout, and everything else goes to stderr. Long options
may be shortened as long as they stay unambiguous (`--f` is `--file`), and an option that may be given several times
takes several values at once (`--set a=1 b=2`), as scripts for az rely on both. `generic_update` gives a verb `--set`,
`--add`, `--remove` and `--force-string`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.parser import _OptionParser, _ParsingState

from infra.cli import output
from infra.cli.failures import NotConfirmed
from scoring.errors import InvalidInput

if TYPE_CHECKING:
    from infra.client import TidemillClient
    from scoring.specs.document import Document
    from scoring.specs.validation import Spec

_FIELD = re.compile(r"[a-z_]+(\.[\w-]+)*")

_GENERIC = ("--set", "--add", "--remove")
_CHANGES, _ERRORS_ONLY = "tidemill.changes", "tidemill.only_show_errors"

_WITH_NO_WAIT = ("create", "update", "delete", "cancel", "start", "stop", "restart")

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


def _globals(verb: str) -> list[click.Parameter]:
    no_wait = [click.Option(["--no-wait"], is_flag=True, help="Do not wait for the end, and print nothing.")]
    return [
        *(no_wait if verb in _WITH_NO_WAIT else ()),
        click.Option(
            ["-o", "--output", "output_format"],
            type=click.Choice(output.FORMATS, case_sensitive=False),
            default="json",
            help="Output format; default json.",
        ),
        click.Option(["--query"], metavar="JMESPATH", help="What of the result is printed."),
        click.Option(["--debug"], is_flag=True, help="Show the traceback of a failure."),
        # one machine has one workspace; scripts name it nevertheless
        click.Option(["-g", "--resource-group"], hidden=True),
        click.Option(["-w", "--workspace-name"], hidden=True),
        click.Option(["--subscription"], hidden=True),
        click.Option(["--registry-name"], hidden=True),
        click.Option(["--verbose"], is_flag=True, hidden=True),
        click.Option(["--only-show-errors"], is_flag=True, help="No warnings on stderr."),
        click.Option(["--acquire-policy-token"], is_flag=True, hidden=True),
        click.Option(["--change-reference"], hidden=True),
    ]


_NO_EFFECT = (
    "resource_group",
    "workspace_name",
    "subscription",
    "registry_name",
    "verbose",
    "acquire_policy_token",
    "change_reference",
)


class Verb(click.Command):
    """A command whose return value is its result."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**_HELP, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)
        taken = {option for parameter in self.params for option in parameter.opts}
        self.params += [g for g in _globals(self.name or "") if not taken.intersection(g.opts)]

    def make_parser(self, ctx: click.Context) -> _OptionParser:
        parser = _PrefixParser(ctx)
        for parameter in self.get_params(ctx):
            parameter.add_to_parser(parser, ctx)
        return parser

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        parser = self.make_parser(ctx)
        assert isinstance(parser, _PrefixParser)
        several = {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option) and parameter.multiple
            for name in parameter.opts
        }
        groups = list(_groups(parser, several, args))
        ctx.meta[_CHANGES] = [(group.option[2:], group.values) for group in groups if group.option in _GENERIC]
        return super().parse_args(ctx, [word for group in groups for word in group.words()])

    def invoke(self, ctx: click.Context) -> None:
        form, query = ctx.params.pop("output_format"), ctx.params.pop("query")
        if ctx.params.pop("debug"):
            os.environ["TIDEMILL_DEBUG"] = "1"
        ctx.meta[_ERRORS_ONLY] = ctx.params.pop("only_show_errors")
        no_wait = ctx.params.pop("no_wait", False)
        for name in _NO_EFFECT:
            ctx.params.pop(name, None)
        search = output.compiled(query)
        result = super().invoke(ctx)
        if no_wait:
            warn(f"the request was accepted; `{ctx.command_path.rpartition(' ')[0]} show` tells its state")
            return
        output.show(None if result is None else search(result), form)


class Noun(click.Group):
    """A group of verbs, such as `batch-endpoint`."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**_HELP, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)


@dataclass(frozen=True, kw_only=True)
class _Group:
    """One word of the command line, or an option that takes several values with all that followed it."""

    word: str
    option: str | None = None
    values: tuple[str, ...] = ()

    def words(self) -> Iterator[str]:
        """As click takes it: `--set a=1 --set b=2`."""
        if self.option is None or not self.values:
            yield self.word
            return
        for value in self.values:
            yield self.option
            yield value


def _groups(parser: _PrefixParser, several: set[str], args: list[str]) -> Iterator[_Group]:
    position = 0
    while position < len(args):
        word = args[position]
        position += 1
        if word == "--":
            yield from (_Group(word=rest) for rest in args[position - 1 :])
            return
        name, equals, value = word.partition("=")
        full = parser.full(name) if name.startswith("--") else name
        if full not in several:
            # argparse takes -n=x as -n x
            yield _Group(word=f"{name}{value}" if equals and re.fullmatch("-[a-zA-Z]", name) and value else word)
            continue
        values = [value] if equals else []
        while position < len(args) and (not args[position].startswith("-") or _is_number(args[position])):
            values.append(args[position])
            position += 1
        yield _Group(word=full, option=full, values=tuple(values))


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-\d+(\.\d+)?", word) is not None


name_option = click.option("-n", "--name", required=True, help="Its name.")
endpoint_option = click.option("-e", "--endpoint-name", required=True, help="The endpoint's name.")
file_option = click.option("-f", "--file", type=click.Path(), metavar="FILE", help="YAML file that describes it.")
set_option = click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Set a field, e.g. --set settings.mini_batch_size=5."
)
_generic_options = (
    click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Set fields; e.g. --set tags.owner=ops."),
    click.option("--add", "adds", multiple=True, metavar="PATH VALUE", help="Add to a list or mapping."),
    click.option("--remove", "removes", multiple=True, metavar="PATH [INDEX]", help="Remove a field or an element."),
    click.option("--force-string", is_flag=True, help="Keep the values of --set and --add as text."),
)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What `--set`, `--add` and `--remove` ask for, in the order of the command line."""

    asked: tuple[tuple[str, tuple[str, ...]], ...]
    force_string: bool = False

    def without_prefix(self, prefix: str) -> Changes:
        """The same changes with `prefix` taken off the paths that begin with it."""
        return replace(
            self,
            asked=tuple(
                (kind, tuple(v.removeprefix(prefix) if kind == "set" or not n else v for n, v in enumerate(values)))
                for kind, values in self.asked
            ),
        )

    def applied(self, document: Document) -> Document:
        """The document as it is to be stored. Raises InvalidInput for a change that cannot be made."""
        from scoring.specs.changes import Change, changed

        made = [Change(kind=kind, values=values) for kind, values in self.asked]  # type: ignore[arg-type]
        return changed(document, made, force_string=self.force_string)


def generic_update(function: F) -> F:
    """Gives an update verb `--set/--add/--remove/--force-string`; the function gets them as `changes: Changes`."""

    @wraps(function)
    def with_changes(*args: Any, sets: object, adds: object, removes: object, force_string: bool, **kwargs: Any) -> Any:
        # click keeps no order across options, so the command line's own is read
        asked = tuple(click.get_current_context().meta[_CHANGES])
        return function(*args, changes=Changes(asked=asked, force_string=force_string), **kwargs)

    decorated: Any = with_changes
    for option in reversed(_generic_options):
        decorated = option(decorated)
    return cast("F", decorated)


yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def confirm(what: str, yes: bool) -> None:
    """Ask before deleting, on a terminal.

    Raises InvalidInput off one: a script must say --yes; NotConfirmed when the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"deleting {what} is not asked for without a terminal; give --yes (-y)", place="--yes")
    if not click.confirm(f"Delete {what}?", err=True):
        raise NotConfirmed(f"{what} was not deleted")


def note(message: str) -> None:
    """A line for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """As `note`, for what may be left out: `--only-show-errors` does."""
    context = click.get_current_context(silent=True)
    if context is None or not context.meta.get(_ERRORS_ONLY):
        note(f"warning: {message}")


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
        warn(f"{name} has no effect on this machine")
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
