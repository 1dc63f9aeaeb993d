"""Two streams that differ in little, declared in Python: `tidemill stream create -f examples/streams/quantities.py`."""

from datetime import timedelta

from ingestion.declaration import AggregateSpec, AlertRule, Stream, Threshold, TumblingWindow

LIMITS = {"vibration": 7.1, "power": 90.0}

streams = [
    Stream(
        name=f"{quantity}_by_minute",
        description=f"{quantity} of every machine, minute by minute.",
        filter=f"sensor_id like '%/{quantity}'",
        window=TumblingWindow(size=timedelta(minutes=1), allowed_lateness=timedelta(seconds=30)),
        aggregates=[
            AggregateSpec(column="count", function="count"),
            AggregateSpec(column="mean", function="mean"),
            AggregateSpec(column="p99", function="quantile", parameters={"q": 0.99}),
        ],
        alerts=[AlertRule(name="high", condition=Threshold(column="mean", high=limit), for_windows=3)],
    )
    for quantity, limit in LIMITS.items()
]
