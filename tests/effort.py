"""How much of its examples a law is tried on: two fifths in `make test`, fewer in `make check`, all in `make proof`.

Hypothesis takes other examples each time: many short runs see as much as a few long ones.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("TIDEMILL_TEST_EFFORT", "0.4"))


def examples(count: int) -> int:
    """Of `count` examples, as many as this run tries; a few in any case."""
    return max(5, round(count * SHARE))
