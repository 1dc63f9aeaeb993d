"""What is asked of a pump: demand over the day with steps, the pipework's state, the tank's level, the weather.

All of it is healthy variation, several times larger than the beginning of a fault.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion.sensors.noise import Floats, Ints, key_of, normal, smooth, uniform

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_HOUR_US = 60 * _MINUTE_US
_DAY_US = 24 * _HOUR_US
_STEP_US = 20 * _MINUTE_US
_RAMP_S = 45.0  # a drive takes this long from one demand to the next

LOWEST_DEMAND, HIGHEST_DEMAND = 0.45, 1.08


@dataclass(frozen=True, kw_only=True, slots=True)
class Climate:
    """Air around the pumps of a site. `solar_offset_h` is how far local noon is before 12:00 UTC."""

    mean_c: float
    day_swing_c: float
    solar_offset_h: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Conditions at each instant. demand: share of rated flow; friction: factor of the system curve;
    tank_bar: gauge pressure at the suction at no flow; ambient_c: air temperature."""

    demand: Floats
    friction: Floats
    tank_bar: Floats
    ambient_c: Floats


def load_at(seed: int, machine_id: str, site_id: str, climate: Climate, time_us: Ints) -> Load:
    """Conditions of one machine at the given times (microseconds since 1970, UTC)."""
    day = _day_share(time_us, climate.solar_offset_h)
    # two peaks, morning and evening, as waterworks see them
    cycle = 0.78 - 0.16 * np.cos(2 * np.pi * (day - 0.08)) - 0.08 * np.cos(4 * np.pi * (day - 0.09))
    demand = cycle + _steps(key_of(seed, machine_id, "steps"), time_us)
    demand += 0.012 * smooth(key_of(seed, machine_id, "turbulence"), time_us, 15 * _SECOND_US)
    friction = 1.0 + 0.06 * np.tanh(smooth(key_of(seed, machine_id, "pipework"), time_us, 2 * _HOUR_US))
    # a tank is a site's: pumps beside each other see the same level, emptier when much is drawn
    tank_bar = 0.42 - 0.06 * np.sin(2 * np.pi * (day - 0.2))
    tank_bar = tank_bar + 0.03 * np.tanh(smooth(key_of(seed, site_id, "tank"), time_us, _HOUR_US))
    ambient_c = climate.mean_c + climate.day_swing_c * np.sin(2 * np.pi * (day - 9.0 / 24.0))
    ambient_c = ambient_c + 1.5 * smooth(key_of(seed, site_id, "weather"), time_us, 3 * _HOUR_US)
    return Load(
        demand=np.clip(demand, LOWEST_DEMAND, HIGHEST_DEMAND), friction=friction, tank_bar=tank_bar, ambient_c=ambient_c
    )


def _day_share(time_us: Ints, solar_offset_h: float) -> Floats:
    local = time_us + round(solar_offset_h * _HOUR_US)
    result: Floats = (local % _DAY_US) / _DAY_US
    return result


def _steps(key: int, time_us: Ints) -> Floats:
    """Demand changes by up to a quarter every twenty minutes or more, at no fixed minute, over a short ramp."""
    slot = time_us // _STEP_US
    first, last = int(slot.min()), int(slot.max())
    slots = np.arange(first - 1, last + 1, dtype=np.int64)
    # every third slot keeps its neighbour's level, so that dwell times differ
    levels = 0.13 * np.clip(normal(key, slots - (uniform(key ^ 1, slots) < 0.33)), -2.0, 2.0)
    moment = uniform(key ^ 2, slots) * 0.7 * _STEP_US
    here = slot - first + 1
    since_s = (time_us - slot * _STEP_US - moment[here]) / _SECOND_US
    share = np.clip(since_s / _RAMP_S, 0.0, 1.0)
    result: Floats = levels[here - 1] + (levels[here] - levels[here - 1]) * share
    return result
