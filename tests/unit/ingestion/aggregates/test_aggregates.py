"""One suite for every function: parts merge to the whole, a state that was stored goes on, slots are used again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ingestion.aggregates.folding import ALWAYS_THERE, Column, Folding, column_of
from ingestion.aggregates.functions import FUNCTIONS
from ingestion.aggregates.quantile import RELATIVE_ERROR, bucket_of, middle_of
from ingestion.aggregates.spec import AggregateSpec

PARAMETERS: dict[str, dict[str, float | str]] = {"quantile": {"q": 0.3}, "rate": {"per": "2s"}}
VALUES: dict[pa.DataType, list[Any]] = {
    pa.float64(): [3.0, -1.5, 0.0, 8.25, 8.25, -700.0, 1e6, 0.001, 2.0],
    pa.int64(): [3, -1, 0, 8, 8, -700, 1_000_000, 1, 2],
    pa.string(): ["off", "on", "", "on", "on", "off", "fault", "on", "off"],
    pa.bool_(): [True, False, False, True, True, True, False, False, True],
}
EVENTS = [4, 2, 9, 2, 5, 7, 9, 1, 3]
CASES = [(name, kind) for name, function in FUNCTIONS.items() for kind in function.takes]
each_function = pytest.mark.parametrize(("name", "kind"), CASES, ids=[f"{name}-{kind}" for name, kind in CASES])


class Fold:
    """A function of one column, in a few slots."""

    def __init__(self, name: str, kind: pa.DataType, slot: int = 0, serial: int = 0, of: str = "x") -> None:
        self.of, self.kind = of, kind
        spec = AggregateSpec(column="y", function=name, of=of, parameters=PARAMETERS.get(name, {}))
        self.folding = Folding([spec], {of: kind})
        for _, part in self.folding.parts:
            part.grow(4)
        self.open(slot, serial)

    def open(self, slot: int, serial: int) -> None:
        for _, part in self.folding.parts:
            part.open(np.array([slot]), np.array([serial]))

    def add(
        self, values: Sequence[Any], *, slot: int = 0, serial: int = 0, first: int = 0, at: Sequence[int] | None = None
    ) -> None:
        n = len(values)
        events = np.array(EVENTS[first : first + n] if at is None else at, np.int64)
        column = column_of(self.of, pa.array(values, self.kind))
        named: dict[str, Column] = {self.of: column}
        self.folding.add(
            named.__getitem__, None, np.full(n, slot), np.full(n, serial), events * 1_000_000, first + np.arange(n)
        )

    def result(self, slot: int = 0, until: int = 10) -> Any:
        return self.folding.results(np.array([slot]), np.array([until * 1_000_000]))["y"][0].as_py()


def folded(name: str, values: Sequence[float], at: Sequence[int] | None = None, of: str = ALWAYS_THERE) -> Any:
    fold = Fold(name, pa.float64(), of=of)
    fold.add(values, at=at)
    return fold.result()


@each_function
@pytest.mark.parametrize("cut", [0, 1, 4, 9])
def test_parts_folded_one_after_another_are_the_whole(name: str, kind: pa.DataType, cut: int) -> None:
    whole, parts = Fold(name, kind), Fold(name, kind)
    whole.add(VALUES[kind])
    parts.add(VALUES[kind][:cut])
    parts.add(VALUES[kind][cut:], first=cut)
    assert parts.result() == whole.result()


@each_function
@pytest.mark.parametrize("cut", [0, 1, 4, 9])
def test_parts_merge_to_the_whole(name: str, kind: pa.DataType, cut: int) -> None:
    whole, early, late = Fold(name, kind), Fold(name, kind), Fold(name, kind, slot=2, serial=9)
    whole.add(VALUES[kind])
    early.add(VALUES[kind][:cut])
    late.add(VALUES[kind][cut:], slot=2, serial=9, first=cut)
    for (_, part), (_, other) in zip(early.folding.parts, late.folding.parts, strict=True):
        part.merge(np.array([0]), other, np.array([2]))
    assert early.result() == (
        pytest.approx(whole.result(), rel=1e-12) if isinstance(whole.result(), float) else whole.result()
    )


@each_function
def test_slots_of_one_part_merge(name: str, kind: pa.DataType) -> None:
    whole, both = Fold(name, kind), Fold(name, kind)
    whole.add(VALUES[kind])
    both.open(3, 7)
    both.add(VALUES[kind][:5])
    both.add(VALUES[kind][5:], slot=3, serial=7, first=5)
    for _, part in both.folding.parts:
        part.merge(np.array([0]), part, np.array([3]))
        part.release(np.array([3]))
    assert both.result() == (
        pytest.approx(whole.result(), rel=1e-12) if isinstance(whole.result(), float) else whole.result()
    )


@each_function
def test_a_stored_state_goes_on(name: str, kind: pa.DataType) -> None:
    whole, before = Fold(name, kind), Fold(name, kind)
    whole.add(VALUES[kind])
    before.add(VALUES[kind][:4])
    after = Fold(name, kind, slot=3, serial=5)
    for (_, part), (_, other) in zip(after.folding.parts, before.folding.parts, strict=True):
        stored = pa.table(dict(other.dump(np.array([0]))))
        part.load(np.array([3]), {column: stored[column].combine_chunks() for column in stored.column_names})
    after.add(VALUES[kind][4:], slot=3, serial=5, first=4)
    assert after.result(3) == whole.result()


@each_function
def test_a_slot_is_used_again(name: str, kind: pa.DataType) -> None:
    used, fresh = Fold(name, kind), Fold(name, kind)
    used.add(VALUES[kind])
    for _, part in used.folding.parts:
        part.release(np.array([0]))
    used.open(0, 1)
    for fold, serial in ((used, 1), (fresh, 0)):
        fold.add(VALUES[kind][3:5], serial=serial)
    assert used.result() == fresh.result()


@each_function
def test_nulls_are_passed_over(name: str, kind: pa.DataType) -> None:
    holes, solid = Fold(name, kind), Fold(name, kind)
    holes.add([None, VALUES[kind][0], None, VALUES[kind][3], None], at=[0, 4, 5, 6, 7])
    solid.add([VALUES[kind][0], VALUES[kind][3]], at=[4, 6])
    assert holes.result() == solid.result()


@each_function
def test_of_nothing_but_nulls_there_is_no_result(name: str, kind: pa.DataType) -> None:
    fold = Fold(name, kind)
    fold.add([None, None])
    assert fold.result() == (0 if name == "count" else None)


def test_results() -> None:
    values, at = [1.0, 2.0, 4.0, 5.0], [0, 1, 2, 4]
    found = {name: folded(name, values, at) for name, kind in CASES if kind == pa.float64()}
    assert (found["count"], found["sum"], found["mean"]) == (4, 12.0, 3.0)
    assert (found["min"], found["max"], found["first"], found["last"], found["latest"]) == (1.0, 5.0, 1.0, 5.0, 5.0)
    assert found["stddev"] == pytest.approx(math.sqrt(10 / 3), rel=1e-15)
    assert found["median"] == found["quantile"] == pytest.approx(2.0, rel=RELATIVE_ERROR)
    assert found["p95"] == pytest.approx(5.0, rel=RELATIVE_ERROR)
    assert found["rate"] == 2.0  # 4 in 4 s, per 2 s
    assert found["time_weighted_mean"] == (1 + 2 + 4 * 2 + 5 * 6) / 10


def test_order_of_arrival_does_not_change_the_course() -> None:
    values, at = [1 / 3, 2 / 7, 4 / 9, 5 / 11, 1e9], [0, 1, 2, 4, 9]
    backwards = folded("time_weighted_mean", values[::-1], at[::-1])
    assert backwards == folded("time_weighted_mean", values, at)


def test_of_one_moment_the_first_and_the_last_that_came() -> None:
    values, at = [5.0, 1.0, 2.0, 3.0, 4.0], [7, 1, 1, 9, 9]
    assert (folded("first", values, at), folded("last", values, at), folded("latest", values, at)) == (1.0, 4.0, 4.0)
    assert folded("time_weighted_mean", values, at) == (2.0 * 6 + 5.0 * 2 + 4.0 * 1) / 9
    assert folded("rate", [3.0, 4.0], [5, 5]) is None


def test_a_quantile_of_zeros_is_zero() -> None:
    assert str(folded("median", [-1.0, 0.0, -0.0, 0.0, 1.0])) == "0.0"


def test_what_is_not_finite_is_no_value() -> None:
    assert folded("count", [1.0, float("nan"), float("inf"), 2.0], of="derived") == 2
    assert folded("mean", [1.0, float("nan"), float("inf"), 2.0], of="derived") == 1.5


def test_the_spread_of_large_numbers_keeps_its_digits() -> None:
    assert folded("stddev", [1e9 + x for x in (0.1, 0.2, 0.3, 0.4)]) == pytest.approx(0.12909944, rel=1e-6)


def test_the_spread_of_one_reading_is_unknown() -> None:
    assert folded("stddev", [5.0]) is None


def test_functions_of_a_column_share_their_parts() -> None:
    specs = [AggregateSpec(column=f"q{q}", function="quantile", parameters={"q": q / 10}) for q in (1, 5, 9)]
    specs += [AggregateSpec(column=name, function=name) for name in ("mean", "sum", "count", "median")]
    prefixes = [prefix for prefix, _ in Folding(specs, {"value": pa.float64()}).parts]
    assert prefixes == ["quantile", "count", "moments"]
    lean = Folding([AggregateSpec(column="mean", function="mean")], {"value": pa.float64()})
    assert [set(part.dump(np.zeros(0, np.int64))) for _, part in lean.parts] == [{"count"}, {"total"}]


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
    fold = Fold("p95", pa.float64())
    for part in np.array_split(values, 7):
        fold.add(part.tolist(), at=np.arange(len(part)).tolist())
    assert fold.result() == pytest.approx(np.sort(values)[379_999], rel=RELATIVE_ERROR)
