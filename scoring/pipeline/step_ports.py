"""What commands and steps of pipelines need from outside, beside what every job does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scoring.compute.cluster import Compute
from scoring.compute.news import ComputeNews
from scoring.deployment import Deployment

if TYPE_CHECKING:
    from scoring.components.declared import ValueType
    from scoring.job import Job, NamedOutput
    from scoring.pipeline.command_process import Command, CommandEnd


class CommandBackend(Protocol):
    """Runs commands on instances of a cluster; see `command_process`."""

    def run(
        self,
        command: Command,
        *,
        job: str,
        cluster: Compute,
        should_stop: Callable[[], str | None],
        on_news: Callable[[ComputeNews], None],
        before_start: Callable[[], None],
    ) -> CommandEnd: ...


class _NoCommands:
    def run(self, command: Command, **_: object) -> CommandEnd:
        raise NotImplementedError("no commands are run here")


def _nowhere(path: str, kind: ValueType | None) -> str:
    return path


@dataclass(frozen=True, kw_only=True)
class StepPorts:
    """Everything here may raise TryAgain.

    interpreter    the Python of a deployment's environment
    input_path     where on this machine the data that a reference names lies; raises InvalidInput, NotFound
    output_path    where on this machine an output's path lies; raises InvalidInput
    reusable       completed steps with this fingerprint that were really run, the newest first
    register       gives an output of a job a name and version as a data asset: (job, output, name, version)
    """

    commands: CommandBackend = field(default_factory=_NoCommands)
    interpreter: Callable[[Deployment], str] = lambda deployment: sys.executable
    input_path: Callable[[str, ValueType | None], str] = _nowhere
    output_path: Callable[[str], Path] = Path
    reusable: Callable[[str], Sequence[Job]] = lambda fingerprint: ()
    register: Callable[[Job, str, NamedOutput, str, str | None], None] = lambda *_: None


NO_STEPS = StepPorts()
"""Of a runner that only scores."""
