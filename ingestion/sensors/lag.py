"""First-order lag: how a mass of metal follows the heat that it is given."""

from __future__ import annotations

import math

import numpy as np

from ingestion.sensors.noise import Floats


def first_order_lag(target: Floats, before: float, step_s: float, time_constant_s: float) -> Floats:
    """y' = (target - y) / time_constant, one value a step, exact for a target held over each step.

    `before` is y one step before the first value; the last value returned is the next call's `before`.
    """
    keep = math.exp(-step_s / time_constant_s)
    if keep < 1e-6:
        return target.copy()
    # the closed form divides by keep**n, so a part must be short enough that this stays far from overflow
    part = max(1, min(len(target), int(math.log(1e12) / -math.log(keep)))) if len(target) else 1
    powers = keep ** np.arange(1, part + 1, dtype=np.float64)
    result = np.empty_like(target)
    for begin in range(0, len(target), part):
        piece = target[begin : begin + part]
        decay = powers[: len(piece)]
        result[begin : begin + part] = decay * (before + (1.0 - keep) * np.cumsum(piece / decay))
        before = float(result[begin + len(piece) - 1])
    return result
