"""From a stream's document to its definition, and what is refused: by file, line, path, with the mend."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from ingestion.aggregates.spec import AggregateSpec
from ingestion.definition import ExtraField, StaticJoin
from ingestion.definition_document import RESERVED_TABLES, definition_of
from ingestion.definition_problems import InvalidDefinition, path_of, shown_path
from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow
from storage.lake.tables import TABLES
from tests.streams import SMALL, a_definition, written

WHOLE = """\
    name: pump_shift
    description: Flow of pumps
    source:
      topic: other-readings
      fields: {ambient: double}
    join:
      - table: machines
        on: machine_id
        columns: {site_id: site, model: kind}
    filter: "kind = 'pump'"
    derived: {kelvin: "value + 273.15"}
    key: [machine_id, sensor_id, site]
    window: {type: hopping, size: 10s, every: 5s, allowed_lateness: 30s, correction_lateness: 1m}
    aggregates:
      count: count
      p99: {function: quantile, of: kelvin, q: 0.99}
      flow: {function: rate, per: 1s}
    sink: {table: shifts}
    alerts:
      - {name: hot, threshold: {column: p99, above: 90}}
"""


def test_every_key_is_read() -> None:
    found = written(WHOLE)
    assert (found.name, found.description, found.topic) == ("pump_shift", "Flow of pumps", "other-readings")
    assert found.fields == (ExtraField(name="ambient", type="double"),)
    assert found.joins == (StaticJoin(table="machines", on="machine_id", columns={"site_id": "site", "model": "kind"}),)
    assert found.filter == "kind = 'pump'"
    assert found.derived == {"kelvin": "value + 273.15"}
    assert found.key == ("machine_id", "sensor_id", "site")
    assert found.window == HoppingWindow(
        size=timedelta(seconds=10),
        every=timedelta(seconds=5),
        allowed_lateness=timedelta(seconds=30),
        correction_lateness=timedelta(minutes=1),
    )
    assert found.aggregates == (
        AggregateSpec(column="count", function="count"),
        AggregateSpec(column="p99", function="quantile", of="kelvin", parameters={"q": 0.99}),
        AggregateSpec(column="flow", function="rate", parameters={"per": "1s"}),
    )
    assert (found.table, found.late_table) == ("shifts", "shifts_late")
    assert [rule.name for rule in found.alerts] == ["hot"]
    assert found.columns["kelvin"] == pa.float64()
    assert found.shape.schema.names[:5] == ["machine_id", "sensor_id", "site", "window_start", "window_end"]


def test_what_is_left_out_is_that_of_the_readings() -> None:
    found = definition_of(SMALL, readings_topic="here")
    assert (found.topic, found.key, found.table) == ("here", ("machine_id", "sensor_id"), "small")
    assert found.window == TumblingWindow(size=timedelta(seconds=10))
    assert not found.needs_preparation


def test_a_session() -> None:
    found = a_definition(window={"type": "session", "gap": "5m", "max_size": "1h"})
    assert found.window == SessionWindow(gap=timedelta(minutes=5), max_size=timedelta(hours=1))


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("name: pump_shift", "name: Pump", 1, "name: found 'Pump', wanted a name: a lower case letter, then"),
        ("name: pump_shift", "name: windows", 1, "name: 'windows' is the built-in stream; take another name"),
        ("description: Flow of pumps", "description: 3", 2, "description: found the number 3, wanted text"),
        ("description:", "desription:", 2, "desription: unknown key; did you mean 'description'?"),
        ("topic: other-readings", "topic: a b", 4, "source.topic: found 'a b', wanted a topic"),
        ("ambient: double", "ambient: float", 5, "source.fields.ambient: found 'float', allowed: double, int64"),
        ("ambient: double", "value: double", 5, "source.fields.value: the column 'value' is there already"),
        ("ambient: double", "revision: double", 5, "source.fields.revision: 'revision' is a column of every stream's"),
        ("table: machines", "table: pumps", 7, "join[0].table: found 'pumps', allowed: sensors, machines, sites"),
        ("on: machine_id", "on: machine", 8, "join[0].on: found 'machine', the columns so far are machine_id"),
        ("on: machine_id", "on: value", 8, "join[0].on: 'value' is no text column; machines is looked up by its"),
        ("site_id: site", "sit: site", 9, "join[0].columns.sit: table machines has no column 'sit'; it has machine_id"),
        ("kind = 'pump'", "kind", 10, "filter: the expression is a VARCHAR; a filter is true or false"),
        ("value + 273.15", "value +", 11, "derived.kelvin: no SQL expression: syntax error at or near"),
        ("value + 273.15", "event_time", 11, "derived.kelvin: the expression is a TIMESTAMP WITH TIME ZONE; a column"),
        ("[machine_id, sensor_id, site]", "[site]", 12, "key[0]: found 'site', and a key begins with machine_id"),
        ("sensor_id, site]", "sensor_id, kelvin]", 12, "key[2]: 'kelvin' is double, and a key is made of text"),
        ("sensor_id, site]", "sensor_id, sensor_id]", 12, "key[2]: 'sensor_id' is named twice"),
        ("sensor_id, site]", "sensor_id, sit]", 12, "key[2]: found 'sit', the columns are machine_id, sensor_id"),
        ("type: hopping", "type: sliding", 13, "window.type: found 'sliding', allowed: tumbling, hopping, session"),
        ("every: 5s", "every: 3s", 13, "window.every: size is 10s, every 3s: size must be a whole multiple of every"),
        ("every: 5s, ", "", 13, "window: every is missing; a hopping window needs size and every"),
        ("size: 10s", "size: 10", 13, "window.size: found the number 10, wanted a duration with its unit, e.g. 10s"),
        ("size: 10s", "size: 0s", 13, "window.size: '0s' is not longer than nothing"),
        ("every: 5s", "gap: 5s", 13, "window.gap: unknown key; allowed: allowed_lateness, correction_lateness, every"),
        ("count: count", "count: cont", 15, "aggregates.count.function: 'cont' is unknown; there are count, "),
        ("of: kelvin", "of: kelvn", 16, "aggregates.p99.of: readings have no column 'kelvn'"),
        ("q: 0.99", "q: 2", 16, "aggregates.p99.q: 2.0 is no share"),
        ("q: 0.99", "q: [1]", 16, "aggregates.p99.q: found a list, wanted a number or text"),
        ("count: count", "site: count", 15, "aggregates.site: every row has a column of this name already"),
        ("table: shifts", "table: predictions", 18, "sink.table: 'predictions' is a table of tidemill's own"),
        ("table: shifts", "table: shifts_late", 18, "sink.table: 'shifts_late': names that end in _late or _revisions"),
        ("table: shifts", "folder: shifts", 18, "sink.folder: unknown key; allowed: table"),
        ("column: p99", "column: p9", 20, "alerts[0].threshold.column: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_path(old: str, new: str, line: int, told: str) -> None:
    assert old in WHOLE
    with pytest.raises(InvalidDefinition) as refused:
        written(WHOLE.replace(old, new, 1))
    assert any(problem.startswith(f"streams/s.yml:{line}: {told}") for problem in refused.value.problems), str(
        refused.value
    )


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(InvalidDefinition) as refused:
        written(WHOLE.replace("pump_shift", "X").replace("size: 10s", "size: x").replace("kind = 'pump'", "now()"))
    assert [problem.split(":")[1] for problem in refused.value.problems] == ["1", "10", "13"]


@pytest.mark.parametrize(
    "key", ["source", "join", "filter", "derived", "key", "window", "aggregates", "sink", "alerts", "name"]
)
@pytest.mark.parametrize("value", [3, True, [3], {"a": {"b": []}}, [[]], "", ["machine_id", 7]])
def test_a_value_of_another_kind_is_refused_and_never_an_error_of_ours(key: str, value: object) -> None:
    if (key, value) in [("key", True)]:
        return
    with pytest.raises(InvalidDefinition):
        definition_of(SMALL | {key: value})


def test_without_windows_or_aggregates_there_is_no_stream() -> None:
    with pytest.raises(InvalidDefinition, match="aggregates: found nothing, wanted keys and values"):
        a_definition(aggregates=None)
    with pytest.raises(InvalidDefinition, match="window: found nothing"):
        a_definition(window=None)
    with pytest.raises(InvalidDefinition, match="aggregates: empty"):
        a_definition(aggregates={})


def test_the_tables_that_are_not_for_definitions_are_those_of_the_lake() -> None:
    assert set(TABLES) <= RESERVED_TABLES


def test_paths_are_written_as_they_are_read() -> None:
    for path in [("join", 0, "columns", "kind"), ("name",), ("key", 12)]:
        assert path_of(shown_path(path)) == path
