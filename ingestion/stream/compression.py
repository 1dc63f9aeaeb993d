"""Decompression of Kafka's record batches for aiokafka, by libraries that are here already.

aiokafka asks one optional package (cramjam) for lz4, zstd and snappy. pyarrow and lz4 do the same work, so that their
decompressors are put in that package's place, where it is missing.
"""

from __future__ import annotations

from types import SimpleNamespace

import aiokafka.codec
import lz4.frame
import pyarrow as pa


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
