"""From listed items to mini-batches: the same items and size give the same mini-batches, always."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from scoring.deployment import Deployment, InputFormat
from scoring.errors import InvalidInput
from scoring.job import JobInputType
from scoring.mini_batch_size import MiniBatchSize, SizeUnit
from scoring.minibatch import InputItem, MiniBatch


def plan(input_type: JobInputType, items: Sequence[InputItem], size: MiniBatchSize) -> tuple[MiniBatch, ...]:
    """Pack `items`, in their order, into mini-batches: as many as fit into `size`, and one at least.

    files  that many files each, the last one may be smaller; of a table that many rows, in whole part files: the rows
           that belong together (one machine's window) lie in one file
    bytes  by the items' sizes
    rows   by their counted rows; an item whose rows are not known is a mini-batch of its own

    Large files have been cut into slices before (`storage.inputs.splitting`), where that is allowed.
    Raises InvalidInput for a size below 1, and for a part file without a row count.
    """
    if size.number < 1:
        raise InvalidInput(f"{size.number} is too small; allowed are 1 and more", place="mini_batch_size")
    if input_type is JobInputType.TABLE:
        items = _with_rows(items)
    weigh = _weight(input_type, size)
    return tuple(MiniBatch(index=index, items=group) for index, group in enumerate(_packed(items, size.number, weigh)))


def check_size(deployment: Deployment, input_type: JobInputType) -> None:
    """Raises InvalidInput for a number of rows where `run` gets whole files."""
    size = deployment.batch_size
    files = input_type is not JobInputType.TABLE and deployment.input_format is InputFormat.FILES
    if files and size.unit is SizeUnit.ROWS:
        raise InvalidInput(
            f"found `{size}`; input_format files gives whole files to run(), "
            "so write input_format slices or dataframe, or a size such as 10MB",
            place="mini_batch_size",
        )


def planned_items(mini_batch: MiniBatch) -> int:
    """Items of a mini-batch as far as known before it is read: rows of part files, else files."""
    return sum(1 if item.rows is None else item.rows for item in mini_batch.items)


def largest_first(mini_batches: Sequence[MiniBatch]) -> list[MiniBatch]:
    """The order to hand them out in: the last one running is then a small one. Equal ones keep their order."""
    return sorted(mini_batches, key=lambda mini_batch: -sum(item.size_bytes for item in mini_batch.items))


def _with_rows(items: Sequence[InputItem]) -> Sequence[InputItem]:
    for item in items:
        if item.rows is None:
            raise InvalidInput("a part file of a table needs its number of rows", place=item.uri)
    return [item for item in items if item.rows]  # an empty frame would never reach `run`


def _weight(input_type: JobInputType, size: MiniBatchSize) -> Callable[[InputItem], int]:
    if size.unit is SizeUnit.BYTES:
        return lambda item: item.size_bytes
    if input_type is JobInputType.TABLE:
        return lambda item: item.rows or 0
    if size.unit is SizeUnit.ROWS:
        return lambda item: size.number if item.records is None else item.records
    return lambda item: 1


def _packed(
    items: Sequence[InputItem], most: int, weigh: Callable[[InputItem], int]
) -> Iterator[tuple[InputItem, ...]]:
    group: list[InputItem] = []
    filled = 0
    for item in items:
        weight = weigh(item)
        if group and filled + weight > most:
            yield tuple(group)
            group, filled = [], 0
        group.append(item)
        filled += weight
    if group:
        yield tuple(group)
