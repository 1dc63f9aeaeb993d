"""The six quantities that a pump's sensors measure, their units and the fineness of their digits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Channel(IntEnum):
    """Row of a quantity in every array of values, and its order among readings of one instant."""

    FLOW = 0
    SUCTION_PRESSURE = 1
    DISCHARGE_PRESSURE = 2
    MOTOR_CURRENT = 3
    BEARING_TEMPERATURE = 4
    VIBRATION = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """`decimals` is how many digits the transmitter sends; pressures are gauge, vibration is RMS velocity."""

    name: str
    unit: str
    decimals: int


QUANTITIES: tuple[Quantity, ...] = (
    Quantity(name="flow", unit="m3/h", decimals=2),
    Quantity(name="suction_pressure", unit="bar", decimals=4),
    Quantity(name="discharge_pressure", unit="bar", decimals=4),
    Quantity(name="motor_current", unit="A", decimals=2),
    Quantity(name="bearing_temperature", unit="degC", decimals=2),
    Quantity(name="vibration", unit="mm/s", decimals=3),
)


def sensor_id(machine_id: str, quantity: str) -> str:
    return f"{machine_id}/{quantity}"
