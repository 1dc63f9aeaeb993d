"""A mini-batch that fails is divided down to the items that fail alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from scoring.division import Division, Piece, tries_of
from scoring.minibatch import InputItem, MiniBatch, MiniBatchOutcome, MiniBatchResult


def a_batch(items: int) -> MiniBatch:
    return MiniBatch(index=4, items=tuple(InputItem(uri=f"/{n}", size_bytes=1) for n in range(items)))


def ended(items: int, *, failed: bool, rows_path: str | None = None, tries: int = 1) -> MiniBatchResult:
    return MiniBatchResult(
        index=4,
        outcome=MiniBatchOutcome.FAILED if failed else MiniBatchOutcome.SUCCEEDED,
        items=items,
        succeeded=0 if failed else items,
        failed=items if failed else 0,
        tries=tries,
        seconds=1.0,
        rows_path=rows_path,
        rows=0 if failed else items,
        error="ValueError: bad" if failed else None,
        traceback="Traceback" if failed else None,
    )


def run(mini_batch: MiniBatch, rows: int | None, bad: Callable[[Piece, int], bool]) -> tuple[MiniBatchResult, int]:
    """Divide as the compute does. `rows`: what a single item holds, where rows are items; `bad(piece, n)` its n-th."""

    def items(piece: Piece) -> int:
        if rows is None or len(piece.mini_batch.items) > 1:
            return len(piece.mini_batch.items) * (rows or 1)
        return rows if piece.rows is None else piece.rows[1] - piece.rows[0]

    calls = 0
    whole = Piece(mini_batch=mini_batch)
    division = Division(ended(items(whole), failed=True, tries=3))
    waiting = deque(division.halves(whole, items(whole)))
    if not waiting:
        return ended(items(whole), failed=True), 0
    division.divided(whole, ended(items(whole), failed=True, tries=3))
    while True:
        piece = waiting.popleft()
        calls += 1
        count = items(piece)
        failed = any(bad(piece, n) for n in range(count))
        halves = division.halves(piece, count) if failed else ()
        if halves:
            division.divided(piece, ended(count, failed=True))
            waiting += halves
            continue
        start = 0 if piece.rows is None else piece.rows[0]
        result = division.end(piece, ended(count, failed=failed, rows_path=f"{piece.first}.{start}"))
        if result is not None:
            assert not waiting
            return result, calls


@pytest.mark.parametrize("poison", range(7))
def test_one_poisoned_file_is_the_only_one_that_is_lost(poison: int) -> None:
    found, calls = run(a_batch(7), None, lambda piece, n: piece.first + n == poison)
    assert (found.outcome, found.items, found.succeeded, found.failed) == (MiniBatchOutcome.SUCCEEDED, 7, 6, 1)
    assert (found.rows, found.tries) == (6, 3 + calls)
    assert calls <= 6
    assert found.error == "1 of 7 items failed, in parts of their own; first: ValueError: bad"
    assert found.traceback == "Traceback"
    assert list(found.parts) == sorted(found.parts)
    assert found.rows_path == found.parts[0]


def test_one_poisoned_row_of_a_file_is_the_only_one_that_is_lost() -> None:
    def bad(piece: Piece, n: int) -> bool:
        start = 0 if piece.rows is None else piece.rows[0]
        return len(piece.mini_batch.items) > 1 or (piece.first == 1 and start + n == 70)

    found, calls = run(a_batch(2), 100, bad)
    assert (found.items, found.succeeded, found.failed) == (200, 199, 1)
    assert calls < 20


def test_items_that_only_fail_together_are_all_saved() -> None:
    found, _ = run(a_batch(8), None, lambda piece, n: len(piece.mini_batch.items) > 2)
    assert (found.failed, found.error, found.traceback) == (0, None, None)


def test_a_mini_batch_all_of_whose_items_fail_has_failed() -> None:
    found, _ = run(a_batch(3), None, lambda piece, n: True)
    assert (found.outcome, found.failed, found.rows_path, found.parts) == (MiniBatchOutcome.FAILED, 3, None, ())
    assert found.error == "ValueError: bad"


@pytest.mark.parametrize("items", [None, 0, 1])
def test_one_item_and_one_file_that_was_not_read_cannot_be_divided(items: int | None) -> None:
    division = Division(ended(1, failed=True))
    assert division.halves(Piece(mini_batch=a_batch(1)), items) == ()


def test_only_a_single_item_is_tried_again() -> None:
    whole = Piece(mini_batch=a_batch(4))
    half, _ = Division(ended(4, failed=True)).halves(whole, 4)
    single, _ = Division(ended(2, failed=True)).halves(half, 2)
    rows = Piece(mini_batch=a_batch(1), number=1, rows=(0, 5))
    assert [tries_of(whole, 4, 3), tries_of(half, 2, 3), tries_of(single, 1, 3)] == [3, 1, 3]
    assert [tries_of(rows, 5, 3), tries_of(rows, 1, 3), tries_of(single, None, 3)] == [1, 3, 3]
