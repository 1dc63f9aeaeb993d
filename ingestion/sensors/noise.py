"""Randomness that depends on a key and an index alone: any part of it can be computed without the parts before."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key_of(seed: int, *names: str) -> int:
    """A 64-bit key for a named stream of random numbers below `seed`."""
    text = "\x1f".join((str(seed), *names)).encode()
    return (zlib.crc32(text) << 32) | zlib.crc32(text[::-1] + b"tidemill")


def uniform(key: int, index: Ints) -> Floats:
    """Uniform in (0, 1), by splitmix64 of key and index."""
    with np.errstate(over="ignore"):
        mixed = index.astype(np.uint64) * _GOLDEN + np.uint64(key)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(key: int, index: Ints) -> Floats:
    """Standard normal, by Box and Muller from two uniforms of the index."""
    radius = np.sqrt(-2.0 * np.log(uniform(key, index)))
    result: Floats = radius * np.cos(2.0 * np.pi * uniform(key ^ 0x5851F42D4C957F2D, index))
    return result


def smooth(key: int, time_us: Ints, knot_us: int) -> Floats:
    """Standard normals at knots every `knot_us` of absolute time, joined by a smoothstep: slow, bounded wandering."""
    knot = time_us // knot_us
    share = (time_us - knot * knot_us) / knot_us
    first, last = int(knot.min()), int(knot.max())
    values = normal(key, np.arange(first, last + 2, dtype=np.int64))
    blend = share * share * (3.0 - 2.0 * share)
    left = values[knot - first]
    result: Floats = left + (values[knot - first + 1] - left) * blend
    return result
