"""The verbs that models, data, environments and components share: show, list, update, archive, restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from infra.cli.command import Changes, Noun, connected, generic_update, name_option, note
from scoring.errors import InvalidInput

if TYPE_CHECKING:
    from infra.client import TidemillClient
    from infra.client.assets import AssetsClient

version_option = click.option("-v", "--version", help="Its version.")
label_option = click.option("-l", "--label", help="In place of a version; only latest.")


def add_asset_verbs(
    noun: Noun,
    of: Callable[[TidemillClient], AssetsClient],
    *,
    has_stage: bool = False,
    has_display_name: bool = False,
) -> None:
    """Give a noun its verbs; `of` takes the noun's part of the client."""
    _add_show(noun, of)
    _add_list(noun, of, has_stage=has_stage)
    _add_update(noun, of, has_stage=has_stage, has_display_name=has_display_name)
    _add_archive(noun, of)


def chosen_version(version: str | None, label: str | None) -> str:
    """The version that was asked for; the latest where nothing was. Raises InvalidInput."""
    if label is not None and label.lower() != "latest":
        raise InvalidInput(f"found '{label}'; the only label is latest", place="--label")
    if version is not None and label is not None:
        raise InvalidInput("a version and a label are both given; give one of them", place="--label")
    return version or "latest"


def _add_show(noun: Noun, of: Callable[[TidemillClient], AssetsClient]) -> None:
    @noun.command(help=f"Show a version.\n\nExample: tidemill {noun.name} show -n pumps -v 1")
    @name_option
    @version_option
    @label_option
    def show(name: str, version: str | None, label: str | None) -> Any:
        with connected() as client:
            return of(client).show(name, chosen_version(version, label))


def _add_list(noun: Noun, of: Callable[[TidemillClient], AssetsClient], *, has_stage: bool) -> None:
    @click.option("-n", "--name", help="List all versions of this one.")
    @click.option("-r", "--max-results", type=click.IntRange(min=0), help="At most so many.")
    @click.option("--archived-only", is_flag=True, help="Only what is archived.")
    @click.option("--include-archived", is_flag=True, help="What is archived, too.")
    def list_(name: str | None, max_results: int | None, stage: str | None = None, **archived: bool) -> Any:
        with connected() as client:
            return of(client).list(name, max_results=max_results, stage=stage, **archived)

    if has_stage:
        list_ = click.option("-s", "--stage", help="Only those of this stage.")(list_)
    text = f"List the latest versions, or all of one name.\n\nExample: tidemill {noun.name} list -n pumps -o table"
    noun.command("list", help=text)(list_)


def _add_update(
    noun: Noun, of: Callable[[TidemillClient], AssetsClient], *, has_stage: bool, has_display_name: bool
) -> None:
    @name_option
    @version_option
    @label_option
    @click.option("--description", help="What it is, for people.")
    @generic_update
    def update(
        name: str,
        version: str | None,
        label: str | None,
        changes: Changes,
        description: str | None,
        stage: str | None = None,
        display_name: str | None = None,
    ) -> Any:
        from scoring.specs.document import Document

        with connected() as client:
            shown = of(client).show(name, chosen_version(version, label))
            document = changes.applied(Document(value=shown))
            for key, value in (("description", description), ("stage", stage), ("display_name", display_name)):
                if value is not None:
                    document = document.with_value((key,), value, origin=f"--{key.replace('_', '-')}")
            return of(client).update(name, shown["version"], document.value)

    if has_stage:
        update = click.option("-s", "--stage", help="Its stage in your own process, such as Production.")(update)
    if has_display_name:
        update = click.option("--display-name", help="Its name for people.")(update)
    text = (
        "Change what is said about a version; what it holds never changes.\n\n"
        f"Example: tidemill {noun.name} update -n pumps -v 1 --set description=checked tags.owner=ops"
    )
    noun.command("update", help=text)(update)


def _add_archive(noun: Noun, of: Callable[[TidemillClient], AssetsClient]) -> None:
    @noun.command(
        help="Hide a version, or all of a name, from lists and from @latest; it can still be used by its version.\n\n"
        f"Example: tidemill {noun.name} archive -n pumps -v 1"
    )
    @name_option
    @version_option
    @label_option
    def archive(name: str, version: str | None, label: str | None) -> None:
        with connected() as client:
            of(client).archive(name, _one(of(client), name, version, label))
            note(f"archived {name}" + (f" version {version}" if version else ""))

    @noun.command(help=f"Show again what was archived.\n\nExample: tidemill {noun.name} restore -n pumps -v 1")
    @name_option
    @version_option
    @label_option
    def restore(name: str, version: str | None, label: str | None) -> None:
        with connected() as client:
            of(client).restore(name, _one(of(client), name, version, label))


def _one(client: AssetsClient, name: str, version: str | None, label: str | None) -> str | None:
    """The version that a label stands for; None is all of the name."""
    if label is None:
        return version
    return str(client.show(name, chosen_version(version, label))["version"])
