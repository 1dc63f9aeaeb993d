"""The service tells alerts of what a stream commits: rules of the home's file and of a definition.

The tables of windows are written as a stream's worker writes them; the broker, the lake and the service are real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import create_engine

from infra.stream_definitions import read
from ingestion.checkpoint import Checkpoint
from ingestion.ports import WindowCommit
from storage.lake.stream_tables import StreamTables
from storage.lake.window_sink import LakeWindowSink
from storage.postgres.migrate import upgrade
from tests.contract.test_alert_ports import published_alerts
from tests.contract.test_window_sink import commit_of, window_row
from tests.service_process import ServiceProcess
from tests.stream_process import StreamStack, stream_stack
from tests.waiting import until

pytestmark = pytest.mark.stack

DEFINITION = """\
name: small
window: {type: tumbling, size: 1m}
aggregates: {count: count, warmest: max}
alerts:
  - {name: warm, threshold: {column: warmest, above: 3}}
"""


@pytest.fixture
def stack(kafka_bootstrap: str, tmp_path: Path) -> Iterator[StreamStack]:
    with stream_stack(kafka_bootstrap, tmp_path / "home", "alerts") as found:
        yield found


def test_rules_of_the_home_and_of_a_definition_are_evaluated(stack: StreamStack, database_url: str) -> None:
    engine = create_engine(database_url)
    upgrade(engine)
    engine.dispose()
    home = stack.settings.paths
    home.root.mkdir(parents=True, exist_ok=True)
    home.alerts.write_text("alerts: [{name: high, threshold: {column: mean, above: 4}}]")
    service = ServiceProcess(home.root, database_url)
    service.environment |= stack.environment
    try:
        service.start()
        built_in = LakeWindowSink(
            lake_root=home.lake, state_root=home.stream_state, stream="windows", topic=stack.topic
        )
        built_in.restore(0)
        until("rules that are in force", lambda: list(home.stream_state.glob("alerts-windows-*")), bool)
        for number in range(8):
            built_in.commit(commit_of({0: number + 1}, [window_row(number)]))
        first = until("the first alert", lambda: told(stack), lambda alerts: len(alerts) == 1)
        assert [(one["rule"], one["state"], one["value"]) for one in first] == [("high", "firing", 5.0)]

        # another rule in place of the first, and a stream that comes while the service runs
        home.alerts.write_text("alerts: [{name: high, threshold: {column: mean, above: 100}}]")
        home.streams.mkdir()
        (home.streams / "small.yml").write_text(DEFINITION)
        until("the state of the new stream", lambda: list(home.stream_state.glob("alerts-small-*")), bool)
        commit_small(stack, home.streams / "small.yml")
        alerts = until("all alerts", lambda: told(stack), lambda found: len(found) == 3)
        assert {(one["stream"], one["rule"], one["state"], one["cause"]) for one in alerts[1:]} == {
            ("windows", "high", "resolved", "rule"),
            ("small", "warm", "firing", "window"),
        }
    finally:
        service.client.close()
        service.stop()
    listed = json.loads(service.command("alert", "list", "--firing", "-o", "json").stdout)
    assert [(one["stream"], one["machine_id"]) for one in listed] == [("small", "m0")]


def told(stack: StreamStack) -> list[dict[str, Any]]:
    return [value for _, value, _ in published_alerts(stack.bootstrap, stack.settings.alerts_topic)]


def commit_small(stack: StreamStack, file: Path) -> None:
    home, definition = stack.settings.paths, read(file, readings_topic=stack.topic)
    tables = StreamTables.of(definition)
    sink = LakeWindowSink(
        lake_root=home.lake,
        state_root=home.stream_state,
        stream=definition.name,
        topic=stack.topic,
        windows=tables.windows,
        late=tables.late,
    )
    sink.restore(0)
    schema = definition.shape.schema
    row = {**window_row(0), "warmest": 7.0}
    windows = pa.Table.from_pylist([{name: row[name] for name in schema.names}], schema=schema)
    checkpoint = Checkpoint(partition=0, next_offset=1, state=b"state")
    sink.commit(
        WindowCommit(windows=windows, late=definition.shape.late_schema.empty_table(), checkpoints=[checkpoint])
    )
