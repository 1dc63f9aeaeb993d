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
from storage.lake.stream_tables import key_of
from storage.lake.tables import WINDOWS

_MACHINE_WINDOW = ("machine_id", "window_start")
"""The built-in stream's windows are corrected for all sensors of their machine together."""
_READERS = 4


def without_replaced(items: Sequence[InputItem], folder: Path) -> Sequence[InputItem]:
    """The items, and in place of each that holds rows of which a later revision is among the items, its other rows.

    folder  of the table that the items are part files of; one whose windows were never corrected costs one look at its
            log. Raises InvalidInput for a file that cannot be read.
    """
    if not items or not _was_corrected(folder):
        return items
    key = _key(folder)
    with ThreadPoolExecutor(_READERS) as pool:
        keys = list(pool.map(lambda item: _keys(item, key), items))
    corrections = pa.concat_tables([of.filter(pc.greater(of["revision"], 0)) for of in keys])
    if corrections.num_rows == 0:
        return items
    newest = corrections.group_by(list(key)).aggregate([("revision", "max")])
    return [piece for item, of in zip(items, keys, strict=True) for piece in _kept(item, of, newest, key)]


def _was_corrected(folder: Path) -> bool:
    try:
        table = DeltaTable(str(folder))
        if not {field.name for field in table.schema().fields} >= {*_MACHINE_WINDOW, "revision"}:
            return False
        actions = pa.table(table.get_add_actions(flatten=True))
    except (DeltaError, OSError):
        return True  # then the files are asked
    if "max.revision" not in actions.column_names:
        return False
    return (pc.max(actions["max.revision"]).as_py() or 0) > 0


def _key(folder: Path) -> Sequence[str]:
    """What rows of one window have in common: a defined stream's sessions are corrected one by one."""
    if folder.name == WINDOWS.name:
        return _MACHINE_WINDOW
    try:
        columns = key_of(pa.schema(DeltaTable(str(folder)).schema().to_arrow()))
    except (DeltaError, OSError):
        return _MACHINE_WINDOW
    return (*columns, "window_start") if columns else _MACHINE_WINDOW


def _keys(item: InputItem, key: Sequence[str]) -> pa.Table:
    """The rows' keys and revisions; those of a file from before there were revisions are of revision 0."""
    try:
        with pq.ParquetFile(item.uri, pre_buffer=False) as file:
            present = [name for name in (*key, "revision") if name in file.schema_arrow.names]
            table = file.read(columns=present, use_threads=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidInput(f"{item.uri} cannot be read: {error}", place=PLACE) from None
    revision = table["revision"] if "revision" in present else pa.nulls(table.num_rows, pa.int32())
    columns = [table[name] if name in present else pa.nulls(table.num_rows) for name in key]
    return pa.table([*columns, pc.fill_null(revision.cast(pa.int32()), 0)], names=[*key, "revision"])


def _kept(item: InputItem, keys: pa.Table, newest: pa.Table, key: Sequence[str]) -> Iterator[InputItem]:
    """The item where none of its rows was replaced, else its runs of rows that were not.

    A machine's window is replaced whole, and its rows lie together: no run holds half of one.
    """
    numbered = keys.append_column("row", pa.array(np.arange(keys.num_rows)))
    known = numbered.join(newest, keys=list(key), join_type="inner", use_threads=False)
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
