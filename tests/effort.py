"""How much of its examples a law is tried on: all in `make test`, a tenth in `make check`."""

from __future__ import annotations

import os

SHARE = float(os.environ.get("TIDEMILL_TEST_EFFORT", "1"))


def examples(count: int) -> int:
    """Of `count` examples, as many as this run tries; a few in any case."""
    return max(5, round(count * SHARE))
