"""Laws of the pump that hold at any load, wear and speed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion.sensors import cavitation, pump
from ingestion.sensors.bearing import bearing_effect
from ingestion.sensors.catalogue import CATALOGUE
from ingestion.sensors.wear import wear_effect

models = st.sampled_from(CATALOGUE)
shares = st.floats(0.0, 1.0)
speeds = st.floats(0.55, 1.15)
frictions = st.floats(0.7, 2.0)


@given(models, speeds, st.lists(st.floats(0.0, 1.6), min_size=2, max_size=20))
def test_head_falls_as_flow_grows(model: pump.PumpModel, speed: float, flows: list[float]) -> None:
    flow = np.sort(np.array(flows)) * model.rated_flow_m3h
    assert (np.diff(pump.head_m(model, flow, np.full_like(flow, speed))) <= 0).all()


@given(models, frictions, st.lists(speeds, min_size=2, max_size=20), shares)
def test_flow_grows_with_speed(model: pump.PumpModel, friction: float, found: list[float], worn: float) -> None:
    speed = np.sort(np.array(found))
    effect = wear_effect(np.full_like(speed, worn))
    assert (np.diff(pump.operating_flow_m3h(model, speed, friction, effect.head_factor)) >= 0).all()


@given(models, speeds, frictions, shares)
def test_pump_and_pipework_agree_where_they_meet(
    model: pump.PumpModel, speed: float, friction: float, worn: float
) -> None:
    factor = wear_effect(np.array([worn])).head_factor
    flow = pump.operating_flow_m3h(model, np.array([speed]), friction, factor)
    given_m = pump.head_m(model, flow, np.array([speed]), factor)
    asked_m = model.static_head_m + friction * model.friction_m_per_m3h2 * flow**2
    if flow[0] > 0:
        np.testing.assert_allclose(given_m, asked_m, rtol=1e-9)
    else:
        assert given_m[0] <= asked_m[0]


@given(models, speeds, st.floats(0.02, 1.4), st.floats(1.01, 1.3))
def test_affinity_laws(model: pump.PumpModel, speed: float, share: float, faster: float) -> None:
    """Along a parabola through the origin flow goes with speed, head with its square, efficiency stays."""
    slow, fast = np.array([speed]), np.array([speed * faster])
    flow = share * model.rated_flow_m3h * slow
    np.testing.assert_allclose(
        pump.head_m(model, flow * faster, fast), pump.head_m(model, flow, slow) * faster**2, atol=1e-9
    )
    np.testing.assert_allclose(pump.efficiency(model, flow * faster, fast), pump.efficiency(model, flow, slow))


@given(models, speeds, frictions, shares)
def test_no_energy_comes_from_nothing(model: pump.PumpModel, speed: float, friction: float, worn: float) -> None:
    """Water gets less than the shaft gives, the shaft less than the motor takes from the mains."""
    s = np.array([speed])
    effect = wear_effect(np.array([worn]))
    flow = pump.operating_flow_m3h(model, s, friction, effect.head_factor)
    head = pump.head_m(model, flow, s, effect.head_factor)
    efficient = pump.efficiency(model, flow, s, effect.efficiency_factor)
    hydraulic = pump.hydraulic_power_kw(flow, head)[0]
    shaft = pump.shaft_power_kw(model, flow, head, efficient, s)[0]
    current = pump.motor_current_a(model, np.array([shaft]))[0]
    mains_kw = np.sqrt(3) * model.voltage_v * current * model.power_factor / 1e3
    assert 0 <= hydraulic < shaft < mains_kw
    assert hydraulic / shaft < model.rated_efficiency


@given(models, speeds, frictions, shares, shares)
def test_more_wear_is_less_water_for_each_kilowatt(
    model: pump.PumpModel, speed: float, friction: float, one: float, other: float
) -> None:
    s = np.array([speed, speed])
    effect = wear_effect(np.sort(np.array([one, other])))
    flow = pump.operating_flow_m3h(model, s, friction, effect.head_factor)
    assert flow[1] <= flow[0]
    efficient = pump.efficiency(model, np.array([flow[0]] * 2), s, effect.efficiency_factor)
    assert efficient[1] <= efficient[0]


@given(models, st.floats(0.2, 0.6), st.floats(0.0, 1.2), shares, shares)
def test_clogging_lowers_the_suction_and_raises_cavitation(
    model: pump.PumpModel, tank_bar: float, share: float, one: float, other: float
) -> None:
    severity = np.sort(np.array([one, other]))
    flow = np.full(2, share * model.rated_flow_m3h)
    suction = cavitation.suction_pressure_bar(model, np.full(2, tank_bar), flow, severity)
    developed = cavitation.intensity(cavitation.npsh_margin_m(model, suction, flow))
    assert -pump.ATMOSPHERE_BAR < suction[1] <= suction[0] <= tank_bar
    assert 0 <= developed[0] <= developed[1] <= 1
    effect = cavitation.cavitation_effect(developed)
    assert (np.diff(effect.head_factor) <= 0).all()
    assert (np.diff(effect.vibration_mm_s) >= 0).all()


@given(models, st.floats(0.3, 0.6), st.floats(0.4, 1.15))
def test_a_clean_strainer_does_not_cavitate(model: pump.PumpModel, tank_bar: float, share: float) -> None:
    flow = np.array([share * model.rated_flow_m3h])
    suction = cavitation.suction_pressure_bar(model, np.array([tank_bar]), flow, np.zeros(1))
    assert cavitation.intensity(cavitation.npsh_margin_m(model, suction, flow))[0] < 0.02


@given(shares, shares, speeds)
def test_a_bearing_never_gets_better_by_itself(one: float, other: float, speed: float) -> None:
    effect = bearing_effect(np.sort(np.array([one, other])), np.full(2, speed))
    for worse in (effect.vibration_mm_s, effect.roughness, effect.heat_k, effect.friction_share):
        assert worse[1] >= worse[0] >= 0
