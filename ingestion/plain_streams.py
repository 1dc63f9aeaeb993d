"""Arrow IPC streams of one record batch in READING_SCHEMA, read without opening them: that costs more than the batch.

Whether a stream's schema is that of a reading is found out once; from then on it is known by the bytes that say it.
Nothing that is read here has been validated: its offsets and lengths are the sender's.
"""

from __future__ import annotations

import pyarrow as pa

from ingestion.arrow_columns import NULLABLE_SCHEMA

ARROW_MAGIC = b"\xff\xff\xff\xff"
_PREFIX = 8  # the magic and the length of the metadata that follows
_END = ARROW_MAGIC + bytes(4)
_MOST_HEADS = 64
_plain_heads: set[bytes] = set()
"""First messages, of several writers, that say READING_SCHEMA."""


def remember(data: pa.Buffer) -> None:
    """This stream's schema is READING_SCHEMA."""
    if len(_plain_heads) < _MOST_HEADS:
        held = memoryview(data)
        _plain_heads.add(bytes(held[: _PREFIX + int.from_bytes(held[4:_PREFIX], "little")]))


def plain_batch(data: pa.Buffer, held: bytes, at: int, end: int) -> pa.RecordBatch | None:
    """The one batch of the stream from `at` to `end`, not validated; None where it is anything else.

    held  the bytes of `data`
    """
    begin = at + _PREFIX + int.from_bytes(held[at + 4 : at + _PREFIX], "little")
    size = end - len(_END) - begin
    if size <= 0 or held[at:begin] not in _plain_heads or held[end - len(_END) : end] != _END:
        return None
    try:
        message = pa.ipc.read_message(data.slice(begin, size))
        if message.type != "record batch" or _PREFIX + message.metadata.size + message.body.size != size:
            return None
        return pa.ipc.read_record_batch(message, NULLABLE_SCHEMA)
    except (pa.ArrowException, OSError, EOFError, ValueError):
        return None  # what is wrong, or whether it is, says whoever opens the stream
