"""Rows that were made from history beside those that a table has: what is new, what is equal, what differs. Pure.

Judged is a window at a time, with all its rows and revisions, as the stream writes it: a machine's of the built-in
stream, a key's of a defined one. Where rows came from (topic, partition, offsets) does not make them differ: recorded
files have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]

PROVENANCE = ("topic", "partition", "first_offset", "last_offset")
"""Columns that say where a row came from."""

_REVISION = "revision"
_NEW, _EQUAL, _DIFFERENT = 0, 1, 2
_SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What came of the rows that were made.

    fresh        rows that the table lacks: of windows that it has not, and revisions that follow its own
    equal        rows of windows whose newest revision is the same in the table
    different    rows of windows whose newest revision is another one in the table
    newer        those, as the revision after the table's newest
    differences  of the first of them: machine, window, and what differs
    """

    fresh: pa.Table
    equal: int
    different: int
    newer: pa.Table
    differences: Sequence[Mapping[str, Any]]


def judged(made: pa.Table, found: pa.Table, *, window: Sequence[str]) -> Judgement:
    """Compare rows of windows; both tables have the same columns, `found` may hold windows that were not made.

    window  columns that rows of one window have in common
    """
    if made.num_rows == 0 or found.num_rows == 0:
        return Judgement(fresh=made, equal=0, different=0, newer=made.slice(0, 0), differences=())
    group, of_found = codes((made, found), window)
    compared = [name for name in made.column_names if name not in (*PROVENANCE, _REVISION)]
    content, content_found = codes((made, found), compared)
    revision, revision_found = _revisions(made), _revisions(found)
    mine, theirs = _blocks(group, revision, content), _blocks(of_found, revision_found, content_found)
    count = int(max(group.max(), of_found.max())) + 1
    verdict = np.full(count, _NEW, np.int8)
    newest = np.full(count, -1, np.int64)
    newest_made = np.full(count, -1, np.int64)
    for of_group, blocks in mine.items():
        newest_made[of_group] = max(blocks)
        held = theirs.get(of_group)
        if held is not None:
            newest[of_group] = max(held)
            verdict[of_group] = _verdict(blocks, held)
    is_newest = revision == newest_made[group]
    fresh = (verdict[group] == _NEW) & (revision > newest[group])
    different = (verdict[group] == _DIFFERENT) & is_newest
    newer = made.filter(pa.array(different))
    place = newer.schema.get_field_index(_REVISION)
    raised = pa.array((newest[group] + 1)[different], pa.int32())
    return Judgement(
        fresh=made.filter(pa.array(fresh)),
        equal=int(((verdict[group] == _EQUAL) & is_newest).sum()),
        different=newer.num_rows,
        newer=newer.set_column(place, newer.schema.field(place), raised),
        differences=_told(newer, found.filter(pa.array(revision_found == newest[of_found])), window, compared),
    )


def lacking(made: pa.Table, found: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Rows of `made` that `found` has not, told apart by `columns`; of rows that are alike as many as it lacks."""
    if made.num_rows == 0 or found.num_rows == 0:
        return made
    mine, theirs = codes((made, found), columns)
    held = np.bincount(theirs, minlength=int(mine.max()) + 1)
    order = np.argsort(mine, kind="stable")
    sorted_codes = mine[order]
    first = np.searchsorted(sorted_codes, sorted_codes)
    number = np.empty(len(mine), np.int64)
    number[order] = np.arange(len(mine)) - first
    return made.filter(pa.array(number >= held[mine]))


def codes(tables: Sequence[pa.Table], columns: Sequence[str]) -> list[Ints]:
    """A number for each row, equal where all of `columns` are equal (null to null), over all tables."""
    code: Ints = np.zeros(sum(table.num_rows for table in tables), np.int64)
    for name in columns:
        # column by column: what may be null differs from table to table
        chunks = [chunk for table in tables for chunk in table[name].chunks]
        column = pa.chunked_array(chunks, tables[0].schema.field(name).type).combine_chunks()
        encoded = column.dictionary_encode(null_encoding="encode")
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.chunk(0)
        own = encoded.indices.to_numpy().astype(np.int64)
        _, code = np.unique(code * (len(encoded.dictionary) + 1) + own, return_inverse=True)
    borders = np.cumsum([table.num_rows for table in tables])[:-1]
    return [np.asarray(part, np.int64) for part in np.split(code, borders)]


def _verdict(made: Mapping[int, bytes], found: Mapping[int, bytes]) -> int:
    last_made, last_found = max(made), max(found)
    if last_found < last_made and all(made.get(number) == held for number, held in found.items()):
        return _NEW  # what follows the table's revisions
    return _EQUAL if made[last_made] == found[last_found] else _DIFFERENT


def _revisions(rows: pa.Table) -> Ints:
    return np.asarray(pc.fill_null(rows[_REVISION], 0).to_numpy(), np.int64)


def _blocks(group: Ints, revision: Ints, content: Ints) -> dict[int, dict[int, bytes]]:
    """The content of each revision of each group, whatever the order of its rows."""
    order = np.lexsort((content, revision, group))
    group, revision, content = group[order], revision[order], content[order]
    begins = np.flatnonzero(np.concatenate(([True], (group[1:] != group[:-1]) | (revision[1:] != revision[:-1]))))
    found: dict[int, dict[int, bytes]] = {}
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(group)], strict=True):
        found.setdefault(int(group[begin]), {})[int(revision[begin])] = content[begin:end].tobytes()
    return found


def _told(made: pa.Table, found: pa.Table, window: Sequence[str], compared: Sequence[str]) -> list[dict[str, Any]]:
    """Of the first windows that differ, the first row that does: its columns as the table has them, and as made."""
    told: list[dict[str, Any]] = []
    names = list(window)
    rest = [name for name in compared[: compared.index("window_start")] if name not in names]
    for key in made.select(names).group_by(names, use_threads=False).aggregate([]).slice(0, _SHOWN).to_pylist():
        mine, theirs = (_rows_of(rows, key, rest) for rows in (made, found))
        for row in sorted({*mine, *theirs}):
            before, now = theirs.get(row), mine.get(row)
            which = {**key, **dict(zip(rest, row, strict=True))}
            if before is None or now is None:
                told.append({**which, "only_in": "table" if now is None else "backfill"})
                break
            columns = {c: {"table": before[c], "backfill": now[c]} for c in compared if before[c] != now[c]}
            if columns:
                told.append({**which, "columns": columns})
                break
    return told


def _rows_of(rows: pa.Table, key: Mapping[str, Any], rest: Sequence[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of one window, by the key columns that are not in its name."""
    chosen = pa.repeat(pa.scalar(True), rows.num_rows)
    for name, held in key.items():
        chosen = pc.and_(chosen, pc.equal(rows[name], pa.scalar(held, rows[name].type)))
    return {tuple(row[name] for name in rest): row for row in rows.filter(chosen).to_pylist()}
