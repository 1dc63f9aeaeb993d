"""Which definitions may go on from each other's state."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams import a_definition


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "another"},
        {"alerts": [{"name": "hot", "threshold": {"column": "mean", "above": 90}}]},
        {"window": {"type": "tumbling", "size": "10s", "allowed_lateness": "5s", "correction_lateness": "1m"}},
        {"window": {"size": "10000ms"}},
        {"key": ["machine_id", "sensor_id"]},
    ],
)
def test_what_decides_nothing_about_a_window_may_change(changes: dict[str, Any]) -> None:
    assert a_definition(**changes).fingerprint == a_definition().fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"filter": "value > 0"},
        {"derived": {"kelvin": "value + 273.15"}},
        {"source": {"fields": {"ambient": "double"}}},
        {"join": [{"table": "machines", "on": "machine_id", "columns": {"site_id": "site"}}]},
        {"window": {"size": "20s"}},
        {"window": {"type": "session", "gap": "10s"}},
        {"window": {"type": "hopping", "size": "10s", "every": "5s"}},
        {"key": ["machine_id"]},
        {"aggregates": {"count": "count", "mean": "median"}},
        {"aggregates": {"count": "count", "mean": "mean", "max": "max"}},
    ],
)
def test_what_decides_about_windows_makes_another_stream(changes: dict[str, Any]) -> None:
    assert a_definition(**changes).fingerprint != a_definition().fingerprint
