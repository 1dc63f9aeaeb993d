"""`account`, `configure`, `group` and `workspace`: what scripts for az ask of their surroundings.

There is one subscription, one resource group and one workspace here. Names that a script sets are kept below the home
and given back; nothing else depends on them.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from infra.cli.command import Noun, Verb
from scoring.errors import InvalidInput

_DEFAULTS = {"subscription": "local", "group": "local", "workspace": "tidemill", "location": "local"}


@click.group(cls=Noun)
def account() -> None:
    """The surroundings that scripts for az ask for: subscription and access token."""


@account.command("set")
@click.option("-s", "-n", "--subscription", "--name", "chosen", required=True, help="Kept, and without effect.")
def set_(chosen: str) -> None:
    """Keep a subscription's name. Example: tidemill account set --subscription mine"""
    _keep({"subscription": chosen})


@account.command()
def show() -> Any:
    """Show the subscription. Example: tidemill account show --query id -o tsv"""
    name = _known()["subscription"]
    return {
        "environmentName": "tidemill",
        "id": name,
        "isDefault": True,
        "name": name,
        "state": "Enabled",
        "tenantId": "local",
        "user": {"name": os.environ.get("USER", "user"), "type": "user"},
    }


@account.command("get-access-token")
@click.option("--resource", "--scope", help="Taken, and without effect.")
def get_access_token(resource: str | None) -> Any:
    """Print this machine's token, for `Authorization: Bearer`; any text will do while the service wants none.

    Example: tidemill account get-access-token --resource https://ml.azure.com --query accessToken -o tsv
    """
    from infra.client.address import service_token, service_url

    later = datetime.now(UTC) + timedelta(days=1)
    return {
        "accessToken": service_token(service_url()) or "none-wanted",
        "expiresOn": later.strftime("%Y-%m-%d %H:%M:%S.000000"),
        "expires_on": int(later.timestamp()),
        "subscription": _known()["subscription"],
        "tenant": "local",
        "tokenType": "Bearer",
    }


@click.group(cls=Noun)
def group() -> None:
    """The resource group that scripts for az ask for."""


@group.command("show")
@click.option("-n", "--name", help="Its name; default the one that was configured.")
def show_group(name: str | None) -> Any:
    """Show the resource group. Example: tidemill group show --query name -o tsv"""
    chosen = name or _known()["group"]
    return {"id": f"/resourceGroups/{chosen}", "name": chosen, "location": "local", "tags": {}}


@click.group(cls=Noun)
def workspace() -> None:
    """The workspace that scripts for az ask for."""


@workspace.command("show")
@click.option("-n", "--name", help="Its name; default the one that was configured.")
def show_workspace(name: str | None) -> Any:
    """Show the workspace. Example: tidemill workspace show --query location -o tsv"""
    known = _known()
    chosen = name or known["workspace"]
    return {
        "id": f"/resourceGroups/{known['group']}/workspaces/{chosen}",
        "name": chosen,
        "display_name": chosen,
        "location": "local",
        "resource_group": known["group"],
        "tags": {},
    }


@click.command(cls=Verb)
@click.option("-d", "--defaults", multiple=True, metavar="NAME=VALUE", help="Keep names: group, workspace, location.")
@click.option("-l", "--list-defaults", is_flag=True, help="Show what is kept.")
def configure(defaults: tuple[str, ...], list_defaults: bool) -> Any:
    """Keep the names that scripts for az set. Example: tidemill configure --defaults group=g workspace=w"""
    given = {}
    for pair in defaults:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"found '{pair}', wanted NAME=VALUE", place="--defaults")
        given[name] = value
    if given:
        _keep(given)
    if not list_defaults:
        return None
    return [{"name": name, "source": "configure", "value": value} for name, value in sorted(_known().items())]


def _file() -> Path:
    return Path(os.environ.get("TIDEMILL_HOME") or ".tidemill").expanduser() / "az-defaults.json"


def _known() -> dict[str, str]:
    try:
        kept = json.loads(_file().read_text())
    except (OSError, ValueError):
        kept = {}
    return {**_DEFAULTS, **{k: str(v) for k, v in kept.items()}} if isinstance(kept, dict) else dict(_DEFAULTS)


def _keep(given: dict[str, str]) -> None:
    kept = {**{k: v for k, v in _known().items() if v != _DEFAULTS.get(k)}, **given}
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror}", place=str(_file())) from None
