"""Cavitation behind a clogging suction strainer: the pressure before the impeller falls until the water boils there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion.sensors.noise import Floats
from ingestion.sensors.pump import ATMOSPHERE_BAR, BAR_PER_METRE, VAPOUR_HEAD_M, PumpModel

_CLEAN_LOSS_BAR = 0.14  # of suction pipe and clean strainer, at rated flow
_CLOGGED_LOSS_BAR = 0.95  # more, at rated flow and severity 1
_ONSET_MARGIN_M = 1.3
_ONSET_WIDTH_M = 0.45


@dataclass(frozen=True, kw_only=True, slots=True)
class CavitationEffect:
    """Factor of head, added vibration (mm/s), and `unrest`: factor on the fluctuation of flow, pressure, current."""

    head_factor: Floats
    vibration_mm_s: Floats
    unrest: Floats


def suction_pressure_bar(model: PumpModel, tank_bar: Floats, flow_m3h: Floats, severity: Floats) -> Floats:
    """Gauge pressure at the pump's inlet; losses grow with flow squared. A perfect vacuum bounds it."""
    loss_bar = (_CLEAN_LOSS_BAR + _CLOGGED_LOSS_BAR * severity) * (flow_m3h / model.rated_flow_m3h) ** 2
    result: Floats = np.maximum(tank_bar - loss_bar, -0.98)
    return result


def npsh_margin_m(model: PumpModel, suction_bar: Floats, flow_m3h: Floats) -> Floats:
    """Net positive suction head that is there, less what the pump requires at this flow."""
    available_m = (ATMOSPHERE_BAR + suction_bar) / BAR_PER_METRE - VAPOUR_HEAD_M
    required_m = model.npsh_required_m * (0.4 + 0.6 * (flow_m3h / model.rated_flow_m3h) ** 2)
    result: Floats = available_m - required_m
    return result


def intensity(margin_m: Floats) -> Floats:
    """0 none to 1 fully developed; it begins before the margin is used up, as it does in pumps."""
    result: Floats = 1.0 / (1.0 + np.exp(np.clip((margin_m - _ONSET_MARGIN_M) / _ONSET_WIDTH_M, -40.0, 40.0)))
    return result


def cavitation_effect(developed: Floats) -> CavitationEffect:
    """What `developed` (0 to 1) cavitation does to the pump."""
    return CavitationEffect(
        head_factor=1.0 - 0.14 * developed, vibration_mm_s=3.2 * developed, unrest=1.0 + 5.0 * developed
    )
