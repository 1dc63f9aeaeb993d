"""A damaged rolling bearing: vibration comes first, heat late, as on the curve from potential to functional failure."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.sensors.noise import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class BearingEffect:
    """Added vibration (mm/s) and heat (K), `roughness` (factor on the vibration's fluctuation), friction (share of
    rated power)."""

    vibration_mm_s: Floats
    roughness: Floats
    heat_k: Floats
    friction_share: Floats


def bearing_effect(severity: Floats, speed: Floats) -> BearingEffect:
    """`severity` 0 is sound, 1 is about to seize."""
    return BearingEffect(
        vibration_mm_s=6.5 * severity**2 * speed,
        roughness=1.0 + 2.0 * severity,
        heat_k=32.0 * severity**3,
        friction_share=0.035 * severity**2,
    )
