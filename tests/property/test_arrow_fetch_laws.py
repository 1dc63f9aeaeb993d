"""Many Arrow messages decoded at once mean what each means by itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.arrow_fetch import decode_streams
from ingestion.codec import decode_arrow, encode_batch
from ingestion.errors import PoisonMessage
from ingestion.reading import READING_SCHEMA
from ingestion.records import Message, Records
from tests.effort import examples

text = st.sampled_from(["m", "pump-1", "pump-22", "münze", "", "泵"])
row = st.fixed_dictionaries(
    {
        "machine_id": text,
        "sensor_id": text,
        "event_time": st.integers(-(2**62), 2**62),
        "value": st.floats(),
        "unit": st.one_of(st.none(), text),
        "sequence": st.one_of(st.none(), st.integers(0, 9)),
    }
)


def sound(rows: list[dict[str, object]]) -> bytes:
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in READING_SCHEMA]
    return encode_batch(pa.RecordBatch.from_arrays(columns, schema=READING_SCHEMA))


@st.composite
def message(draw: st.DrawFn) -> bytes:
    value = bytearray(sound(draw(st.lists(row, min_size=1, max_size=6))))
    # behind the schema: the batch's description, and what it describes: validity, offsets, strings
    head = 8 + int.from_bytes(value[4:8], "little")
    body = head + 8 + int.from_bytes(value[head + 4 : head + 8], "little")
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        word = 4 * draw(st.integers(draw(st.sampled_from([head, body, body])) // 4, len(value) // 4 - 1))
        value[word : word + 4] = draw(st.integers(-2, 12) | st.just(2**31 - 1)).to_bytes(4, "little", signed=True)
    return bytes(value)


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(message(), min_size=1, max_size=5))
def test_they_are_read_together_only_if_each_can_be_read(values: list[bytes]) -> None:
    together = decode_streams(Records.of([Message(place, 0, b"m", value) for place, value in enumerate(values)]))
    try:
        alone = [decode_arrow(value) for value in values]
    except PoisonMessage:
        assert together is None
        return
    assert together is not None
    readings, owner = together
    readings.validate(full=True)
    joined = pa.concat_batches(alone)
    assert all(readings.column(name).equals(joined.column(name)) for name in readings.schema.names if name != "value")
    found, expected = (one.column("value").to_numpy(zero_copy_only=False) for one in (readings, joined))
    assert np.array_equal(found, expected, equal_nan=True)
    assert owner.tolist() == [place for place, batch in enumerate(alone) for _ in range(batch.num_rows)]
