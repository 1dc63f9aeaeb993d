"""Charts are values: what they show can be read from their specs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from dashboard import charts, theme

SINCE = datetime(2026, 3, 29, 6, 0, tzinfo=UTC)
SPAN = charts.Span(since=SINCE, until=SINCE + timedelta(hours=6))
NO_FAULTS = pd.DataFrame(columns=["machine_id", "kind", "starts_at", "ends_at", "severity"])


def times(count: int, step: str = "1min") -> pd.DatetimeIndex:
    return pd.date_range(SINCE, periods=count, freq=step, unit="us")


def scores(count: int = 60) -> pd.DataFrame:
    start = times(count)
    frame = pd.DataFrame({"window_start": start, "window_end": start + pd.Timedelta(minutes=1), "score": 1.0})
    frame["label"], frame["anomalous"], frame["top_feature"] = "normal", False, None
    return frame.assign(job_name="j", deployment_name="d", model="m:1")


def marks(spec: dict[str, Any]) -> list[str]:
    kinds = []
    for layer in spec.get("layer", [spec]):
        kinds += marks(layer) if "layer" in layer else [layer["mark"]["type"]]
    return kinds


def test_a_line_does_not_bridge_missing_data() -> None:
    frame = scores(60).drop(index=range(20, 40))
    found = charts.with_gaps(frame, "window_start")
    assert found["score"].isna().sum() == 1
    (empty,) = found.loc[found["score"].isna(), "window_start"]
    assert frame["window_start"][19] < empty < frame["window_start"][40]
    assert len(charts.with_gaps(scores(60), "window_start")) == 60
    assert len(charts.with_gaps(scores(2), "window_start")) == 2


def test_a_score_shows_threshold_faults_and_anomalies_even_without_data_in_view() -> None:
    frame = scores()
    frame.loc[10, ["score", "label", "anomalous"]] = [8.0, "anomaly", True]
    faults = pd.DataFrame(
        [
            {
                "machine_id": "p",
                "kind": "cavitation",
                "starts_at": pd.Timestamp(SINCE) - pd.Timedelta(hours=1),
                "ends_at": pd.Timestamp(SINCE) + pd.Timedelta(hours=1),
                "severity": 0.8,
            }
        ]
    )
    spec = charts.score(frame, threshold=3.0, faults=faults, span=SPAN).to_dict()
    assert {"rect", "line", "point", "rule", "text"} <= set(marks(spec))
    plain = charts.score(frame, threshold=None, faults=NO_FAULTS, span=SPAN).to_dict()
    assert "rect" not in marks(plain)
    assert "rule" not in marks(plain)


def test_every_time_axis_is_utc() -> None:
    spec = charts.score(scores(), threshold=3.0, faults=NO_FAULTS, span=SPAN).to_dict()
    scales = [layer["encoding"]["x"]["scale"]["type"] for layer in spec["layer"] if "x" in layer["encoding"]]
    assert scales
    assert set(scales) == {"utc"}


def sensor_frame() -> pd.DataFrame:
    frame = pd.DataFrame({"bucket_start": times(30), "mean": 80.0, "min": 78.0, "max": 82.0, "count": 60})
    return frame.assign(sensor_id="p/flow", quantity="flow", unit="m3/h")


def test_a_far_limit_does_not_flatten_the_line_and_a_near_one_is_drawn() -> None:
    far = charts.sensor(sensor_frame(), faults=NO_FAULTS, limits=(0.0, 500.0), span=SPAN).to_dict()
    near = charts.sensor(sensor_frame(), faults=NO_FAULTS, limits=(None, 83.0), span=SPAN).to_dict()
    assert "rule" not in marks(far)
    assert "rule" in marks(near)
    assert near["title"]["text"] == "Flow"


def test_only_the_last_of_a_stack_has_time_labels() -> None:
    quiet = charts.sensor(sensor_frame(), faults=NO_FAULTS, limits=(None, None), span=replace(SPAN, labels=False))
    axes = [layer["encoding"]["x"]["axis"]["labels"] for layer in quiet.to_dict()["layer"] if "x" in layer["encoding"]]
    assert set(axes) == {False}


def test_the_heat_map_changes_hue_at_the_threshold_and_puts_the_loudest_first() -> None:
    frame = pd.DataFrame(
        {
            "machine_id": ["a", "b"],
            "bucket_start": times(2),
            "max_score": [1.0, 9.0],
            "windows": 10,
            "anomalies": [0, 9],
        }
    )
    encoding = charts.fleet_heat(frame, threshold=3.0, bucket=600, span=SPAN).to_dict()["encoding"]
    assert encoding["y"]["sort"] == ["b", "a"]
    scale = encoding["color"]["scale"]
    assert scale["type"] == "threshold"
    assert scale["range"][scale["domain"].index(3.0) + 1] == theme.HEAT[3]


def test_a_gantt_tells_retried_and_failed_mini_batches_apart() -> None:
    ended = times(4, "1s")
    frame = pd.DataFrame(
        {
            "index": range(4),
            "items": 60,
            "outcome": ["succeeded", "succeeded", "failed", None],
            "tries": [1, 2, 3, None],
            "worker": ["w0", "w1", "w0", None],
            "seconds": [0.5, 0.5, 0.5, None],
            "rows": [60, 60, 0, None],
            "started_at": ended - pd.Timedelta(seconds=0.5),
            "ended_at": [*ended[:3], pd.NaT],
            "error": None,
            "traceback": None,
        }
    )
    chart = charts.gantt(frame)
    assert list(chart.data["ended"]) == ["succeeded", "succeeded after a retry", "failed"]
    assert chart.to_dict()["encoding"]["y"]["sort"] == ["w0", "w1"]


def test_every_job_state_has_an_icon_a_mark_and_a_colour() -> None:
    from scoring.job import JobStatus

    assert set(theme.JOB_STATES) == {str(status) for status in JobStatus}
    assert theme.marked("Failed") == "✕ Failed"
    assert theme.job_state("Whatever") is theme.UNKNOWN
