"""What the worker's process does without, for its memory and its start: many workers may run on a small machine."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

SWITCH_SECONDS = 0.0005
"""How long a thread keeps the interpreter while another waits; what fetches and decodes waits for what folds."""


class _Without(MetaPathFinder):
    """Tells whoever tries to import these packages that they are not installed."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name in self._packages:
            raise ModuleNotFoundError(f"{name} is not for the stream's worker", name=name)
        return None


def become_lean() -> None:
    """To be called once, by a process that is nothing but a worker."""
    # the first pa.array() of a list imports pandas if it can: half a second and 50 MB, for nothing
    sys.meta_path.insert(0, _Without("pandas"))
    sys.setswitchinterval(SWITCH_SECONDS)
