"""One suite for every aggregate: parts merge to the whole, a state that was stored goes on, slots are used again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ingestion.aggregates import AGGREGATES, create
from ingestion.aggregates.quantile import RELATIVE_ERROR, bucket_of, middle_of
from ingestion.aggregates.slots import Aggregate, Arrivals


def arrivals(slot: int, values: list[float], *, serial: int = 0, first: int = 0) -> Arrivals:
    n = len(values)
    return Arrivals(
        slot=np.full(n, slot), serial=np.full(n, serial), value=np.array(values, float), event_us=first + np.arange(n)
    )


def opened(name: str, slot: int = 0, serial: int = 0) -> Aggregate:
    aggregate = create(name)
    aggregate.grow(4)
    aggregate.open(np.array([slot]), np.array([serial]))
    return aggregate


def row(aggregate: Aggregate, slot: int = 0) -> dict[str, float]:
    return {name: column[0].item() for name, column in aggregate.results(np.array([slot])).items()}


VALUES = [3.0, -1.5, 0.0, 8.25, 8.25, -700.0, 1e6, 0.001, 2.0]


@pytest.mark.parametrize("name", AGGREGATES)
@pytest.mark.parametrize("cut", [0, 1, 4, 9])
def test_parts_merge_to_the_whole(name: str, cut: int) -> None:
    whole, early, late = opened(name), opened(name), opened(name, slot=2, serial=9)
    whole.add(arrivals(0, VALUES))
    early.add(arrivals(0, VALUES[:cut]))
    late.add(arrivals(2, VALUES[cut:], serial=9, first=cut))
    early.merge(0, late, 2)
    merged = row(early)
    for column, value in row(whole).items():
        assert merged[column] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", AGGREGATES)
def test_a_stored_state_goes_on(name: str) -> None:
    whole, before = opened(name), opened(name)
    whole.add(arrivals(0, VALUES))
    before.add(arrivals(0, VALUES[:4]))
    after = opened(name, slot=3, serial=5)
    after.load(np.array([3]), before.dump(np.array([0])))
    after.add(arrivals(3, VALUES[4:], serial=5, first=4))
    assert row(after, 3) == row(whole)


@pytest.mark.parametrize("name", AGGREGATES)
def test_a_slot_is_used_again(name: str) -> None:
    aggregate = opened(name)
    aggregate.add(arrivals(0, VALUES))
    aggregate.release(np.array([0]))
    aggregate.open(np.array([0]), np.array([1]))
    aggregate.add(arrivals(0, [5.0, 5.0], serial=1))
    fresh = opened(name)
    fresh.add(arrivals(0, [5.0, 5.0]))
    assert row(aggregate) == row(fresh)


def test_results() -> None:
    found: dict[str, float] = {}
    for name in AGGREGATES:
        aggregate = opened(name)
        aggregate.add(arrivals(0, [1.0, 2.0, 4.0, 5.0]))
        found |= row(aggregate)
    assert (found["count"], found["mean"], found["min"], found["max"], found["last"]) == (4, 3.0, 1.0, 5.0, 5.0)
    assert found["stddev"] == pytest.approx(math.sqrt(10 / 3), rel=1e-15)
    assert found["median"] == pytest.approx(2.0, rel=RELATIVE_ERROR)
    assert found["p95"] == pytest.approx(5.0, rel=RELATIVE_ERROR)


def test_the_spread_of_large_numbers_keeps_its_digits() -> None:
    values = [1e9 + x for x in (0.1, 0.2, 0.3, 0.4)]
    aggregate = opened("moments")
    aggregate.add(arrivals(0, values))
    assert row(aggregate)["stddev"] == pytest.approx(0.12909944, rel=1e-6)


def test_the_spread_of_one_reading_is_unknown() -> None:
    aggregate = opened("moments")
    aggregate.add(arrivals(0, [5.0]))
    assert math.isnan(row(aggregate)["stddev"])


def test_buckets_keep_order_and_precision() -> None:
    random = np.random.default_rng(2)
    values = np.sort(
        np.concatenate((random.normal(0, 1e3, 2000), random.lognormal(0, 40, 2000), [0.0, -0.0, 1.0, -1.0]))
    )
    buckets = bucket_of(values)
    assert (np.diff(buckets) >= 0).all()
    assert (np.abs(middle_of(buckets) - values) <= RELATIVE_ERROR * np.abs(values) + 1e-307).all()


def test_quantiles_of_many_readings() -> None:
    values = np.random.default_rng(3).normal(50, 10, 400_000)  # enough that pending buckets are sorted in between
    aggregate = opened("quantile")
    for part in np.array_split(values, 7):
        aggregate.add(arrivals(0, part.tolist()))
    ordered = np.sort(values)
    found = row(aggregate)
    assert found["median"] == pytest.approx(ordered[199_999], rel=RELATIVE_ERROR)
    assert found["p95"] == pytest.approx(ordered[379_999], rel=RELATIVE_ERROR)


def test_an_unknown_aggregate() -> None:
    with pytest.raises(KeyError):
        create("mode")
