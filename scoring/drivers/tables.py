"""Part files of a lake table as the DataFrame that `run` gets: read, joined with static tables, pivoted, sorted."""

from __future__ import annotations

import os
from typing import Any

# the column by which a static table is joined
KEYS = {"sensors": "sensor_id", "machines": "machine_id", "sites": "site_id"}
_INDEX_COLUMNS = ("machine_id", "window_start", "window_end")


class UnusableTable(Exception):
    """The rows cannot be joined or pivoted as the input asks."""


def read(paths: list[str], spec: dict[str, Any], *, slices: Any = None, read_slice: Any = None) -> Any:
    """The items of a mini-batch as a DataFrame; one row is one item.

    spec  `join` (names of static tables), `static_path` (folder of their Parquet snapshots), `pivot` (None, or its
          index, columns and values)
    slices     for each path None, or the slice of it; read by `read_slice(path, slice)`
    """
    import pyarrow
    import pyarrow.parquet

    tables = [
        pyarrow.parquet.ParquetFile(path, pre_buffer=False).read() if part is None else read_slice(path, part)
        for path, part in zip(paths, slices or [None] * len(paths))  # noqa: B905
    ]
    frame = pyarrow.concat_tables(tables, promote_options="default").to_pandas()
    static = {name: _static(name, spec.get("static_path")) for name in spec.get("join") or ()}
    pivot = spec.get("pivot")
    if pivot is None:
        for name, rows in static.items():
            frame = _joined(frame, name, rows)
        return frame.reset_index(drop=True)
    before, after = _order(frame, static, pivot)
    for name in before:
        frame = _joined(frame, name, static[name])
    frame = _pivoted(frame, pivot, _all_names(static, pivot["columns"]))
    for name in after:
        frame = _joined(frame, name, static[name])
    return frame


def keys(frame: Any, spec: dict[str, Any]) -> Any:
    """The columns that say what a row is about, to go with its prediction; None where it has none of them."""
    wanted = (spec.get("pivot") or {}).get("index") or _INDEX_COLUMNS
    present = [name for name in wanted if name in frame.columns]
    return frame[present] if present else None


def _static(name: str, folder: str | None) -> Any:
    import pyarrow.parquet

    if name not in KEYS:
        raise UnusableTable(f"{name} cannot be joined; allowed are {', '.join(KEYS)}")
    return pyarrow.parquet.read_table(os.path.join(folder or "", name + ".parquet")).to_pandas()


def _order(frame: Any, static: dict[str, Any], pivot: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Which tables are joined before the pivot (it needs their columns), and which to its rows."""
    needed = {*pivot["index"], pivot["columns"], *pivot["values"]}
    missing = needed - set(frame.columns)
    known_after = set(pivot["index"])
    before, after = [], []  # type: list[str], list[str]
    for name, rows in static.items():
        if KEYS[name] in known_after and not missing & set(rows.columns):
            after.append(name)
            known_after |= set(rows.columns)
        else:
            before.append(name)
    return before, after


def _joined(frame: Any, name: str, rows: Any) -> Any:
    key = KEYS[name]
    if key not in frame.columns:
        raise UnusableTable(
            f"{name} is joined by {key}, and the rows have no such column; join the table that has it too"
        )
    # of two columns with one name the row's own counts
    new = [key] + [column for column in rows.columns if column not in frame.columns]
    return frame.merge(rows[new], how="left", on=key, sort=False)


def _all_names(static: dict[str, Any], column: str) -> set[str]:
    """Every value that the pivoted column may have: a silent sensor must not change the columns of a mini-batch."""
    for rows in static.values():
        if column in rows.columns:
            return set(rows[column].dropna())
    return set()


def _pivoted(frame: Any, pivot: dict[str, Any], names: set[str]) -> Any:
    import pandas

    index, columns, values = list(pivot["index"]), pivot["columns"], list(pivot["values"])
    missing = [name for name in [*index, columns, *values] if name not in frame.columns]
    if missing:
        raise UnusableTable(
            f"pivot: the rows have no column {missing[0]!r}; they have {', '.join(map(str, frame.columns))}"
        )
    unknown = frame[columns].isna()
    if unknown.any():
        print(f"{int(unknown.sum())} rows without {columns} are left out of the pivot (unknown sensors?)")
        frame = frame[~unknown]
    twice = frame.duplicated([*index, columns])
    if twice.any():
        first = frame.loc[twice, [*index, columns]].iloc[0].to_dict()
        raise UnusableTable(f"pivot: more than one row for {first}")
    wide = frame.pivot(index=index, columns=columns, values=values)
    order = [(value, name) for name in sorted(names | set(frame[columns])) for value in values]
    wide = wide.reindex(columns=pandas.MultiIndex.from_tuples(order)).sort_index()
    wide.columns = [f"{name}_{value}" for value, name in order]
    return wide.reset_index()
