"""Dividing a mini-batch that fails, so that only the items that fail alone are lost (`retry_settings.bisect`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scoring.minibatch import MiniBatch, MiniBatchOutcome, MiniBatchResult


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a mini-batch: some of its items; of a single item of rows some of these.

    first   place of its first item in the whole mini-batch
    rows    the half-open range of rows that `run` gets, None for all
    number  1, 2, … as pieces of the mini-batch were made; 0 is the whole
    """

    mini_batch: MiniBatch
    first: int = 0
    rows: tuple[int, int] | None = None
    number: int = 0


class Division:
    """What becomes of one mini-batch's pieces. It begins with the result of the whole, which failed."""

    def __init__(self, whole: MiniBatchResult) -> None:
        self._whole = whole
        self._made = 0
        self._open: set[int] = set()
        self._ended: list[tuple[Piece, MiniBatchResult]] = []
        self._tries = whole.tries

    def halves(self, piece: Piece, items: int | None) -> Sequence[Piece]:
        """The two halves of a piece that failed; empty where it is one item. `items` are its items, where known."""
        planned = piece.mini_batch.items
        if len(planned) > 1:
            half = len(planned) // 2
            cut = [(piece.first, planned[:half], None), (piece.first + half, planned[half:], None)]
            found = [(first, replace(piece.mini_batch, items=some), rows) for first, some, rows in cut]
        elif items is not None and items > 1:
            start = 0 if piece.rows is None else piece.rows[0]
            half = items // 2
            ranges = [(start, start + half), (start + half, start + items)]
            found = [(piece.first, piece.mini_batch, rows) for rows in ranges]  # type: ignore[misc]
        else:
            return ()
        pieces = []
        for first, mini_batch, rows in found:
            self._made += 1
            self._open.add(self._made)
            pieces.append(Piece(mini_batch=mini_batch, first=first, rows=rows, number=self._made))
        return pieces

    def divided(self, piece: Piece, result: MiniBatchResult) -> None:
        """The piece failed, and its halves take its place."""
        self._open.discard(piece.number)
        if piece.number:
            self._tries += result.tries

    def end(self, piece: Piece, result: MiniBatchResult) -> MiniBatchResult | None:
        """The end of a piece; once all have ended, that of the mini-batch."""
        self._open.discard(piece.number)
        self._tries += result.tries
        self._ended.append((piece, result))
        return None if self._open else self._merged()

    def _merged(self) -> MiniBatchResult:
        results = [result for _, result in sorted(self._ended, key=lambda ended: _place(ended[0]))]
        scored = [result for result in results if result.outcome is MiniBatchOutcome.SUCCEEDED]
        parts = tuple(result.rows_path for result in scored if result.rows_path is not None)
        items, failed = sum(result.items for result in results), sum(result.failed for result in results)
        error = self._whole.error
        first = next((result.error for result in results if result.failed and result.error), error)
        if scored:
            error = f"{failed} of {items} items failed, in parts of their own; first: {first}" if failed else None
        return replace(
            self._whole,
            outcome=MiniBatchOutcome.SUCCEEDED if scored else MiniBatchOutcome.FAILED,
            items=items,
            succeeded=items - failed,
            failed=failed,
            tries=self._tries,
            seconds=sum(result.seconds for result in results),
            worker=results[-1].worker,
            rows_path=parts[0] if parts else None,
            parts=parts,
            rows=sum(result.rows for result in scored),
            error=error,
            traceback=self._whole.traceback if failed else None,
        )


def tries_of(piece: Piece, items: int | None, max_retries: int) -> int:
    """How often a piece is tried: one item as often as any mini-batch; a larger piece once, as it is divided then."""
    alone = len(piece.mini_batch.items) == 1 and (items is None or items <= 1)
    return max_retries if piece.number == 0 or alone else 1


def _place(piece: Piece) -> tuple[int, int]:
    return piece.first, 0 if piece.rows is None else piece.rows[0]
