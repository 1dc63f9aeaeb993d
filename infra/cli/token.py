"""`tidemill token`: who may speak to the service."""

from __future__ import annotations

from typing import Any

import click

from infra.cli.command import Noun, confirm, connected, note, yes_option


@click.group(cls=Noun)
def token() -> None:
    """Access tokens. Without any the service answers everybody who reaches it; from the first one on it wants one."""


@token.command()
@click.option("-n", "--name", default="default", show_default=True, help="By which it can be revoked.")
@click.option("--no-save", is_flag=True, help="Do not keep it for this machine's own commands.")
def create(name: str, no_save: bool) -> Any:
    """Make a token, and print it this once. The state directory keeps the first one, for this machine's own commands.

    Elsewhere set TIDEMILL_TOKEN. Example: tidemill token create -n scripts --query token -o tsv
    """
    from infra.client.address import keep_token, service_url, token_file

    with connected() as client:
        made = client.tokens.create(name)
    if no_save or token_file().exists():
        note(f"to use it: export TIDEMILL_TOKEN=… (the service at {service_url()} wants a token from now on)")
    else:
        note(f"kept in {keep_token(made['token'])} for this machine's own commands; elsewhere set TIDEMILL_TOKEN")
    return made


@token.command("list")
def list_() -> Any:
    """List the tokens' names. Example: tidemill token list -o table"""
    with connected() as client:
        return client.tokens.list()


@token.command()
@click.option("-n", "--name", required=True, help="Its name.")
@yes_option
def revoke(name: str, yes: bool) -> None:
    """Make a token useless, at once. With the last one gone the service is open again.

    Example: tidemill token revoke -n scripts --yes
    """
    confirm(f"token {name}", yes)
    with connected() as client:
        client.tokens.revoke(name)
        if not _any_left(client):
            note("that was the last token: the service answers everybody who reaches it again")


def _any_left(client: Any) -> bool:
    from infra.client.connection import NotAllowed

    try:
        return bool(client.tokens.list())
    except NotAllowed:
        return True  # it was this machine's own
