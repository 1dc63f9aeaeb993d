"""Of windows that were corrected a job gets the newest revision alone: older ones are cut out of the part files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from scoring.errors import InvalidInput
from scoring.minibatch import InputItem, Slice, SliceKind
from storage.inputs.reader import PLACE

_KEY = ["machine_id", "window_start"]
_COLUMNS = [*_KEY, "revision"]
_READERS = 4


def without_replaced(items: Sequence[InputItem], folder: Path) -> Sequence[InputItem]:
    """The items, and in place of each that holds rows of which a later revision is among the items, its other rows.

    folder  of the table that the items are part files of; one whose windows were never corrected costs one look at its
            log. Raises InvalidInput for a file that cannot be read.
    """
    if not items or not _was_corrected(folder):
        return items
    with ThreadPoolExecutor(_READERS) as pool:
        keys = list(pool.map(_keys, items))
    corrections = pa.concat_tables([of.filter(pc.greater(of["revision"], 0)) for of in keys])
    if corrections.num_rows == 0:
        return items
    newest = corrections.group_by(_KEY).aggregate([("revision", "max")])
    return [piece for item, of in zip(items, keys, strict=True) for piece in _kept(item, of, newest)]


def _was_corrected(folder: Path) -> bool:
    try:
        table = DeltaTable(str(folder))
        if not {field.name for field in table.schema().fields} >= set(_COLUMNS):
            return False
        actions = pa.table(table.get_add_actions(flatten=True))
    except (DeltaError, OSError):
        return True  # then the files are asked
    if "max.revision" not in actions.column_names:
        return False
    return (pc.max(actions["max.revision"]).as_py() or 0) > 0


def _keys(item: InputItem) -> pa.Table:
    """The rows' keys and revisions; those of a file from before there were revisions are of revision 0."""
    try:
        with pq.ParquetFile(item.uri, pre_buffer=False) as file:
            present = [name for name in _COLUMNS if name in file.schema_arrow.names]
            table = file.read(columns=present, use_threads=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidInput(f"{item.uri} cannot be read: {error}", place=PLACE) from None
    revision = table["revision"] if "revision" in present else pa.nulls(table.num_rows, pa.int32())
    columns = [table[name] if name in present else pa.nulls(table.num_rows) for name in _KEY]
    return pa.table([*columns, pc.fill_null(revision.cast(pa.int32()), 0)], names=_COLUMNS)


def _kept(item: InputItem, keys: pa.Table, newest: pa.Table) -> Iterator[InputItem]:
    """The item where none of its rows was replaced, else its runs of rows that were not.

    A machine's window is replaced whole, and its rows lie together: no run holds half of one.
    """
    numbered = keys.append_column("row", pa.array(np.arange(keys.num_rows)))
    known = numbered.join(newest, keys=_KEY, join_type="inner", use_threads=False)
    replaced = known.filter(pc.less(known["revision"], known["revision_max"]))["row"].to_numpy()
    if len(replaced) == 0:
        yield item
        return
    keep = np.ones(keys.num_rows + 2, bool)
    keep[[0, -1]] = False
    keep[replaced + 1] = False
    borders = np.flatnonzero(keep[1:] != keep[:-1])
    for start, end in zip(borders[::2].tolist(), borders[1::2].tolist(), strict=True):
        share = item.size_bytes * end // keys.num_rows - item.size_bytes * start // keys.num_rows
        part = Slice(kind=SliceKind.ROWS, start=start, end=end)
        yield InputItem(uri=item.uri, size_bytes=share, rows=end - start, records=end - start, slice=part)
