"""`tidemill up`, `status`, `logs`, `down`, `reset`, `doctor`: the embedded stack on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.cli.answer import Answer, answering
from infra.cli.failures import WaitedTooLong
from infra.home import Home
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.devstack.control import StackStatus

MIB = 1024 * 1024


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _names(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
    return [name.strip() for name in (value or "").split(",") if name.strip()]


@click.command(help="Start the stack and return when every part is ready; it goes on running.")
@click.option("--foreground", is_flag=True, help="Stay, show what happens, and stop the stack at Ctrl-C.")
@click.option("--port-base", type=click.IntRange(1024, 65000), help="First of six ports in a row; else free ones.")
@click.option("--only", metavar="PART,…", callback=_names, help="Start these parts only (postgres, kafka, serve, …).")
@click.option(
    "--wait", "limit", default=120.0, show_default=True, metavar="SECONDS", help="Longest wait for readiness."
)
def up(foreground: bool, port_base: int | None, only: list[str], limit: float) -> None:
    from infra.devstack import control
    from infra.devstack.errors import NotReadyInTime
    from infra.devstack.supervisor import supervise

    settings = Settings()
    home = settings.paths
    base = settings.port_base if port_base is None else port_base
    if foreground:
        control.make_home(home)
        error = supervise(home, port_base=base, only=only, bind=settings.bind, progress=_say)
        if error:
            raise click.ClickException(error)
        return
    if control.is_up(home):
        _say(f"the stack in {home.root} is already up")
    else:
        _say(f"starting the stack in {home.root}")
    try:
        status = control.up(home, port_base=base, only=only, bind=settings.bind, limit=limit, progress=_say)
    except NotReadyInTime as error:
        raise WaitedTooLong(str(error)) from error
    for part in status.parts:
        if part.address:
            print(f"{part.name:<10} {part.address}")


@click.command(help="Readiness, address and memory of each part; exit code 1 unless all are ready.")
@answering
def status(answer: Answer) -> None:
    from infra.devstack.control import stack_status

    found = stack_status(Settings().paths)
    answer.show(asdict(found), lambda: _table(found))
    if not found.ready:
        sys.exit(1)


def _table(found: StackStatus) -> list[str]:
    lines = [f"{found.state}  {found.home}"]
    if found.error:
        lines.append(found.error)
    if not found.parts:
        return lines
    wide = max(11, *(len(part.name) for part in found.parts))
    lines.append(f"{'part':<{wide}} {'state':<11} {'pid':>7} {'memory':>9} {'restarts':>8} {'up':>9}  address")
    for part in found.parts:
        pid = "" if part.pid is None else str(part.pid)
        memory = f"{part.memory_bytes / MIB:.0f} MiB" if part.memory_bytes else ""
        since = "" if part.uptime_seconds is None else str(timedelta(seconds=round(part.uptime_seconds)))
        row = f"{part.name:<{wide}} {part.state:<11} {pid:>7} {memory:>9} {part.restarts:>8} {since:>9}  {part.address}"
        lines.append(row.rstrip())
        if part.last_error and not part.ready:
            lines.append(f"{'':<{wide}} {part.last_error}")
    own = f"{found.supervisor_memory_bytes / MIB:.0f} MiB"
    lines.append(f"{'supervisor':<{wide}} {'':<11} {found.supervisor_pid or '':>7} {own:>9}")
    lines.append(f"{'total':<{wide + 20}} {found.memory_bytes / MIB:>5.0f} MiB")
    return lines


@click.command(help="Show the end of the logs, of one PART or of all.")
@click.argument("part", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option("-n", "--lines", default=20, show_default=True, type=click.IntRange(0), help="Lines of each log.")
def logs(part: str | None, follow: bool, lines: int) -> None:
    from infra.devstack.logs import follow as follow_logs
    from infra.devstack.logs import last_lines

    files = _log_files(Settings().paths, part)
    width = max(map(len, files))

    def show(name: str, line: str) -> None:
        print(line if part else f"{name:<{width}} | {line}", flush=follow)

    for name, line in last_lines(files, lines):
        show(name, line)
    if follow:
        try:
            for name, line in follow_logs(files):
                show(name, line)
        except KeyboardInterrupt:
            pass


def _log_files(home: Home, part: str | None) -> dict[str, Path]:
    files = {path.stem: path for path in sorted(home.logs.glob("*.log"))}
    if not files:
        raise click.ClickException(f"no logs are in {home.logs}; start the stack with `tidemill up`")
    if part is None:
        return files
    if part not in files:
        raise click.UsageError(f"no log of a part {part!r}; there are logs of {', '.join(files)}")
    return {part: files[part]}


@click.command(help="Stop the stack; nothing stored is lost.")
def down() -> None:
    from infra.devstack import control

    home = Settings().paths
    if control.down(home, progress=_say):
        _say(f"the stack in {home.root} is stopped")
    else:
        _say(f"no stack runs in {home.root}")


@click.command(help="Stop the stack and delete all it has stored.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    from infra.devstack import control

    home = Settings().paths
    if not home.root.exists():
        _say(f"nothing is stored in {home.root}")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"this deletes all that is stored in {home.root}: say --yes")
        click.confirm(f"Delete all that is stored in {home.root}?", abort=True, err=True)
    control.reset(home, progress=_say)
    _say(f"deleted what was stored in {home.root}")


@click.command(help="Check this machine for what the stack needs; exit code 1 if something is missing.")
@answering
def doctor(answer: Answer) -> None:
    from infra.devstack.doctor import examine, passed

    settings = Settings()
    findings = examine(settings.paths, port_base=settings.port_base)

    def lines() -> Iterator[str]:
        for finding in findings:
            yield f"{finding.verdict:<5} {finding.check:<11} {finding.found}"
            if finding.verdict != "ok" and finding.mend:
                yield f"{'':<17} {finding.mend}"

    answer.show([asdict(finding) for finding in findings], lines)
    if not passed(findings):
        sys.exit(1)
