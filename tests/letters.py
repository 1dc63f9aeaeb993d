"""Dead letters as their tests deal with them: by commands, by a replay that is killed, and by what streams counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from click.testing import CliRunner

from infra.cli.main import root
from ingestion.checkpoint import Progress
from tests.stream_process import StreamStack

_KILLED_REPLAY = textwrap.dedent(
    """
    import json, os, signal, sys
    from infra.letters import letter_desk, letters_of
    from infra.settings import Settings

    last, often, stream, patch = sys.argv[1], int(sys.argv[2]), *map(json.loads, sys.argv[3:])
    steps = []

    def step(name):
        steps.append(name)
        if name == last and steps.count(name) == often:
            os.kill(os.getpid(), signal.SIGKILL)

    with letter_desk(Settings(), letters_of(Settings(), stream=stream)) as desk:
        desk._step = step
        desk.replay([c.letter.id for c in desk.cases() if c.state in ("open", "replaying")], by="test",
                    patch=patch, passes_over=True)
    """
)


def tidemill(stack: StreamStack, *arguments: str) -> Any:
    """A command's answer. In this process: a Python that starts costs seconds on a busy machine."""
    shown = CliRunner().invoke(root, [*arguments, "-o", "json"], env=stack.environment)
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


def killed_replay(
    stack: StreamStack, step: str, often: int, *, stream: str | None = None, patch: Mapping[str, Any] | None = None
) -> None:
    """A replay of all open letters that is killed when it has done the step so often."""
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED_REPLAY, step, str(often), json.dumps(stream), json.dumps(patch)],
        env=os.environ | stack.environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def counted(progress: Mapping[int, Progress]) -> int:
    """Readings in windows and late ones; what the stream itself recognised as a repeat is in neither."""
    return sum(held.counters.accepted + held.counters.late for held in progress.values())
