"""aiokafka's fetcher hands on the bytes of a fetch as they came, undecoded.

The stream decodes them itself, many records at a time and beside the event loop (`record_batches`). aiokafka makes the
two classes below of every answer of the broker; what is put in their place keeps what its fetcher asks of them: whether
there is a whole batch, and which offset to fetch next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher

from ingestion.stream.record_batches import fetched, holds_a_batch


class FetchedBytes:
    """In the place of MemoryRecords: the bytes of one partition."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def has_next(self) -> bool:
        return holds_a_batch(self.data)

    def size_in_bytes(self) -> int:
        return len(self.data)


class FetchedPartition(fetcher.PartitionRecords):
    """A fetched partition that yields one Fetched."""

    _records: FetchedBytes
    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        found = fetched(self._records.data, self.next_fetch_offset)
        self.next_fetch_offset = found.next_offset
        yield found


def install() -> None:
    """Let this process's consumers hand out what they fetch as Fetched."""
    fetcher.MemoryRecords = FetchedBytes
    fetcher.PartitionRecords = FetchedPartition
