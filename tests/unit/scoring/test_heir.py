"""Leases of the dead end as soon as somebody looks; a store that is away stops nobody."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from scoring.errors import TryAgain
from scoring.heir import Heir
from tests.contract.memory import MemoryJobStore
from tests.contract.values import a_job


@pytest.fixture
def store() -> MemoryJobStore:
    store = MemoryJobStore()
    store.add(a_job())
    store.claim("dead", timedelta(hours=1))
    return store


def test_what_the_dead_held_is_released_and_told(store: MemoryJobStore) -> None:
    told: list[str] = []
    Heir(store, lambda owner: owner == "dead", on_released=lambda: told.append("wake")).look()
    assert told == ["wake"]
    assert store.claim("heir", timedelta(hours=1)) is not None


def test_nothing_is_told_of_the_living(store: MemoryJobStore) -> None:
    Heir(store, lambda owner: False, on_released=lambda: pytest.fail("nothing to claim")).look()
    assert store.claim("heir", timedelta(hours=1)) is None


def test_the_loop_outlives_a_store_that_is_away_and_bugs() -> None:
    stop = threading.Event()
    errors: list[Exception] = [TryAgain("away"), RuntimeError("a bug")]

    class Away(MemoryJobStore):
        def release(self, is_gone):  # type: ignore[no-untyped-def]
            if errors:
                raise errors.pop(0)
            stop.set()
            return []

    Heir(Away(), lambda owner: True, on_released=lambda: None).serve(stop, poll=0.001)
    assert not errors
