"""Pumps on the market: four sizes of single-stage end-suction pumps, rated at 20 degC water."""

from __future__ import annotations

from ingestion.sensors.pump import PumpModel

CATALOGUE: tuple[PumpModel, ...] = (
    PumpModel(
        name="TM 50-200",
        rated_flow_m3h=60.0,
        rated_head_m=48.0,
        rated_efficiency=0.71,
        rated_speed_rpm=2940.0,
        motor_power_kw=15.0,
        npsh_required_m=4.2,
        base_vibration_mm_s=1.7,
    ),
    PumpModel(
        name="TM 80-200",
        rated_flow_m3h=120.0,
        rated_head_m=45.0,
        rated_efficiency=0.77,
        rated_speed_rpm=2950.0,
        motor_power_kw=30.0,
        npsh_required_m=4.8,
        base_vibration_mm_s=1.9,
    ),
    PumpModel(
        name="TM 100-315",
        rated_flow_m3h=160.0,
        rated_head_m=32.0,
        rated_efficiency=0.79,
        rated_speed_rpm=1470.0,
        motor_power_kw=22.0,
        npsh_required_m=3.8,
        base_vibration_mm_s=1.4,
    ),
    PumpModel(
        name="TM 150-315",
        rated_flow_m3h=300.0,
        rated_head_m=30.0,
        rated_efficiency=0.82,
        rated_speed_rpm=1480.0,
        motor_power_kw=37.0,
        npsh_required_m=4.5,
        base_vibration_mm_s=1.5,
    ),
)
