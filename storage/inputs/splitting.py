"""Cuts files that are larger than a mini-batch into slices, where the deployment allows it: before planning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from scoring.deployment import Deployment, InputFormat
from scoring.errors import InvalidInput
from scoring.job import JobInput, JobInputType
from scoring.mini_batch_size import MiniBatchSize, SizeUnit
from scoring.minibatch import InputItem, Slice, SliceKind
from scoring.plan import check_size
from storage.inputs.parquet_rows import ParquetCut, cut_parquet
from storage.inputs.text_records import TextCut, cut_text

QUOTED = frozenset({".csv", ".tsv"})
LINES = frozenset({".jsonl", ".ndjson"})
PARQUET = frozenset({".parquet", ".pq"})


def split(deployment: Deployment, job_input: JobInput, items: Sequence[InputItem]) -> Sequence[InputItem]:
    """The items, in their order, with each one that is too large replaced by its slices.

    Files stay whole with `input_format: files`, and so do part files of a table that is pivoted (the rows of one
    machine's window must stay together) or whose `mini_batch_size` is a plain number; so does what is not CSV, TSV,
    JSONL or Parquet, by the name's ending. Raises InvalidInput for a number of rows where no file may be cut.
    """
    size = deployment.batch_size
    if job_input.type is JobInputType.TABLE:
        if size.unit is SizeUnit.FILES or job_input.pivot is not None:
            return items
        return [piece for item in items for piece in _parquet(item, size, counted=True)]
    if deployment.input_format is InputFormat.FILES:
        check_size(deployment, job_input.type)
        return items
    if size.unit is SizeUnit.FILES:
        return items
    counted = deployment.input_format is InputFormat.DATAFRAME
    return [piece for item in items for piece in _cut(item, size, counted, deployment.input_header)]


def _cut(item: InputItem, size: MiniBatchSize, counted: bool, has_header: bool) -> Iterator[InputItem]:
    ending = PurePath(item.uri).suffix.lower()
    if ending in PARQUET:
        return _parquet(item, size, counted=counted)
    if ending in QUOTED:
        return _text(item, size, counted, quoted=True, has_header=has_header)
    if ending in LINES:
        return _text(item, size, counted, quoted=False, has_header=False)
    return iter([item])


def _parquet(item: InputItem, size: MiniBatchSize, *, counted: bool) -> Iterator[InputItem]:
    if size.unit is SizeUnit.BYTES and item.size_bytes <= size.number:
        yield item
        return
    if item.slice is not None:
        yield from _cut_slice(item, item.slice, size)
        return
    path = Path(item.uri)
    if size.unit is SizeUnit.ROWS:
        found = cut_parquet(path, rows=size.number)
    else:
        found = cut_parquet(path, share=size.number / item.size_bytes)
    if found is None:
        yield item
        return
    if len(found.pieces) < 2:
        yield _item(item, item.size_bytes, found.rows, counted, None)
        return
    for start, end in found.pieces:
        share = _share(item.size_bytes, start, end, found)
        yield _item(item, share, end - start, counted, Slice(kind=SliceKind.ROWS, start=start, end=end))


def _cut_slice(item: InputItem, part: Slice, size: MiniBatchSize) -> Iterator[InputItem]:
    """Pieces of a slice of rows that is too large itself."""
    rows = part.end - part.start
    most = size.number if size.unit is SizeUnit.ROWS else max(1, rows * size.number // max(item.size_bytes, 1))
    pieces = -(-rows // most)
    for number in range(pieces):
        start, end = rows * number // pieces, rows * (number + 1) // pieces
        share = item.size_bytes * end // rows - item.size_bytes * start // rows
        piece = Slice(kind=SliceKind.ROWS, start=part.start + start, end=part.start + end)
        yield _item(item, share, end - start, True, piece)


def _share(size_bytes: int, start: int, end: int, found: ParquetCut) -> int:
    return size_bytes * end // found.rows - size_bytes * start // found.rows


def _text(
    item: InputItem, size: MiniBatchSize, counted: bool, *, quoted: bool, has_header: bool
) -> Iterator[InputItem]:
    if size.unit is SizeUnit.BYTES and item.size_bytes <= size.number:
        yield item
        return
    try:
        found = _found(Path(item.uri), size, quoted=quoted, has_header=has_header)
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", place=item.uri) from error
    if found is None:
        yield item
        return
    if len(found.pieces) < 2:
        records = found.pieces[0].records if found.pieces else 0
        yield _item(item, item.size_bytes, records, counted, None)
        return
    for piece in found.pieces:
        part = Slice(kind=SliceKind.BYTES, start=piece.start, end=piece.end, header=found.header)
        yield _item(item, piece.end - piece.start, piece.records, counted, part)


def _found(path: Path, size: MiniBatchSize, *, quoted: bool, has_header: bool) -> TextCut | None:
    if size.unit is SizeUnit.ROWS:
        return cut_text(path, quoted=quoted, has_header=has_header, rows=size.number)
    return cut_text(path, quoted=quoted, has_header=has_header, byte_size=size.number)


def _item(item: InputItem, size_bytes: int, records: int | None, counted: bool, part: Slice | None) -> InputItem:
    rows = records if counted else None
    return InputItem(uri=item.uri, size_bytes=size_bytes, rows=rows, records=records, slice=part)
