"""First-order lag against the recursion that it stands for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ingestion.sensors.lag import first_order_lag


@pytest.mark.parametrize("step_s", [0.1, 1.0, 60.0, 900.0, 7200.0, 1e6])
def test_the_closed_form_is_the_recursion(step_s: float) -> None:
    target = 40.0 + 10.0 * np.sin(np.arange(3000) / 50.0)
    keep = math.exp(-step_s / 900.0)
    value, expected = 25.0, []
    for one in target:
        value = keep * value + (1 - keep) * one
        expected.append(value)
    np.testing.assert_allclose(first_order_lag(target, 25.0, step_s, 900.0), expected, rtol=1e-9)


def test_after_one_time_constant_63_percent_of_the_way_is_done() -> None:
    assert first_order_lag(np.full(900, 1.0), 0.0, 1.0, 900.0)[-1] == pytest.approx(1 - math.exp(-1))


def test_no_steps_give_no_values() -> None:
    assert len(first_order_lag(np.empty(0), 1.0, 1.0, 900.0)) == 0
