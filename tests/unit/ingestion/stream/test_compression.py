"""Kafka's compressions, read by aiokafka through libraries that are here."""

from __future__ import annotations

import struct

import aiokafka.codec
import lz4.frame
import pyarrow as pa

from ingestion.stream import compression

PAYLOAD = b"north-pump-01 " * 5000


def test_every_compression_is_read() -> None:
    compression.install()
    assert aiokafka.codec.lz4_decode(lz4.frame.compress(PAYLOAD)) == PAYLOAD
    assert aiokafka.codec.lz4_decode(lz4.frame.compress(PAYLOAD, block_linked=False, store_size=False)) == PAYLOAD
    assert aiokafka.codec.zstd_decode(pa.compress(PAYLOAD, "zstd", asbytes=True)) == PAYLOAD
    assert aiokafka.codec.snappy_decode(pa.compress(PAYLOAD, "snappy", asbytes=True)) == PAYLOAD


def test_zstd_without_a_size_in_its_frame() -> None:
    compression.install()
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(PAYLOAD)
    assert aiokafka.codec.zstd_decode(sink.getvalue().to_pybytes()) == PAYLOAD


def test_snappy_in_the_framing_of_java_clients() -> None:
    compression.install()
    block = pa.compress(PAYLOAD, "snappy", asbytes=True)
    framed = struct.pack("!bccccccBii", -126, *(bytes([c]) for c in b"SNAPPY"), 0, 1, 1) + struct.pack("!i", len(block))
    assert aiokafka.codec.snappy_decode(framed + block) == PAYLOAD
