"""Decompression of Kafka's record batches by libraries that are here already.

aiokafka asks one optional package (cramjam) for lz4, zstd and snappy. pyarrow and lz4 do the same work, so that their
decompressors are put in that package's place, where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import aiokafka.codec
import lz4.frame
import pyarrow as pa
from aiokafka.errors import CorruptRecordException

_CODECS: Mapping[int, Callable[[Any], bytes]] = {
    0: bytes,
    1: aiokafka.codec.gzip_decode,
    2: aiokafka.codec.snappy_decode,
    3: lz4.frame.decompress,
    4: aiokafka.codec.zstd_decode,
}
"""By Kafka's numbers."""


def decompressed(codec: int, payload: memoryview) -> bytes:
    """The bytes that were compressed with Kafka's codec of this number. Raises CorruptRecordException."""
    install()
    decompress = _CODECS.get(codec)
    if decompress is None:
        raise CorruptRecordException(f"compression {codec} is unknown; {', '.join(map(str, _CODECS))} are known")
    try:
        return decompress(payload)
    except Exception as error:
        raise CorruptRecordException(f"a batch cannot be decompressed: {error}") from error


def install() -> None:
    """Let aiokafka read lz4, zstd and snappy."""
    if aiokafka.codec.cramjam is None:
        aiokafka.codec.cramjam = SimpleNamespace(
            lz4=SimpleNamespace(decompress=lz4.frame.decompress),
            zstd=SimpleNamespace(decompress=_zstd),
            snappy=SimpleNamespace(decompress_raw=_snappy),
        )


def _zstd(payload: bytes) -> bytes:
    return bytes(pa.input_stream(pa.py_buffer(bytes(payload)), compression="zstd").read())


def _snappy(payload: bytes) -> bytes:
    data = bytes(payload)
    size = shift = 0
    for byte in data[:5]:  # a raw snappy block begins with its size as a varint
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return bytes(pa.decompress(data, decompressed_size=size, codec="snappy", asbytes=True))
