"""The ids of readings as numbers, each distinct one written once: what checks and folds them groups by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.records import Records

Ints = npt.NDArray[np.int64]

_MANY = 16
"""Readings a record from which on it is cheaper to look at each record's key than at each reading's machine."""


def with_coded_ids(readings: pa.RecordBatch, owner: Ints, records: Records) -> tuple[pa.RecordBatch, bool]:
    """The readings with dictionary-encoded ids; and whether it is certain that every machine is its record's key.

    owner  the place of each reading's record, which do not descend
    """
    columns = {name: readings.column(name) for name in readings.schema.names}
    machines = _machines_of_keys(columns["machine_id"], owner, records)
    columns["machine_id"] = columns["machine_id"].dictionary_encode() if machines is None else machines
    columns["sensor_id"] = columns["sensor_id"].dictionary_encode()
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)), machines is not None


def _machines_of_keys(machines: Any, owner: Ints, records: Records) -> Any | None:
    """The column, made of the records' keys where it holds nothing else: one look at each record, not each reading."""
    if machines.null_count or not pa.types.is_string(machines.type) or len(machines) < _MANY * len(records):
        return None
    rows = np.bincount(owner, minlength=len(records))
    keys = records.keys()
    if keys.null_count or rows.min() == 0:
        return None  # a key that no reading has is no machine
    keys = keys.dictionary_encode()
    numbers, distinct_keys = keys.indices.to_numpy(), keys.dictionary.to_pylist()
    lengths = np.array([len(key) for key in distinct_keys], np.int32)[numbers]
    bounds = np.frombuffer(machines.buffers()[1], np.int32)[machines.offset : machines.offset + len(machines) + 1]
    if (bounds[1:] - bounds[:-1] != np.repeat(lengths, rows)).any():
        return None
    expected = b"".join([distinct_keys[n] * count for n, count in zip(numbers.tolist(), rows.tolist(), strict=True)])
    if not machines.buffers()[2].slice(int(bounds[0]), len(expected)).equals(pa.py_buffer(expected)):
        return None
    # what equals a column of strings is one
    return pa.DictionaryArray.from_arrays(pa.array(np.repeat(numbers, rows)), keys.dictionary.cast(pa.string()))
