"""`tidemill migrate`: bring the database's schema up to date."""

from __future__ import annotations

import sys
import time

import click

from infra.settings import Settings
from infra.wiring import stores


@click.command(help="Bring the database's schema up to date; done twice, or by two at a time, it is done once.")
@click.option(
    "--wait", "wait_seconds", default=30.0, show_default=True, metavar="SECONDS", help="Wait for the database."
)
def migrate(wait_seconds: float) -> None:
    from scoring.errors import TryAgain

    migrate_now = stores.migration(Settings())
    end = time.monotonic() + wait_seconds
    while True:
        try:
            done = migrate_now()
            break
        except TryAgain as error:
            if time.monotonic() >= end:
                raise TryAgain(f"waited {wait_seconds:g} s: {error}") from error
            time.sleep(0.5)
    if done.before == done.after:
        print(f"database: nothing to do, revision {done.after}", file=sys.stderr)
    else:
        print(f"database: migrated from {done.before or 'empty'} to revision {done.after}", file=sys.stderr)
