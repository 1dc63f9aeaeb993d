"""What every AlertStore and every AlertTopic promises: rows once, in order, and nobody beside a stream's own writer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from deltalake import DeltaTable
from kafka import KafkaConsumer, TopicPartition

from ingestion.alerts.alert import Alert
from ingestion.alerts.ports import AlertStore, AlertTopic, Kept, Row
from ingestion.errors import Fenced, TryAgain
from ingestion.kafka.alert_topic import KafkaAlertTopic
from ingestion.kafka.topics import ALERTS_CONFIG, TopicAdmin, TopicSpec
from storage.lake import stream_state
from storage.lake.alerts import LakeAlerts, needed_versions
from storage.lake.changes import gained
from tests.contract.memory_alerts import MemoryAlerts, MemoryAlertTopic, Outliving

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def alert_row(number: int, stream: str = "windows", machine: str | None = "p1") -> Row:
    start = round((MOMENT + number * timedelta(hours=7)).timestamp() * 1e6)
    alert = Alert(
        stream=stream,
        rule="hot",
        severity="warning",
        state="firing",
        cause="window",
        key={"machine_id": machine, "sensor_id": "p1/temp"},
        first_us=start,
        change=0,
        window_start=start,
        window_end=start + 10**6,
        revision=0,
        value=91.5,
        bound=90.0,
        message="mean of p1/temp is 91.5, above 90",
        raised_us=start + 10**6,
    )
    return alert.row(number, MOMENT)


class AlertStoreContract:
    """Fixture `store` gives the store of a stream, anew each time."""

    def test_a_stream_begins_with_nothing(self, store: Callable[[str], AlertStore]) -> None:
        assert store("windows").restore() is None

    def test_rows_state_and_position_are_one_commit(self, store: Callable[[str], AlertStore]) -> None:
        mine = store("windows")
        mine.restore()
        first = Kept(position=5, state=b"one", number=2)
        mine.commit(first, [alert_row(0), alert_row(1)])
        second = Kept(position=9, state=b"two", number=3, published=2)
        mine.commit(second, [alert_row(2)])
        third = Kept(position=12, state=b"two", number=3, published=3)
        mine.commit(third, [])
        again = store("windows")
        assert again.restore() == third
        assert again.rows(0, 10) == [alert_row(0), alert_row(1), alert_row(2)]
        assert again.rows(1, 1) == [alert_row(1)]
        assert again.rows(3, 10) == []

    def test_streams_do_not_meet(self, store: Callable[[str], AlertStore]) -> None:
        mine, other = store("windows"), store("pumps")
        mine.restore()
        other.restore()
        mine.commit(Kept(position=1, state=b"mine", number=1), [alert_row(0)])
        other.commit(Kept(position=7, state=b"other", number=1), [alert_row(0, "pumps")])
        mine.commit(Kept(position=2, state=b"mine too", number=2), [alert_row(1)])
        assert store("pumps").restore() == Kept(position=7, state=b"other", number=1)
        assert store("pumps").rows(0, 10) == [alert_row(0, "pumps")]
        assert [row["number"] for row in store("windows").rows(0, 10)] == [0, 1]

    def test_who_was_overtaken_is_refused(self, store: Callable[[str], AlertStore]) -> None:
        old, new = store("windows"), store("windows")
        old.restore()
        old.commit(Kept(position=1, state=b"a"), [])
        new.restore()
        new.commit(Kept(position=1, state=b"b", number=1), [alert_row(0)])
        with pytest.raises(Fenced):
            old.commit(Kept(position=2, state=b"c", number=1), [alert_row(0)])
        assert store("windows").rows(0, 10) == [alert_row(0)]


class TestMemoryAlerts(AlertStoreContract):
    @pytest.fixture
    def store(self) -> Callable[[str], AlertStore]:
        outliving = Outliving()
        return lambda stream: MemoryAlerts(outliving, stream)


class TestLakeAlerts(AlertStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Callable[[str], LakeAlerts]:
        return lambda stream: LakeAlerts(tmp_path / "lake", tmp_path / "state", stream)

    def test_a_superseded_state_goes(
        self, store: Callable[[str], LakeAlerts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_state, "GRACE", timedelta(seconds=-1))
        mine = store("windows")
        mine.restore()
        for position in range(4):
            mine.commit(Kept(position=position, state=b"state %d" % position), [])
        assert len(list((tmp_path / "state").iterdir())) == 1
        kept = store("windows").restore()
        assert kept is not None
        assert kept.state == b"state 3"

    def test_the_history_that_is_needed_begins_where_judging_goes_on(
        self, store: Callable[[str], LakeAlerts], tmp_path: Path
    ) -> None:
        lake = tmp_path / "lake"
        assert needed_versions(lake, {"windows": "windows"}) == {}
        for stream, position in (("windows", 8), ("others", 5), ("pumps", 0)):
            mine = store(stream)
            mine.restore()
            mine.commit(Kept(position=position, state=b""), [])
        tables = {"windows": "windows", "others": "windows", "pumps": "pumps", "unknown": "unknown"}
        assert needed_versions(lake, tables) == {"windows": 4, "pumps": 0}
        assert needed_versions(lake, {}) == {}

    def test_alerts_lie_by_the_day_on_which_they_were_raised(
        self, store: Callable[[str], LakeAlerts], tmp_path: Path
    ) -> None:
        mine = store("windows")
        mine.restore()
        mine.commit(Kept(position=1, state=b"a", number=3), [alert_row(number) for number in range(3)])
        folder = tmp_path / "lake" / "alerts"
        assert sorted(path.name for path in folder.glob("date=*")) == ["date=2026-03-01", "date=2026-03-02"]
        assert sum(file.rows for file in gained(folder, 0, 1)) == 3
        assert DeltaTable(str(folder)).to_pyarrow_table().num_rows == 3


class AlertTopicContract:
    """Fixtures give `topic` (anew each time) and `held`, the numbers by stream that it holds, in order."""

    def test_an_empty_topic_has_published_nothing(self, topic: Callable[[], AlertTopic]) -> None:
        assert topic().published("windows") == 0

    def test_a_successor_learns_what_was_published(
        self, topic: Callable[[], AlertTopic], held: Callable[[], list[tuple[str, int]]]
    ) -> None:
        mine = topic()
        mine.publish([alert_row(0), alert_row(1)])
        mine.publish([alert_row(0, "pumps")])
        mine.publish([alert_row(2)])
        assert held() == [("windows", 0), ("windows", 1), ("pumps", 0), ("windows", 2)]
        again = topic()
        assert again.published("windows") == 3
        assert again.published("pumps") == 1
        assert again.published("others") == 0


class TestMemoryAlertTopic(AlertTopicContract):
    @pytest.fixture
    def outliving(self) -> Outliving:
        return Outliving()

    @pytest.fixture
    def topic(self, outliving: Outliving) -> Callable[[], AlertTopic]:
        return lambda: MemoryAlertTopic(outliving)

    @pytest.fixture
    def held(self, outliving: Outliving) -> Callable[[], list[tuple[str, int]]]:
        return lambda: [(row["stream"], row["number"]) for row in outliving.topic]


@pytest.mark.stack
class TestKafkaAlertTopic(AlertTopicContract):
    @pytest.fixture
    def name(self, kafka_bootstrap: str) -> str:
        name = f"alerts-{uuid4().hex[:8]}"
        with TopicAdmin(kafka_bootstrap) as admin:
            admin.ensure([TopicSpec(name=name, partitions=1, config=ALERTS_CONFIG)])
        return name

    @pytest.fixture
    def topic(self, kafka_bootstrap: str, name: str) -> Iterator[Callable[[], KafkaAlertTopic]]:
        made: list[KafkaAlertTopic] = []

        def make() -> KafkaAlertTopic:
            made.append(KafkaAlertTopic(kafka_bootstrap, name, limit=timedelta(seconds=30)))
            return made[-1]

        yield make
        for one in made:
            one.close()

    @pytest.fixture
    def held(self, kafka_bootstrap: str, name: str) -> Callable[[], list[tuple[str, int]]]:
        return lambda: [
            (headers["stream"], int(headers["number"])) for _, _, headers in published_alerts(kafka_bootstrap, name)
        ]

    def test_a_message_tells_all(self, topic: Callable[[], KafkaAlertTopic], kafka_bootstrap: str, name: str) -> None:
        topic().publish([alert_row(3)])
        topic().publish([alert_row(4, machine=None)])
        (key, value, headers), (other, _, _) = published_alerts(kafka_bootstrap, name)
        assert (key, other) == (b"p1", b"windows")
        row = alert_row(3)
        assert headers == {
            "id": row["id"],
            "change": "0",
            "stream": "windows",
            "number": "3",
            "rule": "hot",
            "severity": "warning",
            "state": "firing",
        }
        assert value == {
            **row,
            "key": {"machine_id": "p1", "sensor_id": "p1/temp"},
            "window_start": "2026-03-02T09:00:00.000000Z",
            "window_end": "2026-03-02T09:00:01.000000Z",
            "raised_at": "2026-03-02T09:00:01.000000Z",
            "committed_at": "2026-03-01T12:00:00.000000Z",
        }

    def test_a_stream_that_was_quiet_for_long_is_found(
        self, topic: Callable[[], KafkaAlertTopic], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ingestion.kafka.alert_topic._LOOK_BACK", 2)
        topic().publish([alert_row(6, "quiet"), *(alert_row(number) for number in range(5))])
        assert topic().published("quiet") == 7
        assert topic().published("windows") == 5

    def test_a_topic_that_is_missing_is_named(self, kafka_bootstrap: str) -> None:
        missing = KafkaAlertTopic(kafka_bootstrap, f"none-{uuid4().hex[:8]}", limit=timedelta(seconds=5))
        with pytest.raises(TryAgain, match="does not exist; create it with"):
            missing.published("windows")


def published_alerts(bootstrap: str, topic: str) -> list[tuple[bytes | None, dict[str, object], dict[str, str]]]:
    """(key, value, headers) of every message, in order."""
    where = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        consumer.assign([where])
        end = consumer.end_offsets([where])[where]
        consumer.seek_to_beginning(where)
        found = []
        while consumer.position(where) < end:
            for record in consumer.poll(timeout_ms=5000).get(where, []):
                headers = {name: value.decode() for name, value in record.headers}
                found.append((record.key, json.loads(record.value), headers))
        return found
    finally:
        consumer.close()
