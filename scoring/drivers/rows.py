"""What `run` returned, written to files: lines or rows for the output file, rows for the predictions tables."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any


class WrongReturnType(Exception):
    """`run` returned what it may not; Azure's name for it is EntryScriptRunReturnWrongType."""


def count(result: Any) -> int:
    """How many rows were returned. Raises WrongReturnType."""
    if isinstance(result, (list, tuple)) or is_frame(result):
        return len(result)
    kind = type(result).__name__
    shown = kind if result is not None else "None"
    raise WrongReturnType(f"returned {shown}; allowed are list, tuple and pandas.DataFrame")


def is_frame(result: Any) -> bool:
    # a script can only have made a DataFrame if pandas is loaded: no need to import it for those without
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(result, pandas.DataFrame)


def write(
    result: Any,
    stem: str,
    *,
    text: bool,
    predictions: bool,
    keys: Any = None,
    output: dict[str, Any] | None = None,
    sources: list[str] | None = None,
) -> str | None:
    """Write the rows beside `stem` (a path without suffix), whole and flushed to disk; return the first file's path.

    text     lines as Azure's append_row writes them
    output   or rows with named columns: `format` (csv, jsonl, parquet), and `source`: with the file that each is of
    keys     DataFrame of the scored rows' index columns, one row each; they are added where the script left them out,
             if it returned one row for each
    sources  the files that the items came from, one each
    """
    written = []
    if text:
        written.append(_whole(stem + ".txt", lambda path: _write_text(result, path)))
    elif output is not None:
        known = keys if keys is not None and len(keys) == len(result) else None
        named = _named(result, known, _sources(sources, len(result)) if output.get("source") else None)
        suffix, fill = _output_part(output["format"], named)
        written.append(_whole(stem + suffix, lambda path: fill(named, path)))
    if predictions:
        if is_frame(result) and _arrow() is not None:
            written.append(_whole(stem + ".arrow", lambda path: _write_arrow(result, path, keys)))
        else:
            written.append(_whole(stem + ".jsonl", lambda path: _write_json(result, path, keys)))
    return written[0] if written else None


def _whole(path: str, fill: Callable[[str], None]) -> str:
    """The file under its name is complete and on disk, or it is not there."""
    half = path + ".tmp"
    fill(half)
    fd = os.open(half, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(half, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def _write_text(result: Any, path: str) -> None:
    with open(path, "wb") as file:
        if is_frame(result):
            # Azure separates by spaces what a script returned, and by commas what an MLflow model predicted
            separator = result.attrs.get("separator", " ")
            file.write(_encoded(result.to_csv(header=False, index=False, sep=separator)))
        else:
            for item in result:
                file.write(_encoded(str(item)) + b"\n")


def _encoded(text: str) -> bytes:
    try:
        # file names that are no UTF-8 come back as the bytes they were
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _sources(sources: list[str] | None, count: int) -> list[str | None]:
    """Known where there is one row an item, or where all items are of one file."""
    if sources is not None and len(sources) == count:
        return list(sources)
    one = set(sources or ())
    return [one.pop() if len(one) == 1 else None] * count


def _named(result: Any, keys: Any, sources: list[str | None] | None) -> Any:
    """The rows with their columns: a DataFrame, or a list of dicts. Raises WrongReturnType."""
    if is_frame(result):
        names = [str(name) for name in result.columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise WrongReturnType(f"returned a DataFrame with two columns {twice!r}")
        for name in reversed([] if keys is None else list(keys.columns)):
            if name not in names:
                result = result.copy(deep=False)
                result.insert(0, name, keys[name].array)
        if sources is None:
            return result
        _refuse_source(names)
        return result.assign(source=sources)
    records = [_as_named(item) for item in result]
    if keys is not None:
        extra = keys.to_dict("records")
        records = [dict(_as_named(extra[place]), **record) for place, record in enumerate(records)]
    if sources is not None:
        for record, source in zip(records, sources):  # noqa: B905
            _refuse_source(record)
            record["source"] = source
    return records


def _refuse_source(names: Any) -> None:
    if "source" in names:
        raise WrongReturnType("returned a column 'source', and output_source adds one of that name; rename it")


def _as_named(item: Any) -> dict[str, Any]:
    """A dict's keys, a named tuple's names, the places of a list or tuple; anything else is the `prediction`."""
    if hasattr(item, "_asdict"):
        item = item._asdict()
    if isinstance(item, (list, tuple)):
        item = dict(enumerate(item))
    if isinstance(item, dict):
        return {str(key): _plain(value) for key, value in item.items()}
    return {"prediction": _plain(item)}


def _output_part(kind: str, named: Any) -> tuple[str, Callable[[Any, str], None]]:
    """The ending of the part and what fills it; `storage.sinks.formats` makes one file of the parts."""
    if kind == "csv":
        return ".rows", _write_csv
    if kind == "parquet" and is_frame(named) and _arrow() is not None:
        return ".feather", lambda frame, path: _write_arrow(frame, path, None)
    return ".ndjson", lambda rows, path: _write_json(rows, path, None)


def _write_csv(named: Any, path: str) -> None:
    """The first line is a JSON list of the columns' names; CSV without a header follows."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        if is_frame(named):
            file.write(json.dumps([str(name) for name in named.columns]) + "\n")
            if len(named.columns):
                named.to_csv(file, header=False, index=False)
            return
        names = list(dict.fromkeys(name for record in named for name in record))
        file.write(json.dumps(names) + "\n")
        lines = csv.writer(file, lineterminator="\n")
        for record in named:
            lines.writerow([_cell(record.get(name)) for name in names])


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _write_json(result: Any, path: str, keys: Any) -> None:
    records = result.to_dict("records") if is_frame(result) else [_as_record(item) for item in result]
    extra = keys.to_dict("records") if keys is not None and len(keys) == len(records) else None
    with open(path, "w", encoding="utf-8") as file:
        for number, record in enumerate(records):
            row = dict(extra[number]) if extra is not None else {}
            row.update(record)
            file.write(json.dumps(_plain(row), allow_nan=False) + "\n")


def _as_record(item: Any) -> dict[Any, Any]:
    if isinstance(item, dict):
        return item
    plain = _plain(item)
    if isinstance(plain, (int, float)) and not isinstance(plain, bool):
        return {"score": plain}
    return {"value": plain}


def _plain(value: Any) -> Any:
    """The value as JSON has it; numbers that JSON has no word for become null, unknown objects their text."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy's scalars and arrays, torch's tensors
        return _plain(value.tolist())
    return _plain(str(value))


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        return None
    return pyarrow


def _write_arrow(frame: Any, path: str, keys: Any) -> None:
    arrow = _arrow()
    columns = {}  # type: dict[str, Any]
    if keys is not None and len(keys) == len(frame):
        named = {str(name) for name in frame.columns}
        for name in keys.columns:
            if name not in named:
                columns[name] = arrow.array(keys[name], from_pandas=True)
    for position, name in enumerate(frame.columns):
        if str(name) in columns:
            raise WrongReturnType(f"returned a DataFrame with two columns {str(name)!r}")
        series = frame.iloc[:, position]
        try:
            columns[str(name)] = arrow.array(series, from_pandas=True)
        except (arrow.ArrowInvalid, arrow.ArrowTypeError, arrow.ArrowNotImplementedError):
            # mixed or foreign objects in a column: their text, rather than no row at all
            columns[str(name)] = arrow.array([None if _is_null(v) else str(v) for v in series], arrow.string())
    table = arrow.table(columns)
    import pyarrow.ipc

    with arrow.OSFile(path, "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _is_null(value: Any) -> bool:
    return value is None or value != value
