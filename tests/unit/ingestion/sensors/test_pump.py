"""The pump's curves, as a maintenance engineer would draw them."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion.sensors import pump
from ingestion.sensors.catalogue import CATALOGUE
from ingestion.sensors.load import HIGHEST_DEMAND
from ingestion.sensors.pump import PumpModel

MODELS = pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)


@MODELS
def test_at_rated_speed_pump_and_pipework_meet_at_the_rated_point(model: PumpModel) -> None:
    one = np.array([1.0])
    flow = pump.operating_flow_m3h(model, one)
    assert flow[0] == pytest.approx(model.rated_flow_m3h)
    assert pump.head_m(model, flow, one)[0] == pytest.approx(model.rated_head_m)
    assert pump.efficiency(model, flow, one)[0] == pytest.approx(model.rated_efficiency)


@MODELS
def test_at_closed_valve_head_is_the_shutoff_head(model: PumpModel) -> None:
    assert pump.head_m(model, np.array([0.0]), np.array([1.0]))[0] == pytest.approx(1.25 * model.rated_head_m)


@MODELS
def test_the_speed_for_a_demand_delivers_it(model: PumpModel) -> None:
    demand = np.linspace(0.3, 1.1, 9)
    flow = pump.operating_flow_m3h(model, pump.speed_for_demand(model, demand))
    np.testing.assert_allclose(flow, demand * model.rated_flow_m3h)


def test_below_the_static_head_nothing_flows_and_nothing_breaks() -> None:
    model, speed = CATALOGUE[0], np.array([0.3])
    flow = pump.operating_flow_m3h(model, speed)
    assert flow[0] == 0.0
    power = pump.shaft_power_kw(
        model, flow, pump.head_m(model, flow, speed), pump.efficiency(model, flow, speed), speed
    )
    assert np.isfinite(power).all()
    assert power[0] >= 0


@MODELS
def test_the_motor_is_large_enough_for_the_highest_demand(model: PumpModel) -> None:
    speed = pump.speed_for_demand(model, np.array([HIGHEST_DEMAND]))
    flow = pump.operating_flow_m3h(model, speed)
    head = pump.head_m(model, flow, speed)
    power = pump.shaft_power_kw(model, flow, head, pump.efficiency(model, flow, speed), speed)
    assert model.motor_power_kw * 0.6 < power[0] < model.motor_power_kw


@MODELS
def test_an_idling_motor_still_draws_its_magnetising_current(model: PumpModel) -> None:
    idle = pump.motor_current_a(model, np.array([0.0]))[0]
    assert 0.2 * model.rated_current_a < idle < 0.4 * model.rated_current_a


@MODELS
def test_vibration_is_least_at_the_best_efficiency_flow(model: PumpModel) -> None:
    flow = np.linspace(0.3, 1.5, 121) * model.rated_flow_m3h
    vibration = pump.vibration_mm_s(model, flow, np.ones_like(flow))
    assert flow[int(np.argmin(vibration))] == pytest.approx(model.rated_flow_m3h)
