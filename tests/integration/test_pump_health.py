"""The example's model: trained as a user would, loaded as a worker would, on pumps whose laws are written here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pump-health"
INDEX = ["machine_id", "window_start", "window_end"]
Run = Callable[[pd.DataFrame], pd.DataFrame]


def pumps(windows: int, *, machines: int = 4, seed: int = 1, start: str = "2026-03-01T00:00Z") -> pd.DataFrame:
    """Long rows of healthy windows: every quantity follows from the load, as in a pump."""
    chance = np.random.default_rng(seed)
    parts = []
    for number in range(machines):
        times = pd.date_range(start, periods=windows, freq="1min")
        load = (
            0.75
            + 0.15 * np.sin(np.arange(windows) / 180)
            + 0.1 * chance.integers(0, 2, windows // 30 + 1).repeat(30)[:windows]
        )
        noise = chance.normal(0, 0.01, (6, windows))
        means = {
            "flow": 100 * load,
            "suction_pressure": 1.6 - 0.5 * load**2,
            "discharge_pressure": 7 - 2.5 * load**2,
            "motor_current": 30 + 25 * load,
            "bearing_temperature": 35 + 20 * load,
            "vibration": 1 + load**2,
        }
        for row, (quantity, mean) in enumerate(means.items()):
            mean = mean * (1 + 0.05 * number) * (1 + noise[row])
            spread = mean * chance.gamma(40, 0.02 / 40, windows)
            columns = {"quantity": quantity, "mean": mean, "stddev": spread, "max": mean + 2.5 * spread}
            times_of = {
                "machine_id": f"pump-{number}",
                "window_start": times,
                "window_end": times + pd.Timedelta("1min"),
            }
            parts.append(pd.DataFrame({**times_of, **columns}))
    return pd.concat(parts, ignore_index=True)


def wide(long: pd.DataFrame) -> pd.DataFrame:
    table = long.pivot_table(index=INDEX, columns="quantity", values=["mean", "stddev", "max"])
    table.columns = [f"{quantity}_{statistic}" for statistic, quantity in table.columns]
    return table.reset_index()


def train(folder: Path, windows: pd.DataFrame, *options: str) -> dict[str, float]:
    windows.to_parquet(folder / "windows.parquet")
    command = [sys.executable, EXAMPLE / "train.py", folder / "windows.parquet", "--out", folder / "model", *options]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def figures_and_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float], Path]:
    folder = tmp_path_factory.mktemp("pump-health")
    return train(folder, pumps(1500), "--epochs", "20"), folder


@pytest.fixture
def run(figures_and_folder: tuple[dict[str, float], Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run` of the scoring script after `init`, as a worker has it."""
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(figures_and_folder[1]))
    monkeypatch.syspath_prepend(str(EXAMPLE / "code"))
    script: dict[str, object] = {"__name__": "score"}
    exec(compile((EXAMPLE / "code/score.py").read_text(), "score.py", "exec"), script)
    script["init"]()  # type: ignore[operator]
    return script["run"]  # type: ignore[return-value]


def test_training_says_what_it_saw(figures_and_folder: tuple[dict[str, float], Path]) -> None:
    figures, folder = figures_and_folder
    assert figures["windows"] == 6000
    assert figures["machines"] == 4
    assert figures["explained"] > 0.8, "the other quantities must say most of what a mean is"
    assert figures["held_out_above_threshold"] <= 0.002 * figures["held_out"]
    assert sorted(path.name for path in (folder / "model").iterdir()) == ["normalisation.json", "weights.pt"]


def test_the_same_windows_and_seed_give_the_same_model(tmp_path: Path) -> None:
    windows = pumps(300)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        train(tmp_path / name, windows, "--epochs", "2")
    assert (tmp_path / "one/model/normalisation.json").read_text() == (
        tmp_path / "two/model/normalisation.json"
    ).read_text()


def test_healthy_windows_are_normal(run: Run) -> None:
    later = wide(pumps(300, seed=9, start="2026-03-02T01:00Z"))
    scored = run(later)
    assert len(scored) == len(later)
    assert list(scored["machine_id"]) == list(later["machine_id"])
    assert (scored["label"] == "anomaly").mean() < 0.01


@pytest.mark.parametrize(
    ("column", "change", "named"),
    [
        ("vibration_mean", lambda v: v * 1.4, {"vibration"}),
        ("bearing_temperature_mean", lambda v: v + 8, {"bearing_temperature"}),
        ("discharge_pressure_mean", lambda v: v * 0.85, {"discharge_pressure"}),
        ("flow_stddev", lambda v: v * 0, {"flow"}),
    ],
)
def test_a_sensor_that_does_not_fit_the_others_is_found_and_named(
    run: Run, column: str, change: Callable[[pd.Series], pd.Series], named: set[str]
) -> None:
    windows = wide(pumps(120, seed=5, start="2026-03-02T01:00Z"))
    windows[column] = change(windows[column])
    scored = run(windows)
    assert (scored["label"] == "anomaly").mean() > 0.9
    assert set(scored["top_feature"].mode()) == named


def test_missing_values_are_left_out_not_guessed(run: Run) -> None:
    windows = wide(pumps(60, seed=6, start="2026-03-02T01:00Z"))
    without_sensor = windows.drop(columns=[c for c in windows if c.startswith("vibration")])
    without_sensor.loc[:, "flow_stddev"] = np.nan
    scored = run(without_sensor)
    assert (scored["label"] == "normal").mean() > 0.95
    assert scored["score"].notna().all()

    nothing = windows[INDEX].assign(flow_mean=np.nan)
    assert set(run(nothing)["label"]) == {"unknown"}
    assert run(nothing)["score"].isna().all()
    assert run(windows.head(0)).empty


def test_a_pump_that_was_not_in_training_is_judged_by_the_fleet(run: Run) -> None:
    stranger = wide(pumps(60, seed=6, start="2026-03-02T01:00Z")).assign(machine_id="pump-new")
    assert run(stranger)["score"].notna().all()


@pytest.mark.parametrize(
    ("windows", "said"),
    [(pumps(300).drop(columns="quantity"), "lack the columns quantity"), (pumps(10), "too few")],
)
def test_training_refuses_what_it_cannot_learn_from(tmp_path: Path, windows: pd.DataFrame, said: str) -> None:
    windows.to_parquet(tmp_path / "windows.parquet")
    ended = subprocess.run(
        [
            sys.executable,
            str(EXAMPLE / "train.py"),
            str(tmp_path / "windows.parquet"),
            "--out",
            str(tmp_path / "model"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error::UserWarning"},
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "model").exists()
