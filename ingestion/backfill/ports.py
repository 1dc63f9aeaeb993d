"""The port of a backfill: the tables that its rows go to. It has a contract suite."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import pyarrow as pa


class BackfillTable(Protocol):
    """Windows and late readings of one stream, for one backfill at a time; the live stream may append meanwhile."""

    def windows(self, since: datetime, until: datetime) -> pa.Table:
        """Rows with `window_start` in [since, until), in the columns of the windows. Raises TryAgain, Fenced."""

    def late(self, since: datetime, until: datetime) -> pa.Table:
        """Late readings with `event_time` in [since, until). Raises TryAgain, Fenced."""

    def add(self, windows: pa.Table | None, late: pa.Table | None) -> None:
        """Append the rows: late readings in one commit, then windows in one.

        Raises Fenced where another backfill has written to one of the two tables since this one first looked at it:
        then the rows of neither commit, or of the first alone, are there. TryAgain where the lake cannot be written.
        """
