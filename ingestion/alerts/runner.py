"""The evaluation of one stream's alerts as it goes on: read versions, commit what they say, publish it. Ports only.

The order, and why nothing is lost or doubled wherever it is cut:

1. Versions of the table are judged one by one. Cut here, they are judged again from the committed state: the same
   versions say the same.
2. Rows, the state and the version that comes next are one commit of the table of alerts. What the clock decided is in
   it, too.
3. What was committed is published, in its order, each row under its number. Cut here, the next life asks the topic up
   to which number it holds them, and goes on behind it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from ingestion.alerts.alert import Alert
from ingestion.alerts.evaluator import AlertedStream, Evaluator
from ingestion.alerts.ports import AlertStep, AlertStore, AlertTopic, Kept, Row, Version, Versions
from ingestion.errors import InvalidInput, TryAgain

log = logging.getLogger(__name__)

MOST_VERSIONS = 200
"""Judged in one round."""

MOST_ROWS = 1000
"""Published at once."""

COMMIT_SECONDS = 30.0
"""Versions that say nothing are judged again after a restart; this many seconds of them at most."""

ASK_AGAIN_SECONDS = 5.0
LOOK_FOR_HISTORY_SECONDS = 30.0


class AlertRunner:
    """Of one stream. Not for several threads at once; after an error of a round, make another."""

    def __init__(
        self,
        stream: AlertedStream,
        versions: Versions,
        store: AlertStore,
        topic: AlertTopic,
        *,
        quiet: Callable[[], Collection[int]] = tuple,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        step: Callable[[AlertStep], None] = lambda step: None,
    ) -> None:
        """`quiet` gives the partitions of which everything that the broker has is in the table."""
        self.stream = stream
        self._versions = versions
        self._store = store
        self._topic = topic
        self._quiet = quiet
        self._now = now
        self._monotonic = monotonic
        self._step = step
        self._alerts: list[Alert] = []
        self._pending: list[Row] = []
        self._published: int | None = None
        self._is_waiting = False
        self._ask_clock_at = self._publish_at = self._history_at = -1e9
        self._begin()

    def round(self) -> bool:
        """Judge what came, commit and publish it; whether there is more to be judged at once."""
        more = self._judge()
        if not more:
            self._by_clock()
        if self._alerts or self._is_due():
            self._commit()
        self._publish()
        return more

    def close(self) -> None:
        """Let go of the broker. What is not committed is judged again by the next one."""
        self._topic.close()

    def _begin(self) -> None:
        kept = self._store.restore()
        newest = self._versions.newest()
        here = 0 if newest is None else newest + 1
        if kept is None:
            # windows from before there were rules are not judged; those that come from now on are, all of them
            self._evaluator = Evaluator(self.stream)
            self._position, self._number = here, 0
            self._committed = Kept(position=-1, state=b"")
            if self.stream.rules:
                self._commit()
        else:
            self._evaluator, self._alerts = Evaluator.restored(self.stream, kept.state)
            self._position, self._number, self._committed = kept.position, kept.number, kept
            if self.stream.rules and Evaluator.has_no_rules(kept.state):
                self._position = here
        self._committed_at = self._monotonic()
        self._step("begun")

    def _judge(self) -> bool:
        if not self.stream.rules:
            return False
        columns = self.stream.columns
        for _ in range(MOST_VERSIONS):
            version = self._read(columns)
            if version is None:
                return False
            self._alerts += self._evaluator.take(version.rows, version.committed_us)
            self._position += 1
            self._step("judged")
        return True

    def _read(self, columns: Sequence[str]) -> Version | None:
        try:
            found = self._versions.read(self._position, columns)
        except InvalidInput as error:
            self._skip(str(error))
            return None
        if found is None and self._monotonic() - self._history_at > LOOK_FOR_HISTORY_SECONDS:
            self._history_at = self._monotonic()
            newest = self._versions.newest()
            # it may have come between the two looks
            if newest is not None and newest >= self._position:
                found = self._versions.read(self._position, columns)
                if found is None:
                    self._skip(f"version {self._position} is no longer in its log")
            elif newest is not None and newest + 1 < self._position:
                self._skip(f"the table was made anew: it has versions up to {newest}")
        return found

    def _skip(self, why: str) -> None:
        newest = self._versions.newest()
        here = 0 if newest is None else newest + 1
        log.error("alerts of %s go on from version %d of %s: %s", self.stream.name, here, self.stream.table, why)
        self._position = here

    def _by_clock(self) -> None:
        if not self._evaluator.overdue(self._now_us()) or self._monotonic() < self._ask_clock_at:
            return
        self._ask_clock_at = self._monotonic() + ASK_AGAIN_SECONDS
        quiet = set(self._quiet())
        # what was committed before the broker was asked has to be judged first
        if quiet and not self._judge():
            self._alerts += self._evaluator.by_clock(self._now_us(), quiet & self._evaluator.overdue(self._now_us()))

    def _is_due(self) -> bool:
        if self._monotonic() - self._committed_at < COMMIT_SECONDS:
            return False
        moved = self._position != self._committed.position or (self._published or 0) > self._committed.published
        return moved and (bool(self.stream.rules) or bool(self._committed.state))

    def _commit(self) -> None:
        now = self._now()
        rows = [alert.row(self._number + index, now) for index, alert in enumerate(self._alerts)]
        kept = Kept(
            position=self._position,
            state=self._evaluator.save(),
            number=self._number + len(rows),
            published=max(self._published or 0, self._committed.published),
        )
        self._store.commit(kept, rows)
        self._step("committed")
        self._number, self._committed, self._alerts = kept.number, kept, []
        self._committed_at = self._monotonic()
        self._pending += rows

    def _publish(self) -> None:
        if self._monotonic() < self._publish_at:
            return
        try:
            if self._published is None:
                if self._committed.published == self._number:
                    # the commit itself says that nothing is left
                    self._published = self._number
                else:
                    self._published = max(self._topic.published(self.stream.name), self._committed.published)
            while self._published < self._number:
                if not self._pending or self._pending[0]["number"] != self._published:
                    self._pending = self._store.rows(self._published, MOST_ROWS)
                if not self._pending:
                    raise TryAgain(f"the table of alerts does not show row {self._published} of {self.stream.name}")
                rows, self._pending = self._pending[:MOST_ROWS], self._pending[MOST_ROWS:]
                self._topic.publish(rows)
                self._published = int(rows[-1]["number"]) + 1
                self._step("published")
            self._is_waiting = False
        except TryAgain as error:
            if not self._is_waiting:
                log.warning("alerts of %s wait to be published: %s", self.stream.name, error)
            self._is_waiting = True
            # some may have arrived nevertheless
            self._published, self._pending = None, []
            self._publish_at = self._monotonic() + ASK_AGAIN_SECONDS

    def _now_us(self) -> int:
        return round(self._now().timestamp() * 1e6)
