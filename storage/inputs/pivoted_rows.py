"""How many items a part file makes once its rows are pivoted, before anything is scored."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.errors import InvalidInput
from scoring.job import Pivot
from scoring.minibatch import InputItem
from storage.inputs.reader import PLACE

_READERS = 4


def with_pivoted_rows(items: Sequence[InputItem], pivot: Pivot) -> Sequence[InputItem]:
    """The items with `rows` as `run` will get them: one for each value of the pivot's index, as planned so done.

    A file without all columns of the index is left as it is: they come from a joined table, and are not known here.
    The rows that lie in the file become `records`. Raises InvalidInput for a file that cannot be read.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda item: _counted(item, pivot.index), items))


def _counted(item: InputItem, index: Sequence[str]) -> InputItem:
    try:
        with pq.ParquetFile(item.uri, pre_buffer=False) as file:
            if not index or not set(index) <= set(file.schema_arrow.names):
                return item
            keys = file.read(columns=list(index), use_threads=False)
            if item.slice is not None:
                keys = keys.slice(item.slice.start, item.slice.end - item.slice.start)
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidInput(f"{item.uri} cannot be read: {error}", place=PLACE) from None
    rows = keys.group_by(list(index), use_threads=False).aggregate([]).num_rows
    return InputItem(uri=item.uri, size_bytes=item.size_bytes, rows=rows, records=item.rows, slice=item.slice)
