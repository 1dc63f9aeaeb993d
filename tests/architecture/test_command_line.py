"""The command line answers quickly, and every command explains itself."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from infra.cli.main import COMMANDS, root

HEAVY = (
    "pandas",
    "numpy",
    "pyarrow",
    "sqlalchemy",
    "deltalake",
    "duckdb",
    "torch",
    "fastapi",
    "faust",
    "kafka",
    "streamlit",
)


def seconds(*arguments: str) -> float:
    """Best of three: other work on the machine makes a start slower, never faster."""
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, timeout=60, check=True)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, f"{' '.join(path)} {name} is listed and does not exist"
            yield from commands(child, (*path, name))


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_explains_itself(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    for path, leaf in commands(command, (name,)):
        shown = CliRunner().invoke(root, [*path, "--help"], prog_name="tidemill")
        assert shown.exit_code == 0, (path, shown.output)
        assert f"tidemill {' '.join(path)}" in shown.output.replace("\n", " ")
        assert leaf.help or leaf.short_help, f"tidemill {' '.join(path)} does not say what it does"
        unexplained = [p.name for p in leaf.params if isinstance(p, click.Option) and not p.help and not p.hidden]
        assert not unexplained, f"options of tidemill {' '.join(path)} without a help text"


def test_root_help_lists_all_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom infra.cli.main import root\n"
        "try:\n    root.main(['--help'], prog_name='tidemill')\nexcept SystemExit:\n    pass\n"
        f"sys.exit('imported: ' + repr(found) if (found := [m for m in {HEAVY!r} if m in sys.modules]) else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert all(f"  {name}" in ended.stdout for name in COMMANDS)


def test_root_help_is_quick() -> None:
    """0.3 s on a machine where an empty Python takes 20 ms; the ratio holds where the machine is slow."""
    assert seconds("-m", "infra.cli.main", "--help") < max(0.3, 15 * seconds("-c", "pass"))


def test_an_unknown_command_is_a_usage_error() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "infra.cli.main", "no-such-command"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "no-such-command" in ended.stderr
    assert ended.stdout == ""
