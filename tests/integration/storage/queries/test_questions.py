"""What pages ask: each answer equals what pandas makes of the same rows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from storage.lake.tables import TABLES
from storage.queries import evaluation, jobs, overview, predictions, stream, windows
from storage.queries.errors import StoreAway
from storage.queries.stores import Stores, TimeRange
from tests.plant import ENDPOINT, THRESHOLD, Plant

pytestmark = pytest.mark.stack


def test_extent_and_window_length(stores: Stores, plant: Plant) -> None:
    covered = windows.extent(stores)
    assert covered.since == plant.windows["window_start"].min()
    assert covered.until == plant.windows["window_end"].max()
    assert windows.window_seconds(stores) == 60


def test_rates_count_every_whole_bucket(stores: Stores, plant: Plant, everything: TimeRange) -> None:
    found = windows.rates(stores, everything, bucket=600)
    starts = plant.windows["window_start"].dt.floor("10min")
    expected = plant.windows.groupby(starts)["count"].agg(["size", "sum"])
    for row in found.itertuples():
        assert (row.windows, row.readings) == tuple(expected.loc[row.bucket_start])
        assert row.readings_per_second == pytest.approx(row.readings / 600)
    assert (found["bucket_start"].diff().dropna() == pd.Timedelta(minutes=10)).all()
    assert found["bucket_start"].min() >= everything.since
    assert found["bucket_start"].max() + pd.Timedelta(minutes=10) <= everything.until


def test_a_machine_series_keeps_extremes_and_weighs_means(stores: Stores, plant: Plant, everything: TimeRange) -> None:
    machine = plant.machines[0]
    found = windows.machine_series(stores, machine, everything, most_points=300)
    mine = plant.windows[plant.windows["machine_id"] == machine]
    assert len(found) <= 7 * 50 + 7
    assert found["count"].sum() == mine["count"].sum()
    for sensor, rows in found.groupby("sensor_id"):
        raw = mine[mine["sensor_id"] == sensor]
        assert rows["min"].min() == raw["min"].min()
        assert rows["max"].max() == raw["max"].max()
        weighted = (raw["mean"] * raw["count"]).sum() / raw["count"].sum()
        assert (rows["mean"] * rows["count"]).sum() / rows["count"].sum() == pytest.approx(weighted)
    assert set(found["quantity"]) == {str(s).split("/")[1] for s in mine["sensor_id"]}


def test_scores_of_a_short_time_are_all_there(stores: Stores, plant: Plant, everything: TimeRange) -> None:
    machine = plant.machines[0]
    found = predictions.score_series(stores, machine, everything)
    mine = plant.predictions[plant.predictions["machine_id"] == machine].sort_values("window_start")
    assert list(found["score"]) == pytest.approx(list(mine["score"]))
    assert list(found["anomalous"]) == list(mine["label"] == "anomaly")


@pytest.mark.parametrize("most_points", [20, 60, 200])
def test_thinning_never_drops_a_peak(stores: Stores, plant: Plant, everything: TimeRange, most_points: int) -> None:
    for machine in plant.machines:
        mine = plant.predictions[plant.predictions["machine_id"] == machine]
        found = predictions.score_series(stores, machine, everything, most_points=most_points)
        assert len(found) <= most_points
        assert found["score"].max() == pytest.approx(mine["score"].max())
        assert found["score"].min() == pytest.approx(mine["score"].min())
        anomalous = set(mine.loc[mine["label"] == "anomaly", "window_start"])
        if len(anomalous) <= most_points // 2:
            assert anomalous <= set(found["window_start"])


def test_a_window_scored_twice_counts_with_its_newest_score(
    stores: Stores, plant: Plant, everything: TimeRange
) -> None:
    again = plant.predictions.iloc[0]
    engine = sa.create_engine(plant.database_url)
    row = {"job": "again", "machine": again["machine_id"], "start": again["window_start"].to_pydatetime()}
    copied = """insert into predictions
        select 'again', 0, 0, endpoint_name, deployment_name, model_name, model_version, machine_id, window_start,
               window_end, source, 99.5, 'anomaly', details, now() from predictions
        where machine_id = :machine and window_start = :start limit 1"""
    with engine.begin() as connection:
        connection.execute(sa.text(copied), row)
    try:
        found = predictions.score_series(stores, again["machine_id"], everything)
        assert list(found.loc[found["window_start"] == again["window_start"], "score"]) == [99.5]
        assert len(predictions.rows(stores, everything)) == len(plant.predictions)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("delete from predictions where job_name = 'again'"))
        engine.dispose()


def test_the_threshold_is_what_the_script_said(stores: Stores) -> None:
    assert predictions.threshold(stores) == THRESHOLD
    assert predictions.threshold(stores, endpoint="no-such") is None


def test_heat_alarms_and_machines_agree_with_the_rows(stores: Stores, plant: Plant, everything: TimeRange) -> None:
    truth = plant.predictions.assign(anomalous=plant.predictions["label"] == "anomaly")
    heat = predictions.fleet_heat(stores, everything, bucket=900)
    assert heat["windows"].sum() == len(truth)
    assert heat["anomalies"].sum() == truth["anomalous"].sum()
    cells = truth.groupby(["machine_id", truth["window_start"].dt.floor("15min")])["score"].max()
    assert list(heat["max_score"]) == pytest.approx(list(cells))
    alarms = predictions.alarms(stores, everything, limit=1000)
    assert alarms["windows"].sum() == truth["anomalous"].sum()
    assert alarms["peak"].is_monotonic_decreasing
    listed = predictions.machines(stores, everything).set_index("machine_id")
    assert list(listed["anomalies"].sort_index()) == list(truth.groupby("machine_id")["anomalous"].sum())
    newest = truth.sort_values("window_start").groupby("machine_id")["score"].last()
    assert list(listed["last_score"].sort_index()) == pytest.approx(list(newest))


def test_alarms_join_windows_that_are_near(stores: Stores, plant: Plant, everything: TimeRange) -> None:
    apart = predictions.alarms(stores, everything, pause=timedelta(seconds=1), limit=1000)
    joined = predictions.alarms(stores, everything, pause=timedelta(hours=24), limit=1000)
    assert len(joined) == joined["machine_id"].nunique() <= len(apart)


def test_totals(stores: Stores, plant: Plant) -> None:
    midnight = plant.now.replace(hour=0, minute=0)
    found = predictions.totals(stores, today=midnight)
    assert (found.rows, found.machines) == (len(plant.predictions), len(plant.machines))
    assert found.rows_today == (plant.predictions["scored_at"] >= midnight).sum()
    assert found.until == plant.predictions["window_end"].max()


def test_quality_against_the_truth(stores: Stores, everything: TimeRange, tmp_path: Path) -> None:
    found = evaluation.evaluation(stores, everything)
    assert found is not None
    assert len(found.outcomes) == 5
    assert 0.8 < (found.precision or 0) <= 1
    assert found.detected >= 3
    assert evaluation.evaluation(Stores(lake=tmp_path, postgres_url=stores.postgres_url), everything) is None


def test_late_readings(stores: Stores, everything: TimeRange) -> None:
    by_sensor = stream.late_by_sensor(stores, everything)
    total = stream.late_count(stores, everything)
    assert total == by_sensor["readings"].sum() > 0
    assert stream.late_rate(stores, everything, bucket=600)["readings"].sum() == total
    assert (by_sensor["worst_seconds"] > 0).all()


def test_sensors_that_need_a_look(stores: Stores, plant: Plant) -> None:
    found = stream.sensor_states(stores, silent_after=timedelta(minutes=10))
    told = dict(zip(found.sensors["sensor_id"], found.sensors["state"], strict=True))
    assert told == {
        f"{plant.machines[0]}/seal_pressure": "never seen",
        f"{plant.machines[1]}/flow": "silent",
        f"{plant.machines[-1]}/vibration": "unknown",
    }
    assert found.total == plant.windows["sensor_id"].nunique() + 1
    assert found.static_data


def test_without_static_data_nothing_is_unknown(stores: Stores, nowhere: Stores, plant: Plant) -> None:
    lake_only = Stores(lake=stores.lake, postgres_url=nowhere.postgres_url)
    found = stream.sensor_states(lake_only, silent_after=timedelta(minutes=10))
    assert not found.static_data
    assert list(found.sensors["sensor_id"]) == [f"{plant.machines[1]}/flow"]


def test_jobs_are_listed_newest_first_in_pages(stores: Stores, plant: Plant) -> None:
    whole = jobs.list_jobs(stores, limit=1000)
    assert whole.total == len(plant.jobs) == len(whole.jobs)
    assert whole.jobs["created_at"].is_monotonic_decreasing
    pages = [jobs.list_jobs(stores, limit=3, offset=at).jobs for at in range(0, whole.total, 3)]
    assert list(pd.concat(pages)["name"]) == list(whole.jobs["name"])
    failed = jobs.list_jobs(stores, statuses=("Failed",))
    assert (failed.total, list(failed.jobs["name"])) == (1, ["pump-health-backfill-0412"])
    assert jobs.list_jobs(stores, endpoint="no-such").total == 0
    assert sum(jobs.status_counts(stores).values()) == len(plant.jobs)
    assert jobs.endpoints(stores) == [ENDPOINT]


def test_a_job_in_detail(stores: Stores, plant: Plant) -> None:
    done = next(job for job in plant.jobs if job.schedule_name)
    found = jobs.job_detail(stores, done.name)
    assert found is not None
    assert not found.is_live
    assert found.predictions == (plant.predictions["job_name"] == done.name).sum()
    assert found.job["mini_batches"] == len(found.mini_batches) == found.mini_batches_shown_of
    assert found.document["input"]["to_version"] == done.input.to_version
    took = (found.mini_batches["ended_at"] - found.mini_batches["started_at"]).dt.total_seconds()
    assert list(took) == pytest.approx(list(found.mini_batches["seconds"]), abs=1e-4)
    failed = jobs.job_detail(stores, "pump-health-backfill-0412")
    assert failed is not None
    assert failed.error is not None
    assert "ValueError" in failed.error
    assert (failed.mini_batches["outcome"] == "failed").sum() == 2
    assert failed.mini_batches["ended_at"].isna().sum() == 16
    assert jobs.job_detail(stores, "no-such") is None


def test_schedules_and_the_day(stores: Stores, plant: Plant) -> None:
    (row,) = jobs.schedules(stores).to_dict("records")
    assert (row["name"], row["last_status"], row["is_enabled"]) == ("score-new-windows", "Completed", True)
    day = overview.job_day(stores, now=plant.now)
    assert (day.failed, day.canceled, day.active) == (1, 1, 1)
    assert day.completed == sum(day.completed_by_hour) == sum(job.status == "Completed" for job in plant.jobs)
    (failure,) = overview.last_failures(stores, since=plant.now - timedelta(hours=24)).to_dict("records")
    assert failure["name"] == "pump-health-backfill-0412"


def test_freshness_is_read_from_the_log(stores: Stores, plant: Plant) -> None:
    fresh = overview.lake_freshness(stores).set_index("table")
    assert fresh.loc["windows", "rows"] == len(plant.windows)
    assert fresh.loc["windows", "newest"] == plant.windows["window_end"].max()
    assert fresh.loc["predictions", "rows"] == len(plant.predictions)
    commit = fresh.loc["windows", "last_commit"]
    minutes = overview.commits_per_minute(stores, "windows", now=commit.to_pydatetime(), minutes=60)
    assert (len(minutes), minutes["rows"].sum()) == (60, len(plant.windows))


def test_only_files_of_the_time_are_read(plant: Plant) -> None:
    from storage.queries import lake

    of = lake.snapshot(plant.lake, "windows")
    newest = TimeRange(since=plant.now - timedelta(minutes=5), until=plant.now)
    files = of.files(newest, starts="window_start", ends="window_end")
    assert 1 <= len(files) < of.actions.num_rows
    assert len(of.files(starts="window_start", ends="window_end")) == of.actions.num_rows


def test_empty_stores_answer_with_nothing(postgres_url: str, tmp_path: Path) -> None:
    from storage.postgres.tables import metadata
    from tests.plant import database

    with database(postgres_url) as url:
        engine = sa.create_engine(url)
        metadata.create_all(engine)
        engine.dispose()
        empty = Stores(lake=tmp_path / "lake", postgres_url=url)
        hour = TimeRange(since=pd.Timestamp("2026-01-01", tz="UTC"), until=pd.Timestamp("2026-01-02", tz="UTC"))
        assert windows.extent(empty).until is None
        assert windows.rates(empty, hour, bucket=60).empty
        assert windows.machines(empty) == []
        assert predictions.machines(empty, hour).empty
        assert predictions.score_series(empty, "x", hour).empty
        assert predictions.alarms(empty, hour).empty
        assert predictions.faults(empty, hour).empty
        assert predictions.threshold(empty) is None
        assert stream.late_count(empty, hour) == 0
        assert stream.positions(empty).empty
        assert stream.sensor_states(empty, silent_after=timedelta(minutes=1)).total == 0
        assert jobs.list_jobs(empty).total == 0
        assert overview.job_day(empty, now=pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime()).ended == 0
        assert list(overview.lake_freshness(empty)["rows"]) == [0] * len(TABLES)


def test_a_store_that_is_away_says_so_without_the_password(nowhere: Stores) -> None:
    with pytest.raises(StoreAway, match="Postgres does not answer") as away:
        jobs.status_counts(nowhere)
    assert away.value.store == "postgres"
    assert "secret-word" not in str(away.value)
    with pytest.raises(StoreAway, match="tidemill up"):
        jobs.status_counts(Stores(lake=nowhere.lake))
