"""How a sensor lies: drift, stuck, spikes, silence, noise. The machine behind it is well."""

from __future__ import annotations

import numpy as np

from ingestion.sensors.faults import FaultKind
from ingestion.sensors.noise import Floats, Ints, key_of, normal, uniform

_SPIKE_SHARE = 0.03  # of readings, at severity 1
_DROPOUT_SHARE = 0.8  # of readings, at severity 1


def distort(
    kind: FaultKind,
    value: Floats,
    *,
    severity: Floats,
    active: np.ndarray,
    span: float,
    held: float | None,
    key: int,
    index: Ints,
) -> tuple[Floats, float | None]:
    """What the faulty sensor shows where `active`, and the value that a stuck one goes on holding.

    `span` is the quantity's range in service, in its unit; lost readings are NaN, to be left out by the caller.
    """
    if not active.any():
        return value, None
    if kind is FaultKind.SENSOR_STUCK:
        shown = float(value[int(np.argmax(active))]) if held is None else held
        return np.where(active, shown, value), shown
    if kind is FaultKind.SENSOR_DRIFT:
        sign = 1.0 if key & 1 else -1.0
        return value + sign * 0.3 * span * severity, None
    if kind is FaultKind.SENSOR_SPIKE:
        hit = active & (uniform(key, index) < _SPIKE_SHARE * severity)
        height = (0.5 + uniform(key ^ 1, index)) * np.where(uniform(key ^ 2, index) < 0.5, -1.0, 1.0)
        return np.where(hit, value + span * height, value), None
    if kind is FaultKind.SENSOR_DROPOUT:
        lost = active & (uniform(key, index) < _DROPOUT_SHARE * severity)
        return np.where(lost, np.nan, value), None
    if kind is FaultKind.SENSOR_NOISE:
        return value + 0.12 * span * severity * normal(key, index), None
    raise ValueError(f"{kind} is not a fault of a sensor")


def key_of_fault(seed: int, fault_id: str) -> int:
    return key_of(seed, "sensor-fault", fault_id)
