"""Files, and slices of files, as the DataFrame that `run` gets where a deployment says `input_format: dataframe`."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from typing import Any

_DELIMITED = (".csv", ".tsv")
_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


class NoFrame(Exception):
    """The file is not of a kind that a DataFrame can be made of."""


def read(paths: list[str], slices: list[Any], header: bool, cut: Any) -> tuple[Any, list[int]]:
    """All rows in the order of `paths`, and how many of them each path gave.

    header  whether the first record of a CSV names its columns; else they are numbers
    cut     the module `slices`
    """
    import pandas

    frames = [_frame(path, part, header, cut) for path, part in zip(paths, slices)]  # noqa: B905
    whole = frames[0] if len(frames) == 1 else pandas.concat(frames, ignore_index=True)
    return whole.reset_index(drop=True), [len(frame) for frame in frames]


def _frame(path: str, part: Any, header: bool, cut: Any) -> Any:
    import pandas

    ending = _ending(path)
    if ending in _PARQUET:
        return pandas.read_parquet(path) if part is None else cut.rows(path, part["start"], part["end"]).to_pandas()
    source = path if part is None else io.BytesIO(cut.content(path, part))  # type: Any
    if ending in _DELIMITED:
        first = 0 if header else None  # type: Any
        delimiter = _delimiter(path, part, cut)
        return _or_empty(lambda: pandas.read_csv(source, sep=delimiter, header=first))
    if ending in _LINES:
        return _or_empty(lambda: _json(source, lines=True))
    if ending == ".json":
        return _json(path, lines=False)
    raise NoFrame(
        "{}: no DataFrame can be made of it; allowed are files ending in {}".format(
            path, ", ".join([*_DELIMITED, *_LINES, ".json", *_PARQUET])
        )
    )


def _json(source: Any, *, lines: bool) -> Any:
    """Without the guess, by a column's name, that numbers are times; newer pandas have given up both."""
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pandas.read_json(source, lines=lines, convert_dates=False)
        except TypeError:
            return pandas.read_json(source, lines=lines)


def _or_empty(make: Callable[[], Any]) -> Any:
    """An empty file has no columns either, which pandas takes for an error."""
    import pandas

    try:
        return make()
    except pandas.errors.EmptyDataError:
        return pandas.DataFrame()


def _ending(path: str) -> str:
    stem, ending = os.path.splitext(path.lower())
    return os.path.splitext(stem)[1] if ending in _COMPRESSED else ending


def _delimiter(path: str, part: Any, cut: Any) -> str:
    """The one that the first line has most of, as where the file was cut; a comma where it has none."""
    if _ending(path) == ".tsv":
        return "\t"
    if part is None and os.path.splitext(path.lower())[1] in _COMPRESSED:
        return ","
    with open(path, "rb") as file:
        line = file.readline(4 << 20)
    return max(",;\t|", key=lambda delimiter: line.count(delimiter.encode()))
