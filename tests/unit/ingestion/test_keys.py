"""Numbers of keys: the same for the same, others for others, however they come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ingestion.keys import Keys, Pairs
from ingestion.watermark import Watermarks


def test_pairs_have_one_number_each() -> None:
    random = np.random.default_rng(4)
    pairs = Pairs()
    seen: dict[tuple[int, int], int] = {}
    for top in (3, 3, 40, 1000):
        first, second = random.integers(0, top, 500), random.integers(0, top, 500)
        codes = pairs.codes_of(first, second)
        for a, b, code in zip(first.tolist(), second.tolist(), codes.tolist(), strict=True):
            assert seen.setdefault((a, b), code) == code
        assert (pairs.first[codes] == first).all()
        assert (pairs.second[codes] == second).all()
    assert sorted(seen.values()) == list(range(len(pairs)))


def test_keys_are_named_as_they_came_and_nulls_are_the_empty_string() -> None:
    watermarks = Watermarks(0)
    keys = Keys(["machine_id", "site", "sensor_id"], watermarks)
    rows = [("m", None, "s"), ("m", "", "s"), ("m", "north", "s"), ("n", None, "s"), ("m", "north", "r")]
    batch = pa.RecordBatch.from_pylist(
        [dict(zip(keys.columns, row, strict=True)) for row in rows],
        schema=pa.schema({n: pa.string() for n in keys.columns}),
    )
    machine, key = keys.identify(batch)
    assert machine.tolist() == [0, 0, 0, 1, 0]
    assert key[0] == key[1]
    assert len(set(key.tolist())) == 4
    assert keys.machine_of(key).tolist() == machine.tolist()
    named = pa.table(keys.named(key)).to_pylist()
    assert [tuple(row.values()) for row in named] == [(m, site or "", s) for m, site, s in rows]


def test_a_key_of_the_machine_alone() -> None:
    keys = Keys(["machine_id"], Watermarks(0))
    machine, key = keys.identify(pa.record_batch({"machine_id": ["a", "b", "a"]}))
    assert machine.tolist() == key.tolist() == [0, 1, 0]
    assert keys.named(key)["machine_id"].to_pylist() == ["a", "b", "a"]
