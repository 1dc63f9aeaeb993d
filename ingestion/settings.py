"""What the stream needs to know: topics, windows, limits. A frozen value; `infra.settings` fills it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ingestion.shape import WindowShape
from ingestion.window import TumblingWindow


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicSettings:
    """Names and shape of the Kafka topics.

    own_letters  where a stream's letters go that it alone refuses; None where it has none
    """

    readings: str = "sensor-readings"
    dead_letters: str = "sensor-readings-dead-letters"
    own_letters: str | None = None
    alerts: str = "alerts"
    partitions: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSettings:
    """One stream: from the readings topic into the lake's `windows` and `late_readings` tables.

    name               goes into the lake's application-transaction ids; renaming it starts the stream afresh
    commit_interval    longest time that a closed window waits for its Delta commit
    progress_interval  longest time that folded readings wait for a commit where no window closes
    commit_readings    folded readings after which a commit is due at once: bounds what a restart folds again
    idle_timeout       wall-clock silence of a machine, at the end of its partition, after which its open windows close
    session_timeout    silence of a worker after which its partitions are given away: well above the longest commit
    max_future_skew    a reading this far ahead of its Kafka record timestamp is dead-lettered, not believed
    min_event_time     a reading before it is dead-lettered (1970 is a broken clock, not history)
    max_message_bytes  a longer message is dead-lettered without decoding
    """

    name: str = "windows"
    group_id: str = "tidemill-windows"
    topics: TopicSettings = field(default_factory=TopicSettings)
    window: TumblingWindow = field(
        default_factory=lambda: TumblingWindow(size=timedelta(seconds=60), allowed_lateness=timedelta(seconds=30))
    )
    commit_interval: timedelta = timedelta(seconds=1)
    progress_interval: timedelta = timedelta(seconds=5)
    commit_readings: int = 1_000_000
    idle_timeout: timedelta = timedelta(seconds=15)
    session_timeout: timedelta = timedelta(seconds=30)
    max_future_skew: timedelta = timedelta(minutes=5)
    min_event_time: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    max_message_bytes: int = 1_000_000

    @property
    def shape(self) -> WindowShape:
        """What the windows are: tumbling ones with all built-in aggregates."""
        return WindowShape(window=self.window)
