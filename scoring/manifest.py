"""The frozen, ordered, fingerprinted list of a job's mini-batches.

Stored before any scoring, so that a crash changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from scoring.minibatch import MiniBatch


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`from_version` (exclusive) and `to_version` (inclusive) are the lake versions it covers, for table inputs.

    static_path  folder with the snapshot of the joined static tables, one Parquet file each; None without joins
    """

    job_name: str
    mini_batches: tuple[MiniBatch, ...]
    from_version: int | None = None
    to_version: int | None = None
    static_path: str | None = None

    @property
    def fingerprint(self) -> str:
        """sha256 over order, paths and sizes; equal fingerprints score the same things in the same mini-batches."""
        digest = hashlib.sha256()
        for mini_batch in self.mini_batches:
            digest.update(f"#{mini_batch.index}\n".encode())
            for item in mini_batch.items:
                digest.update(f"{item.uri}\0{item.size_bytes}\0{item.rows}\n".encode())
                if item.slice is not None:
                    digest.update(f"{item.slice.kind} {item.slice.start} {item.slice.end}\n".encode())
        return digest.hexdigest()

    def remaining(self, done: Collection[int]) -> tuple[MiniBatch, ...]:
        """What is left to score when the mini-batches with these indexes have ended."""
        ended = set(done)
        return tuple(m for m in self.mini_batches if m.index not in ended)
