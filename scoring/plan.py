"""From listed items to mini-batches: the same items and size give the same mini-batches, always."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scoring.errors import InvalidInput
from scoring.job import JobInputType
from scoring.minibatch import InputItem, MiniBatch


def plan(input_type: JobInputType, items: Sequence[InputItem], mini_batch_size: int) -> tuple[MiniBatch, ...]:
    """Cut `items`, in their order, into mini-batches.

    uri_file, uri_folder  `mini_batch_size` files each, the last one may be smaller
    table                 whole part files, as many as fit into `mini_batch_size` rows and one at least: a part file is
                          never split, because the rows that belong together (one machine's window) lie in one file

    Raises InvalidInput for a size below 1, and for a part file without a row count.
    """
    if mini_batch_size < 1:
        raise InvalidInput(f"{mini_batch_size} is too small; allowed are 1 and more", place="mini_batch_size")
    cut = _by_rows if input_type is JobInputType.TABLE else _by_count
    return tuple(MiniBatch(index=index, items=group) for index, group in enumerate(cut(items, mini_batch_size)))


def planned_items(mini_batch: MiniBatch) -> int:
    """Items of a mini-batch as far as known before it is read: rows of part files, else files."""
    return sum(1 if item.rows is None else item.rows for item in mini_batch.items)


def _by_count(items: Sequence[InputItem], size: int) -> Iterator[tuple[InputItem, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def _by_rows(items: Sequence[InputItem], size: int) -> Iterator[tuple[InputItem, ...]]:
    group: list[InputItem] = []
    rows = 0
    for item in items:
        if item.rows is None:
            raise InvalidInput("a part file of a table needs its number of rows", place=item.uri)
        if item.rows == 0:
            continue  # an empty frame would never reach `run`
        if group and rows + item.rows > size:
            yield tuple(group)
            group, rows = [], 0
        group.append(item)
        rows += item.rows
    if group:
        yield tuple(group)
