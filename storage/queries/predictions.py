"""What was predicted: scores over time, the fleet at a glance, alarms, and the simulator's ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from storage.queries import lake, postgres
from storage.queries.postgres import as_time, as_times
from storage.queries.stores import Stores, TimeRange
from storage.queries.windows import MOST_POINTS

ANOMALOUS = ("anomaly", "anomalous", "abnormal", "alarm", "fault", "faulty", "unhealthy", "true", "1")
"""Labels (in any case) that mean: somebody should look at this machine."""

_IS_ANOMALOUS = "coalesce(lower(label) in (" + ", ".join(f"'{label}'" for label in ANOMALOUS) + "), false)"

# where a window was scored more than once, the newest score counts
_LATEST = """
    select distinct on (machine_id, window_start) * from predictions
    where window_start < cast(:until as timestamptz) and window_end > cast(:since as timestamptz)
      and machine_id is not null and window_start is not null
      and (cast(:endpoint as text) is null or endpoint_name = :endpoint)
      and (cast(:machine as text) is null or machine_id = :machine)
    order by machine_id, window_start, scored_at desc
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Counts over the whole Postgres table. `since`/`until` span the scored windows."""

    rows: int
    rows_today: int
    machines: int
    since: datetime | None
    until: datetime | None
    last_scored_at: datetime | None


def totals(stores: Stores, *, today: datetime) -> Totals:
    """Counts of all predictions; `rows_today` are those scored since `today` (a UTC midnight)."""
    row = postgres.read(
        stores,
        """select count(*) as rows, count(*) filter (where scored_at >= :today) as today,
                  count(distinct machine_id) as machines, min(window_start) as since, max(window_end) as until,
                  max(scored_at) as last
           from predictions""",
        {"today": today},
    ).iloc[0]
    return Totals(
        rows=int(row["rows"]),
        rows_today=int(row["today"]),
        machines=int(row["machines"]),
        since=as_time(row["since"]),
        until=as_time(row["until"]),
        last_scored_at=as_time(row["last"]),
    )


def endpoints(stores: Stores) -> list[str]:
    """Endpoints that have predictions."""
    return [
        str(n) for n in postgres.read(stores, "select distinct endpoint_name as n from predictions order by 1")["n"]
    ]


def machines(stores: Stores, when: TimeRange, *, endpoint: str | None = None) -> pd.DataFrame:
    """Scored machines, the worst first: machine_id, site_name, model, windows, anomalies, max_score, last_score."""
    return postgres.read(
        stores,
        f"""with p as ({_LATEST})
            select p.machine_id, s.name as site_name, m.model, count(*) as windows,
                   count(*) filter (where {_IS_ANOMALOUS}) as anomalies, max(score) as max_score,
                   (array_agg(score order by window_start desc))[1] as last_score
            from p left join machines m using (machine_id) left join sites s using (site_id)
            group by 1, 2, 3 order by anomalies desc, max_score desc nulls last, machine_id""",  # noqa: S608
        _scope(when, endpoint, None),
    )


def score_series(
    stores: Stores, machine_id: str, when: TimeRange, *, endpoint: str | None = None, most_points: int = MOST_POINTS
) -> pd.DataFrame:
    """One machine's scores: window_start, window_end, score, label, anomalous, top_feature (what the script
    gave under this name, or None), job_name, deployment_name, model.

    At most `most_points` rows. Where there are more, every anomalous window stays (as long as they fill no more than
    half of the points) and the rest is thinned to the lowest and highest score of each bucket: no peak is lost.
    """
    keep = most_points // 2
    found = postgres.read(
        stores,
        f"""with p as ({_LATEST}),
            counted as (
              select *, {_IS_ANOMALOUS} as anomalous, details->>'top_feature' as top_feature, count(*) over () as n,
                     count(*) filter (where {_IS_ANOMALOUS}) over () as n_anomalous,
                     ntile(:buckets) over (order by window_start) as bucket
              from p),
            ranked as (
              select *, row_number() over (partition by bucket order by score desc nulls last) as from_top,
                     row_number() over (partition by bucket order by score asc nulls last) as from_bottom
              from counted)
            select window_start, window_end, score, label, anomalous, top_feature, job_name, deployment_name,
                   model_name || ':' || model_version as model
            from ranked
            where n <= :most or from_top = 1 or from_bottom = 1 or (anomalous and n_anomalous <= :keep)
            order by window_start""",  # noqa: S608
        _scope(when, endpoint, machine_id) | {"buckets": max(1, keep // 2), "most": most_points, "keep": keep},
    )
    return as_times(found, "window_start", "window_end")


def threshold(stores: Stores, *, endpoint: str | None = None) -> float | None:
    """The score from which the newest model calls a window anomalous.

    What the scoring script says (`threshold` in `details`), else halfway between the highest normal and the lowest
    anomalous score where labels split cleanly, else None.
    """
    row = postgres.read(
        stores,
        f"""with newest as (
              select job_name from predictions where cast(:endpoint as text) is null or endpoint_name = :endpoint
              order by scored_at desc limit 1)
            select max(case when jsonb_typeof(details->'threshold') = 'number'
                            then (details->>'threshold')::float8 end) as said,
                   max(score) filter (where not {_IS_ANOMALOUS}) as highest_normal,
                   min(score) filter (where {_IS_ANOMALOUS}) as lowest_anomalous
            from predictions where job_name = (select job_name from newest)""",  # noqa: S608
        {"endpoint": endpoint},
    ).iloc[0]
    if pd.notna(row["said"]):
        return float(row["said"])
    normal, anomalous = row["highest_normal"], row["lowest_anomalous"]
    if pd.notna(normal) and pd.notna(anomalous) and normal <= anomalous:
        return (float(normal) + float(anomalous)) / 2
    return None


def fleet_heat(stores: Stores, when: TimeRange, *, bucket: float, endpoint: str | None = None) -> pd.DataFrame:
    """The fleet at a glance: machine_id, bucket_start, max_score, windows, anomalies; cells without data are absent."""
    found = postgres.read(
        stores,
        f"""with p as ({_LATEST})
            select machine_id,
                   date_bin(make_interval(secs => :bucket), window_start, timestamptz 'epoch') as bucket_start,
                   max(score) as max_score, count(*) as windows, count(*) filter (where {_IS_ANOMALOUS}) as anomalies
            from p group by 1, 2 order by 1, 2""",  # noqa: S608
        _scope(when, endpoint, None) | {"bucket": bucket},
    )
    return as_times(found, "bucket_start")


def anomaly_rate(stores: Stores, when: TimeRange, *, bucket: float) -> pd.DataFrame:
    """Per bucket of event time: bucket_start, windows, anomalies. Buckets without predictions are absent."""
    heat = fleet_heat(stores, when, bucket=bucket)
    return heat.groupby("bucket_start", as_index=False)[["windows", "anomalies"]].sum()


def alarms(
    stores: Stores,
    when: TimeRange,
    *,
    machine_id: str | None = None,
    endpoint: str | None = None,
    pause: timedelta = timedelta(minutes=5),
    limit: int = 50,
) -> pd.DataFrame:
    """Anomalous windows in a row, the highest peak first: machine_id, site_name, begins, ends, windows, peak,
    top_feature (the most frequent, or None), model, job_name (of the newest window).

    Windows of a machine that lie less than `pause` apart are one row.
    """
    found = postgres.read(
        stores,
        f"""with p as ({_LATEST}),
            anomalous as (
              select *, lag(window_end) over (partition by machine_id order by window_start) as before
              from p where {_IS_ANOMALOUS}),
            numbered as (
              select *, count(*) filter (where before is null or window_start - before >= make_interval(secs => :pause))
                          over (partition by machine_id order by window_start) as spell
              from anomalous)
            select n.machine_id, s.name as site_name, min(window_start) as begins, max(window_end) as ends,
                   count(*) as windows, max(score) as peak,
                   mode() within group (order by details->>'top_feature') as top_feature,
                   (array_agg(model_name || ':' || model_version order by window_start desc))[1] as model,
                   (array_agg(job_name order by window_start desc))[1] as job_name
            from numbered n left join machines m using (machine_id) left join sites s using (site_id)
            group by n.machine_id, s.name, spell order by peak desc nulls last, begins desc limit :limit""",  # noqa: S608
        _scope(when, endpoint, machine_id) | {"limit": limit, "pause": pause.total_seconds()},
    )
    return as_times(found, "begins", "ends")


def rows(
    stores: Stores, when: TimeRange, *, machine_id: str | None = None, endpoint: str | None = None
) -> pd.DataFrame:
    """Every prediction of the range, the newest score of each window: the table's columns, and `anomalous`."""
    found = postgres.read(
        stores,
        f"select * from ({_LATEST}) p order by machine_id, window_start",  # noqa: S608
        _scope(when, endpoint, machine_id),
    )
    found["anomalous"] = [str(label).lower() in ANOMALOUS for label in found["label"]]
    return as_times(found, "window_start", "window_end", "scored_at")


def faults(stores: Stores, when: TimeRange, *, machine_id: str | None = None) -> pd.DataFrame:
    """Ground truth that overlaps the range: fault_id, machine_id, kind, sensor_id, starts_at, ends_at, severity."""
    return lake.read(
        stores.lake,
        """select fault_id, machine_id, kind, sensor_id, starts_at, ends_at, severity from faults
           where ($machine::varchar is null or machine_id = $machine)
             and ends_at > coalesce($since::timestamptz, '-infinity')
             and starts_at < coalesce($until::timestamptz, 'infinity')
           order by starts_at""",
        {"machine": machine_id, "since": when.since, "until": when.until},
        tables={"faults": when},
    )


def _scope(when: TimeRange, endpoint: str | None, machine: str | None) -> dict[str, object]:
    return {
        "since": when.since or "-infinity",
        "until": when.until or "infinity",
        "endpoint": endpoint,
        "machine": machine,
    }
