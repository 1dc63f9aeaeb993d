"""A stream declared in Python is the one that its YAML document defines."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ingestion.declaration import (
    AggregateSpec,
    AlertRule,
    ExtraField,
    HoppingWindow,
    Rate,
    SessionWindow,
    Silence,
    StaticJoin,
    Stream,
    Threshold,
    TumblingWindow,
    document_of,
)
from ingestion.definition_document import KEYS, definition_of
from scoring.specs.document import read_document
from storage.preparation.statement import bind

COUNT = [AggregateSpec(column="count", function="count")]
MINUTE = TumblingWindow(size=timedelta(minutes=1))


def test_the_example_in_python_is_the_example_in_yaml() -> None:
    file = Path(__file__).parents[3] / "examples/streams/bearing_margin.yml"
    written = read_document(file).value
    stream = Stream(
        name="bearing_margin",
        description="Bearing temperatures against each sensor's own limit.",
        joins=[
            StaticJoin(table="sensors", on="sensor_id", columns={"quantity": "quantity", "high_limit": "high_limit"}),
            StaticJoin(table="machines", on="machine_id", columns={"site_id": "site"}),
        ],
        filter="quantity = 'bearing_temperature'",
        derived={"margin": "high_limit - value"},
        key=["machine_id", "sensor_id", "site"],
        window=TumblingWindow(
            size=timedelta(minutes=1),
            allowed_lateness=timedelta(seconds=30),
            correction_lateness=timedelta(minutes=10),
        ),
        aggregates=[
            AggregateSpec(column="count", function="count"),
            AggregateSpec(column="hottest", function="max"),
            AggregateSpec(column="least_margin", function="min", of="margin"),
            AggregateSpec(column="p99", function="quantile", parameters={"q": 0.99}),
        ],
    )
    assert definition_of(document_of(stream), bind=bind) == definition_of(written, bind=bind)


@pytest.mark.parametrize(
    "window",
    [
        TumblingWindow(size=timedelta(milliseconds=1500)),
        HoppingWindow(size=timedelta(minutes=2), every=timedelta(minutes=1), allowed_lateness=timedelta(seconds=3)),
        SessionWindow(gap=timedelta(minutes=5)),
        SessionWindow(gap=timedelta(minutes=5), max_size=timedelta(days=1)),
    ],
)
def test_every_window_comes_back(window: TumblingWindow | HoppingWindow | SessionWindow) -> None:
    assert definition_of(document_of(Stream(name="a", window=window, aggregates=COUNT))).window == window


@pytest.mark.parametrize(
    "condition",
    [
        Threshold(column="count", high=9.0, clear_high=8.0),
        Threshold(column="count", low=1.0, clear_low=2.0),
        Threshold(column="count", low=1.0, high=9.0, clear_low=2.0, clear_high=8.0),
        Rate(column="count", change=3.0, within=timedelta(minutes=5), direction="fall"),
        Silence(after=timedelta(hours=1)),
    ],
)
def test_every_rule_comes_back(condition: Threshold | Rate | Silence) -> None:
    run = 1 if isinstance(condition, Silence) else 3
    rule = AlertRule(
        name="one", severity="critical", description="d", where={"machine_id": ("a*", "b")}, condition=condition,
        for_windows=run,
    )  # fmt: skip
    found = definition_of(document_of(Stream(name="a", window=MINUTE, aggregates=COUNT, alerts=[rule])))
    assert found.alerts == (rule,)


def test_every_key_of_a_document_can_be_declared() -> None:
    stream = Stream(
        name="a",
        description="d",
        topic="t",
        fields=[ExtraField(name="ambient", type="double")],
        joins=[StaticJoin(table="sensors", on="sensor_id", columns={"quantity": "quantity"})],
        filter="value > 1",
        derived={"b": "value + 1"},
        key=["machine_id"],
        window=MINUTE,
        aggregates=COUNT,
        table="elsewhere",
        alerts=[AlertRule(name="mute", condition=Silence(after=timedelta(minutes=5)))],
    )
    assert set(document_of(stream)) == set(KEYS)
    found = definition_of(document_of(stream), bind=bind)
    assert (found.topic, found.table, found.fields) == ("t", "elsewhere", tuple(stream.fields))


def test_what_no_document_can_say_is_refused() -> None:
    with pytest.raises(ValueError, match=r"aggregates: 'count' is declared twice"):
        document_of(Stream(name="a", window=MINUTE, aggregates=COUNT * 2))
    odd = TumblingWindow(size=timedelta(microseconds=1500))
    with pytest.raises(ValueError, match=r"window\.size: .* is no whole number of milliseconds"):
        document_of(Stream(name="a", window=odd, aggregates=COUNT))
    with pytest.raises(ValueError, match="found str, wanted a Tumbling"):
        document_of(Stream(name="a", window="1m", aggregates=COUNT))  # type: ignore[arg-type]
