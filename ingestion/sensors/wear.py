"""Wear of impeller and wear rings: less head, more flow back inside the pump, hence more power for less water."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.sensors.noise import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class WearEffect:
    """Factors of head and efficiency (1 is new), and added vibration (mm/s) from lost balance."""

    head_factor: Floats
    efficiency_factor: Floats
    vibration_mm_s: Floats


def wear_effect(severity: Floats) -> WearEffect:
    """`severity` 0 is new, 1 is due for overhaul: an eighth of the head and a sixth of the efficiency lost."""
    return WearEffect(
        head_factor=1.0 - 0.125 * severity,
        efficiency_factor=1.0 - 0.165 * severity,
        vibration_mm_s=1.1 * severity**2,
    )
