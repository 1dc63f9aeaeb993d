"""Where a Parquet file can be cut: between its row groups, and inside of those that are too large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, kw_only=True)
class ParquetCut:
    """`pieces` are half-open ranges of rows, one behind the other, over all `rows` of the file."""

    rows: int
    pieces: tuple[tuple[int, int], ...]


def cut_parquet(path: Path, *, rows: int | None = None, share: float | None = None) -> ParquetCut | None:
    """Pieces of at most `rows` rows, or of a `share` (0 to 1) of the file's rows. None where it is no Parquet file."""
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return None  # whoever reads it will say why, for this file alone
    total = metadata.num_rows
    most = rows if rows is not None else max(1, -(-int(total * (share or 1.0) * 1e6) // 1_000_000))
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    return ParquetCut(rows=total, pieces=tuple(_pieces(groups, most)))


def _pieces(groups: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    start = end = 0
    for rows in groups:
        if end - start + rows > most and end > start:
            yield start, end
            start = end
        if rows > most:
            count = -(-rows // most)
            for number in range(1, count + 1):
                piece_end = end + rows * number // count
                yield start, piece_end
                start = piece_end
        end += rows
    if end > start:
        yield start, end
