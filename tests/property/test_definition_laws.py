"""Documents of streams: whatever is in them, they are a definition or refused. Prepared rows: however they are cut."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.definition import message_columns
from ingestion.definition_document import KEYS, definition_of
from ingestion.definition_problems import InvalidDefinition
from storage.preparation.expressions import WrongExpression, connection, normalized
from storage.preparation.rows import DuckRowPreparation
from storage.preparation.statement import bind
from tests.effort import examples
from tests.streams import SMALL, a_definition

WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "machine_id sensor_id value count mean 10s 0s table type on columns machines x function of q size every gap "
        "session hopping random() value+1 (select(1))",
    )
)
DATABASE = connection()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=10)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4)
)


@given(st.dictionaries(st.sampled_from([*KEYS, "x"]), VALUES, max_size=6))
@settings(max_examples=examples(60), deadline=None)
def test_any_document_is_a_definition_or_refused(changes: dict[str, Any]) -> None:
    try:
        found = definition_of(SMALL | changes, bind=bind)
    except InvalidDefinition:
        return
    assert found.shape.schema.names[0] == "machine_id"


@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(
            ["value", "unit", "(", ")", "+", "'", "select", "from", ",", ";", "now()", "--", "sum(value)", "1"]
        ),
        max_size=8,
    ).map(" ".join)
)
@settings(max_examples=examples(100), deadline=None)
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        once = normalized(DATABASE, text, ["value", "unit"])
    except WrongExpression:
        return
    assert normalized(DATABASE, once, ["value", "unit"]) == once


DEFINITION = a_definition(
    source={"fields": {"ambient": "double"}},
    derived={"above": "value - coalesce(ambient, 1)", "share": "value / ambient"},
    filter="above > 0 or unit = 'bar'",
)
ROWS = st.lists(
    st.tuples(
        st.floats(-5, 5),
        st.sampled_from(["bar", "A", None]),
        st.none() | st.sampled_from([0.0, 1.0, -2.5]),
    ),
    max_size=30,
)


@given(ROWS, st.lists(st.integers(0, 30), max_size=4))
@settings(max_examples=examples(40), deadline=None)
def test_rows_are_prepared_alike_however_they_are_cut(
    rows: list[tuple[float, str | None, float | None]], cuts: list[int]
) -> None:
    preparation = DuckRowPreparation(DEFINITION, lambda: None, Path())  # type: ignore[arg-type, return-value]
    origin = datetime(2026, 3, 1, tzinfo=UTC)
    batch = pa.RecordBatch.from_pydict(
        {
            "machine_id": ["m"] * len(rows),
            "sensor_id": ["m/flow"] * len(rows),
            "event_time": [origin + timedelta(seconds=number) for number in range(len(rows))],
            "value": [value for value, _, _ in rows],
            "unit": [unit for _, unit, _ in rows],
            "sequence": list(range(len(rows))),
            "ambient": [ambient for *_, ambient in rows],
        },
        schema=message_columns(DEFINITION.fields),
    )
    found = []
    borders = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for begin, end in pairwise(borders):
        part = preparation.prepare(batch.slice(begin, end - begin), np.arange(begin, end), "")
        assert part.offsets.tolist() == part.readings.column("sequence").to_pylist()
        found += zip(*(part.readings.column(name).to_pylist() for name in ("sequence", "above", "share")), strict=True)
    expected = []
    for number, (value, unit, ambient) in enumerate(rows):
        above = value - (1.0 if ambient is None else ambient)
        share = None if not ambient else value / ambient
        if above > 0 or unit == "bar":
            expected.append((number, above, share))
    assert found == expected
