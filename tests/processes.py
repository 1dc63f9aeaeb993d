"""How the tests are dealt out where several processes run them: each file whole, as a broker is one a process."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling

_WHOLE_STACKS = (
    "tests/e2e/",
    "tests/fault/test_whole_stack.py",
    "tests/integration/devstack/test_streams_of_a_stack.py",
    "tests/integration/infra/test_pipeline_example.py",
)

# the longest first, the quickest last: so all processes end at about the same time
_FOLDERS = ("e2e", "fault", "integration", "contract", "property", "unit", "architecture")


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]
    """Whole files; those that start a whole stack are dealt out as one, so no two stacks run beside one another."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "whole stacks" if file.startswith(_WHOLE_STACKS) else file


def place(nodeid: str) -> tuple[bool, int]:
    """To sort by: whole stacks, then by folder."""
    folder = PurePosixPath(nodeid).parts[1]
    return not nodeid.startswith(_WHOLE_STACKS), _FOLDERS.index(folder) if folder in _FOLDERS else 0
