"""What is declared is checked before anything starts; the message names the path."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from ingestion.aggregates.functions import FUNCTIONS, register
from ingestion.aggregates.spec import BUILT_IN, READING_COLUMNS, AggregateSpec, check
from ingestion.errors import InvalidInput

COLUMNS = {**READING_COLUMNS, "ambient": pa.float64(), "cycles": pa.int64(), "mode": pa.string(), "on": pa.bool_()}


def spec(function: str, of: str = "value", column: str = "x", **parameters: float | str) -> AggregateSpec:
    return AggregateSpec(column=column, function=function, of=of, parameters=parameters)


@pytest.mark.parametrize(
    "given",
    [
        spec("count", "mode"), spec("first", "mode"), spec("last", "on"), spec("sum", "cycles"), spec("rate"),
        spec("rate", per="1m30s"), spec("quantile", q=0.5), spec("time_weighted_mean", "ambient"),
        spec("max", "cycles"),
    ],
)  # fmt: skip
def test_what_can_be_computed(given: AggregateSpec) -> None:
    check([given], COLUMNS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (spec("mode"), "aggregates.x.function: 'mode' is unknown; there are count, first"),
        (spec("mean", "pressure"), "aggregates.x.of: readings have no column 'pressure'; they have ambient"),
        (spec("mean", "mode"), "aggregates.x.of: mean is computed of numbers"),
        (spec("mean", "on"), "'on' is bool"),
        (spec("quantile"), "aggregates.x.q: is missing"),
        (spec("quantile", q=1), "aggregates.x.q: 1 is no share"),
        (spec("quantile", q="half"), "aggregates.x.q: 'half' is no share"),
        (spec("rate", per=1), "aggregates.x.per: 1 is no duration"),
        (spec("rate", per="0s"), "aggregates.x.per: '0s' is not longer than nothing"),
        (spec("mean", q=0.5), "aggregates.x.q: mean has no parameters"),
        (spec("quantile", q=0.5, exact="yes"), "aggregates.x.exact: quantile has q"),
        (spec("mean", column="Mean"), "aggregates.Mean: 'Mean' is no name of a column"),
        (spec("mean", column="sensor_id"), "aggregates.sensor_id: every row has a column of this name"),
        (spec("mean", column="revision"), "aggregates.revision: every row has a column of this name"),
    ],
)
def test_what_cannot(given: AggregateSpec, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check([given], COLUMNS)
    assert message in str(raised.value)


def test_a_column_twice_and_none() -> None:
    with pytest.raises(InvalidInput, match=r"aggregates\.x: the column is declared twice"):
        check([spec("mean"), spec("max")])
    with pytest.raises(InvalidInput, match="none are declared"):
        check([])


def test_parameters_as_numbers() -> None:
    assert spec("rate").number("per") == 1e6
    assert spec("rate", per="2m").number("per") == 120e6
    assert spec("quantile", q=0.25).number("q") == 0.25


def test_the_built_in_columns_are_computable() -> None:
    check(BUILT_IN)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="there is a function 'mean' already"):
        register(replace(FUNCTIONS["mean"], meaning="another"))
    assert FUNCTIONS["mean"].meaning == "the sum over the count"
