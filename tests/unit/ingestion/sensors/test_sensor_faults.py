"""How a sensor lies."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion.sensors.faults import SENSOR_FAULTS, FaultKind
from ingestion.sensors.noise import Floats
from ingestion.sensors.sensor_faults import distort

COUNT = 10_000
INDEX = np.arange(COUNT, dtype=np.int64)
TRUE = 50.0 + np.sin(INDEX / 100.0)
ACTIVE = (INDEX >= 2000) & (INDEX < 8000)
SEVERITY = np.where(ACTIVE, (INDEX - 2000) / 6000, 0.0)


def shown(kind: FaultKind, held: float | None = None) -> tuple[Floats, float | None]:
    return distort(kind, TRUE, severity=SEVERITY, active=ACTIVE, span=100.0, held=held, key=12345, index=INDEX)


@pytest.mark.parametrize("kind", SENSOR_FAULTS)
def test_outside_of_its_episode_a_sensor_tells_the_truth(kind: FaultKind) -> None:
    value, _ = shown(kind)
    np.testing.assert_array_equal(value[~ACTIVE], TRUE[~ACTIVE])


def test_a_stuck_sensor_holds_its_last_value_also_over_blocks() -> None:
    value, held = shown(FaultKind.SENSOR_STUCK)
    assert set(value[ACTIVE]) == {TRUE[2000]}
    assert held == TRUE[2000]
    value, held = shown(FaultKind.SENSOR_STUCK, held=33.0)
    assert set(value[ACTIVE]) == {33.0}
    assert held == 33.0


def test_drift_grows_steadily_to_a_third_of_the_span() -> None:
    value, _ = shown(FaultKind.SENSOR_DRIFT)
    error = np.abs(value - TRUE)[ACTIVE]
    assert (np.diff(error) > 0).all()
    assert error[-1] == pytest.approx(30.0, rel=0.01)


def test_spikes_are_rare_and_tall() -> None:
    value, _ = shown(FaultKind.SENSOR_SPIKE)
    error = np.abs(value - TRUE)
    hit = error > 0
    assert 0.005 < hit[ACTIVE].mean() < 0.03
    assert error[hit].min() >= 50.0


def test_dropout_loses_ever_more_readings() -> None:
    value, _ = shown(FaultKind.SENSOR_DROPOUT)
    lost = np.isnan(value)
    assert lost[2000:4000].mean() < 0.25 < 0.55 < lost[6000:8000].mean()


def test_noise_grows_and_has_no_bias() -> None:
    value, _ = shown(FaultKind.SENSOR_NOISE)
    error = (value - TRUE)[ACTIVE]
    assert error[-1000:].std() > 3 * error[:1000].std()
    assert abs(error.mean()) < 0.3


def test_a_fault_of_the_machine_is_not_a_sensors() -> None:
    with pytest.raises(ValueError, match="not a fault of a sensor"):
        shown(FaultKind.WEAR)
