"""Every page on real stores: its figures equal the rows', and what is empty or away is said in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from dashboard import words
from storage.postgres.tables import metadata
from storage.queries import alerts
from storage.queries.stores import Stores
from tests.integration.dashboard.conftest import Open
from tests.plant import Plant, database

pytestmark = pytest.mark.stack

PAGES = ["views/overview.py", "views/stream.py", "views/jobs.py", "views/predictions.py"]
NOBODY = "postgresql+psycopg2://nobody:secret-word@127.0.0.1:9/none"


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def text(app: AppTest) -> str:
    """All words of the page."""
    kinds = (app.markdown, app.caption, app.warning, app.info, app.success, app.error, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def well(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def test_the_overview_shows_what_the_stores_hold(open_page: Open, plant: Plant) -> None:
    app = well(open_page())
    shown = metrics(app)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    anomalous = int((plant.predictions["label"] == "anomaly").sum())
    assert shown["Anomalous windows"] == words.count(anomalous)
    assert shown["Predictions today"] == words.count((plant.predictions["scored_at"] >= midnight).sum())
    assert shown["Jobs, last 24 h"] == words.count(
        sum(job.ended_at is not None and job.ended_at > now - timedelta(hours=24) for job in plant.jobs)
    )
    assert shown["Stream lag"] == "17"
    assert shown["Dead letters"] == "26"
    assert "alerts firing" in text(app) or "alert firing" in text(app)
    assert shown["Late readings"] != "0"
    told = text(app)
    assert "pump-health-backfill-0412" in told
    assert "harbour-pump-02/flow" in told
    assert [e.proto.spec for e in app.get("vega_lite_chart")]


def test_the_stream_page_shows_partitions_reasons_and_sensors(open_page: Open, plant: Plant) -> None:
    app = well(open_page("views/stream.py"))
    assert metrics(app)["Lag"] == "17"
    assert metrics(app)["Readable within"] == "1.2 s"
    assert "9 wait for somebody" in text(app)
    streams, partitions, late, reasons, sensors = (frame.value for frame in app.dataframe)
    assert list(streams["Stream"]) == ["windows", "pump_shift"]
    assert list(streams["Lag"]) == ["17", "0"]
    assert list(partitions["Lag"]) == [0, 12, 0, 5]
    assert list(partitions["Dead letters"]) == ["10", "2", "12", "2"]
    assert late["Readings"].sum() == 140
    assert dict(zip(reasons["Reason"], reasons["Messages"], strict=True)) == {"invalid json": 20, "not finite": 6}
    assert set(sensors["Sensor"]) == {
        "harbour-pump-01/seal_pressure",
        "harbour-pump-02/flow",
        f"{plant.machines[-1]}/vibration",
    }


def test_the_alerts_page_shows_what_fires_and_what_did(open_page: Open, plant: Plant) -> None:
    app = well(open_page("views/alerts.py", range="All"))
    told = alerts.episodes(Stores(lake=plant.lake))
    firing = told[told["state"] == "firing"]
    assert len(firing)
    assert metrics(app)["Firing now"] == words.count(len(firing))
    assert metrics(app)["In the chosen time"] == words.count(len(told))
    history, by_rule, machines = (frame.value for frame in app.dataframe)
    assert len(history) == len(told)
    assert by_rule["Alerts"].sum() == len(told)
    assert f"/predictions?machine={told['machine_id'].mode()[0]}" in set(machines["Machine"])
    assert "has sent nothing since" in text(app)


def test_the_alerts_of_one_machine(open_page: Open, plant: Plant) -> None:
    told = alerts.episodes(Stores(lake=plant.lake))
    machine = str(told["machine_id"].iloc[0])
    app = well(open_page("views/alerts.py", range="All", of=machine))
    assert metrics(app)["In the chosen time"] == words.count(int((told["machine_id"] == machine).sum()))


def test_a_home_without_alerts_says_how_to_have_some(
    open_page: Open, stack: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack.setenv("TIDEMILL_HOME", str(tmp_path))
    app = well(open_page("views/alerts.py"))
    assert [code.value for code in app.code] == ["tidemill alert rules"]


def test_the_jobs_page_lists_jobs_and_shows_the_one_that_runs(open_page: Open, plant: Plant) -> None:
    app = well(open_page("views/jobs.py"))
    listed = app.dataframe[0].value
    assert len(listed) == min(12, len(plant.jobs))
    assert listed["Job"][0] == "pump-health-rescore-week"
    assert listed["Status"][0] == ["▶ Running"]
    assert "pump-health-rescore-week" in text(app)
    assert "148 of 240 mini-batches" in app.progress[0].text
    assert app.progress[0].value == 61


def test_a_failed_job_is_reached_by_its_address_and_explained(open_page: Open) -> None:
    app = well(open_page("views/jobs.py", job="pump-health-backfill-0412"))
    told = text(app)
    assert "61 failed items are more than error_threshold 60" in told
    assert "2 mini-batches, 120 items" in told
    assert "ValueError: feature vibration_mean is missing: got 17 columns" in app.code[0].value


def test_a_job_that_is_not_there_is_said(open_page: Open) -> None:
    assert "There is no job named nobody" in text(well(open_page("views/jobs.py", job="nobody")))


def test_jobs_are_filtered_by_status(open_page: Open) -> None:
    app = well(open_page("views/jobs.py", status="Failed"))
    assert list(app.dataframe[0].value["Job"]) == ["pump-health-backfill-0412"]
    app.segmented_control(key="status").set_value("Canceled").run()
    assert list(well(app).dataframe[0].value["Job"]) == ["pump-health-trial"]


def test_the_predictions_page_begins_with_the_worst_machine(open_page: Open, plant: Plant) -> None:
    app = well(open_page("views/predictions.py"))
    truth = plant.predictions[plant.predictions["label"] == "anomaly"].groupby("machine_id").size()
    worst = truth.idxmax()
    assert app.selectbox(key="machine").value == worst
    shown = metrics(app)
    assert shown["Anomalous"] == words.count(int(truth.max()))
    assert shown["Windows scored"] == words.count((plant.predictions["machine_id"] == worst).sum())
    assert shown["Precision, fleet"].endswith("%")
    alarms = app.dataframe[0].value
    assert alarms["Peak score"][0] == pytest.approx(plant.predictions["score"].max())
    assert alarms["True fault"][0] != "none"
    assert len(app.get("vega_lite_chart")) == 1 + 6


def test_the_machine_is_chosen_by_address_and_by_hand(open_page: Open, plant: Plant) -> None:
    app = well(open_page("views/predictions.py", machine="north-pump-02"))
    assert app.selectbox(key="machine").value == "north-pump-02"
    app.selectbox(key="machine").select("north-pump-03").run()
    count = (plant.predictions["machine_id"] == "north-pump-03").sum()
    assert metrics(well(app))["Windows scored"] == words.count(count)


def test_the_csv_holds_every_row_of_the_machine(open_page: Open, plant: Plant) -> None:
    app = well(open_page("views/predictions.py", machine="north-pump-02"))
    (button,) = app.get("download_button")
    count = (plant.predictions["machine_id"] == "north-pump-02").sum()
    assert f"({count:,} rows)" in button.proto.label


def test_the_time_range_narrows_what_is_counted(open_page: Open, plant: Plant) -> None:
    app = well(open_page("views/predictions.py", machine="north-pump-02", range="1 h"))
    mine = plant.predictions[plant.predictions["machine_id"] == "north-pump-02"]
    inside = mine["window_end"] > plant.windows["window_end"].max() - timedelta(hours=1)
    assert metrics(app)["Windows scored"] == words.count(int(inside.sum()))


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_stack_says_which_command_to_run(
    open_page: Open, stack: pytest.MonkeyPatch, postgres_url: str, tmp_path: Path, page: str
) -> None:
    with database(postgres_url) as url:
        engine = sa.create_engine(url)
        metadata.create_all(engine)
        engine.dispose()
        stack.setenv("TIDEMILL_HOME", str(tmp_path))
        stack.setenv("TIDEMILL_POSTGRES_URL", url)
        stack.setenv("TIDEMILL_API_URL", "http://127.0.0.1:9")
        app = well(open_page(page))
    assert any(code.value.startswith("tidemill ") for code in app.code), text(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_service_that_is_away_is_said_and_the_rest_is_shown(
    open_page: Open, stack: pytest.MonkeyPatch, page: str
) -> None:
    stack.setenv("TIDEMILL_API_URL", "http://127.0.0.1:9")
    app = well(open_page(page))
    assert "Service away" in text(app)
    assert app.dataframe
    if page == "views/stream.py":
        assert "the service at http://127.0.0.1:9 does not answer" in text(app).lower()
        assert metrics(app)["Lag"] == "–"


@pytest.mark.parametrize("page", PAGES)
def test_a_database_that_is_away_is_said_and_its_password_is_not(
    open_page: Open, stack: pytest.MonkeyPatch, page: str
) -> None:
    stack.setenv("TIDEMILL_POSTGRES_URL", NOBODY)
    app = well(open_page(page))
    told = text(app)
    assert "Database away" in told
    assert "Postgres does not answer" in told
    assert "secret-word" not in told
    assert "tidemill load" not in told, "nobody can say that no static data is loaded"


@pytest.mark.parametrize("page", PAGES)
def test_without_any_stack_the_pages_still_stand(
    open_page: Open, stack: pytest.MonkeyPatch, tmp_path: Path, page: str
) -> None:
    for name in ("POSTGRES_URL", "API_URL", "KAFKA_BOOTSTRAP", "DASHBOARD_URL"):
        stack.delenv(f"TIDEMILL_{name}")
    stack.setenv("TIDEMILL_HOME", str(tmp_path))
    app = well(open_page(page))
    assert "tidemill up" in text(app)
