"""The one state directory. By itself, as the supervisor stays for as long as the stack and must not load what it does
not use: settings bring the packages of every part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below the state directory. Nothing that a stack keeps lies outside it."""

    root: Path

    @property
    def stack_file(self) -> Path:
        return self.root / "stack.json"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def stream_state(self) -> Path:
        return self.root / "stream-state"

    @property
    def streams(self) -> Path:
        """Definitions of streams, `<name>.yml`: a worker runs for each."""
        return self.root / "streams"

    @property
    def alerts(self) -> Path:
        """Alert rules of the built-in stream."""
        return self.root / "alerts.yml"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def datastores(self) -> Path:
        return self.root / "datastores"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"
