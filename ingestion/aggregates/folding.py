"""The aggregates of one shape at work: which parts they need, values into them, results out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.aggregates.count import Count
from ingestion.aggregates.functions import FUNCTIONS, Asked, Function
from ingestion.aggregates.slots import Arrivals, Ints, Part, Slots
from ingestion.aggregates.spec import AggregateSpec

ALWAYS_THERE = "value"
"""The one column of numbers that no reading lacks."""


class Column(NamedTuple):
    """One column of some readings.

    value  numbers or truths; of strings indexes of `names`
    valid  which readings have a value; None: all
    """

    value: npt.NDArray[Any]
    names: npt.NDArray[np.object_] | None
    valid: npt.NDArray[np.bool_] | None


def column_of(name: str, data: Any) -> Column:
    """A column of a record batch. Numbers that are not finite are no values, except where they cannot be."""
    valid = None if data.null_count == 0 else np.asarray(data.is_valid().to_numpy(zero_copy_only=False), bool)
    if pa.types.is_string(data.type) or pa.types.is_dictionary(data.type):
        coded = data.dictionary_encode()
        codes = coded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return Column(codes, coded.dictionary.to_numpy(zero_copy_only=False), valid)
    if valid is not None:
        data = data.fill_null(0 if pa.types.is_integer(data.type) else False if pa.types.is_boolean(data.type) else 0.0)
    value = np.ascontiguousarray(data.to_numpy(zero_copy_only=False))
    if name != ALWAYS_THERE and pa.types.is_floating(data.type):
        finite = np.isfinite(value)
        if not finite.all():
            valid = finite if valid is None else valid & finite
    return Column(value, None, valid)


class _Reader(NamedTuple):
    spec: AggregateSpec
    function: Function
    parts: Sequence[Part]
    numbers: Sequence[float]
    counted: Count | None
    kind: pa.DataType


class Folding:
    """Parts of all declared aggregates, shared between those of the same column.

    parts  by the prefix of their columns in a stored state
    """

    def __init__(self, specs: Sequence[AggregateSpec], columns: Mapping[str, pa.DataType]) -> None:
        self._of: dict[str, dict[type[Part], Part]] = {}
        self._readers: list[_Reader] = []
        for spec in specs:
            function, kind = FUNCTIONS[spec.function], columns[spec.of]
            parts = [self._part(part, spec.of, kind) for part in function.parts]
            # of strings None says that there was none
            needs_count = spec.of != ALWAYS_THERE and function.name != "count" and kind != pa.string()
            counted = self._part(Count, spec.of, kind) if needs_count else None
            numbers = [spec.number(parameter.name) for parameter in function.parameters]
            result = kind if function.result is None else function.result
            self._readers.append(_Reader(spec, function, parts, numbers, counted, result))

    def _part(self, part: type[Any], of: str, kind: pa.DataType) -> Any:
        held = self._of.setdefault(of, {})
        if part not in held:
            held[part] = part(kind)
        return held[part]

    @property
    def columns(self) -> Sequence[str]:
        """Names of the readings' columns that are read."""
        return list(self._of)

    @property
    def parts(self) -> Sequence[tuple[str, Part]]:
        """All parts, each with the prefix of its columns in a stored state."""
        return [
            (part.prefix if of == ALWAYS_THERE else f"{part.prefix}({of})", part)
            for of, held in self._of.items()
            for part in held.values()
        ]

    def add(
        self,
        column: Callable[[str], Column],
        rows: Ints | None,
        slot: Slots,
        serial: Ints,
        event_us: Ints,
        offset: Ints,
    ) -> None:
        """Fold readings into open slots, in their order.

        column  a column of the batch by name; rows are the readings' places in it, None where it is all of them
        """
        for name, parts in self._of.items():
            value, names, valid = column(name)
            if rows is not None:
                value = value[rows]
            if valid is None:
                arrivals = Arrivals(
                    slot=slot, serial=serial, value=value, names=names, event_us=event_us, offset=offset
                )
            else:
                kept = np.flatnonzero(valid if rows is None else valid[rows])
                if len(kept) == 0:
                    continue
                arrivals = Arrivals(
                    slot=slot[kept],
                    serial=serial[kept],
                    value=value[kept],
                    names=names,
                    event_us=event_us[kept],
                    offset=offset[kept],
                )
            for part in parts.values():
                part.add(arrivals)

    def results(self, slots: Slots, until_us: Ints) -> Mapping[str, pa.Array]:
        """The aggregates' columns, one element a slot.

        until_us  of each slot, where its time ends: the window's end, of a session its last reading
        """
        columns = {}
        for spec, function, parts, numbers, counted, kind in self._readers:
            values = function.read(parts, Asked(slots, until_us, numbers))
            if counted is None:
                columns[spec.column] = pa.array(values, kind, from_pandas=True)
                continue
            empty = counted.arrays["count"][slots] == 0
            if values.dtype == np.float64:
                empty |= np.isnan(values)
            columns[spec.column] = pa.array(values, kind, mask=empty)
        return columns
