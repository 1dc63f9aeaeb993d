"""The fetcher's records as they are, without a second object for each.

aiokafka makes a ConsumerRecord of eleven fields of every record that its (compiled) decoder has made: at small messages
that costs more than their decoding. The stream reads offset, timestamp, key and value, which the first one has.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import fetcher


class PlainRecords(fetcher.PartitionRecords):
    """A fetched partition whose records come as the decoder made them."""

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        return record


def install() -> None:
    """Let this process's consumers hand out plain records."""
    fetcher.PartitionRecords = PlainRecords
