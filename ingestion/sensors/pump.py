"""A centrifugal pump: curves of head, efficiency and power, and the point where it meets its pipework.

Units are in the names: flow m3/h, head m of water, pressure bar (gauge), power kW, current A. Speed: share of rated.
Affinity laws: at a speed share s, flow scales with s, head with s squared, power with s cubed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion.sensors.noise import Floats

WATER_DENSITY_KG_M3 = 998.0
GRAVITY_M_S2 = 9.81
BAR_PER_METRE = WATER_DENSITY_KG_M3 * GRAVITY_M_S2 / 1e5
ATMOSPHERE_BAR = 1.013
VAPOUR_HEAD_M = 0.25  # of water at 20 degC

_SHUTOFF_SHARE = 1.25  # head at closed valve, as a share of rated head
_STATIC_SHARE = 0.45  # of rated head: what the pipework asks at no flow
_MAGNETISING_SHARE = 0.30  # of rated current: flows without any load


@dataclass(frozen=True, kw_only=True, slots=True)
class PumpModel:
    """A type of pump with its motor; rated is also the best-efficiency point (BEP)."""

    name: str
    rated_flow_m3h: float
    rated_head_m: float
    rated_efficiency: float
    rated_speed_rpm: float
    motor_power_kw: float
    npsh_required_m: float
    base_vibration_mm_s: float
    voltage_v: float = 400.0
    motor_efficiency: float = 0.93
    power_factor: float = 0.86

    @property
    def shutoff_head_m(self) -> float:
        return _SHUTOFF_SHARE * self.rated_head_m

    @property
    def curve_m_per_m3h2(self) -> float:
        """k of H = H0 - k Q^2, such that the curve passes through the rated point."""
        return (self.shutoff_head_m - self.rated_head_m) / self.rated_flow_m3h**2

    @property
    def rated_shaft_power_kw(self) -> float:
        return self.rated_flow_m3h / 3600 * self.rated_head_m * BAR_PER_METRE * 1e2 / self.rated_efficiency

    @property
    def rated_current_a(self) -> float:
        """At rated shaft power."""
        return float(motor_current_a(self, np.array([self.rated_shaft_power_kw]))[0])

    @property
    def static_head_m(self) -> float:
        """What the pipework asks at no flow: height and counter-pressure."""
        return _STATIC_SHARE * self.rated_head_m

    @property
    def friction_m_per_m3h2(self) -> float:
        """r of the system curve H = Hs + r Q^2, such that it meets the pump's curve at the rated point."""
        return (self.rated_head_m - self.static_head_m) / self.rated_flow_m3h**2


def head_m(model: PumpModel, flow_m3h: Floats, speed: Floats, head_factor: Floats | float = 1.0) -> Floats:
    """H = f (H0 s^2 - k Q^2); `head_factor` f < 1 is a worn or cavitating impeller."""
    result: Floats = head_factor * (model.shutoff_head_m * speed**2 - model.curve_m_per_m3h2 * flow_m3h**2)
    return result


def operating_flow_m3h(
    model: PumpModel, speed: Floats, friction_factor: Floats | float = 1.0, head_factor: Floats | float = 1.0
) -> Floats:
    """Where the pump's curve meets Hs + friction_factor r Q^2; zero where it cannot lift the static head."""
    surplus_m = head_factor * model.shutoff_head_m * speed**2 - model.static_head_m
    slope = head_factor * model.curve_m_per_m3h2 + friction_factor * model.friction_m_per_m3h2
    result: Floats = np.sqrt(np.maximum(surplus_m, 0.0) / slope)
    return result


def speed_for_demand(model: PumpModel, demand: Floats) -> Floats:
    """Speed share at which a healthy pump in its design pipework delivers `demand` times the rated flow."""
    curve = (model.curve_m_per_m3h2 + model.friction_m_per_m3h2) * model.rated_flow_m3h**2
    result: Floats = np.sqrt((model.static_head_m + curve * demand**2) / model.shutoff_head_m)
    return result


def relative_flow(model: PumpModel, flow_m3h: Floats, speed: Floats) -> Floats:
    """Flow as a share of the best-efficiency flow at this speed."""
    return flow_m3h / (model.rated_flow_m3h * speed)


def efficiency(model: PumpModel, flow_m3h: Floats, speed: Floats, efficiency_factor: Floats | float = 1.0) -> Floats:
    """A parabola through zero at no flow with its top at the best-efficiency flow; never below 2%."""
    share = relative_flow(model, flow_m3h, speed)
    result: Floats = np.maximum(efficiency_factor * model.rated_efficiency * share * (2.0 - share), 0.02)
    return result


def shaft_power_kw(model: PumpModel, flow_m3h: Floats, head: Floats, share_efficient: Floats, speed: Floats) -> Floats:
    """Hydraulic power over efficiency, and 4% of rated power at full speed for bearings and seals."""
    hydraulic_kw = hydraulic_power_kw(flow_m3h, head)
    result: Floats = hydraulic_kw / share_efficient + 0.04 * model.rated_shaft_power_kw * speed**3
    return result


def hydraulic_power_kw(flow_m3h: Floats, head: Floats) -> Floats:
    """rho g Q H."""
    result: Floats = flow_m3h / 3600 * head * BAR_PER_METRE * 1e2
    return result


def motor_current_a(model: PumpModel, shaft_kw: Floats) -> Floats:
    """Current of the three-phase supply: what the load draws, at right angles with what magnetises."""
    per_kw = 1e3 / (np.sqrt(3.0) * model.voltage_v * model.motor_efficiency * model.power_factor)
    magnetising_a = _MAGNETISING_SHARE * model.rated_shaft_power_kw * per_kw
    result: Floats = np.sqrt((shaft_kw * per_kw) ** 2 + magnetising_a**2)
    return result


def bearing_rise_k(model: PumpModel, shaft_kw: Floats) -> Floats:
    """Steady temperature of a healthy bearing above ambient: 10 K from turning, 20 K more at rated power."""
    return 10.0 + 20.0 * shaft_kw / model.rated_shaft_power_kw


def vibration_mm_s(model: PumpModel, flow_m3h: Floats, speed: Floats) -> Floats:
    """RMS velocity of a healthy pump: least at the best-efficiency flow, growing with speed squared."""
    off_design = relative_flow(model, flow_m3h, speed) - 1.0
    result: Floats = model.base_vibration_mm_s * speed**2 * (1.0 + 1.8 * off_design**2)
    return result
