"""The one schema of tidemill's database. Times are timestamptz; documents are JSONB of a value's fields."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_time = sa.DateTime(timezone=True)


def _created() -> sa.Column[object]:
    return sa.Column("created_at", _time, nullable=False, server_default=sa.func.now())


def _versioned(name: str) -> sa.Table:
    """Of registered things: versions that do not change once they are made."""
    return sa.Table(
        name,
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        _created(),
    )


# --- static data: what is known about the plant ------------------------------------------------------------------

sites = sa.Table(
    "sites",
    metadata,
    sa.Column("site_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("country", sa.Text),
    sa.Column("latitude", sa.Float),
    sa.Column("longitude", sa.Float),
    sa.Column("time_zone", sa.Text, nullable=False, server_default="UTC"),
)

machines = sa.Table(
    "machines",
    metadata,
    sa.Column("machine_id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Text, sa.ForeignKey("sites.site_id"), nullable=False, index=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("rated_flow_m3h", sa.Float, nullable=False),
    sa.Column("rated_head_m", sa.Float, nullable=False),
    sa.Column("rated_power_kw", sa.Float, nullable=False),
    sa.Column("rated_speed_rpm", sa.Float, nullable=False),
    sa.Column("installed_on", sa.Date, nullable=False),
)

sensors = sa.Table(
    "sensors",
    metadata,
    sa.Column("sensor_id", sa.Text, primary_key=True),
    sa.Column("machine_id", sa.Text, sa.ForeignKey("machines.machine_id"), nullable=False, index=True),
    sa.Column("quantity", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("low_limit", sa.Float),
    sa.Column("high_limit", sa.Float),
    sa.CheckConstraint("low_limit is null or high_limit is null or low_limit < high_limit", name="limits_in_order"),
)

maintenance = sa.Table(
    "maintenance",
    metadata,
    sa.Column("maintenance_id", sa.Text, primary_key=True),
    sa.Column("machine_id", sa.Text, sa.ForeignKey("machines.machine_id"), nullable=False, index=True),
    sa.Column("performed_at", _time, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
)

# --- batch scoring: what jobs are made of -------------------------------------------------------------------------

computes = sa.Table(
    "computes",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("document", JSONB, nullable=False),
    _created(),
)

models = _versioned("models")

data_assets = _versioned("data_assets")

environments = _versioned("environments")

components = _versioned("components")

datastores = sa.Table(
    "datastores",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("document", JSONB, nullable=False),
    _created(),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("document", JSONB, nullable=False),
    _created(),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("endpoint_name", sa.Text, sa.ForeignKey("endpoints.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("document", JSONB, nullable=False),
    _created(),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("endpoint_name", sa.Text, nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.Column("is_enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("next_fire", _time, index=True),
    sa.Column("last_fire", _time),
    sa.Column("last_job_name", sa.Text),
    sa.Column("last_skip", sa.Text),
    sa.Column("missed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_version", sa.BigInteger),
    _created(),
)

# the service is open to everybody who reaches it while this is empty
access_tokens = sa.Table(
    "access_tokens",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column(
        "token_hash", sa.Text, nullable=False, unique=True
    ),  # sha256: a token has 256 random bits, no salt needed
    _created(),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # no foreign key: jobs outlive their endpoint, deployment and schedule
    sa.Column("endpoint_name", sa.Text, nullable=False, index=True),
    sa.Column("deployment_name", sa.Text, nullable=False),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="scoring"),
    sa.Column("parent_name", sa.Text, index=True),  # the pipeline's job whose step this one is
    sa.Column("fingerprint", sa.Text, index=True),  # of a step: the same one has the same outputs
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("document", JSONB, nullable=False),  # deployment as invoked, input, output, tags
    sa.Column("status_reason", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("progress", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("manifest", JSONB),  # fingerprint, versions, static_path; null before planning
    sa.Column("idempotency_key", sa.Text, unique=True),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("schedule_name", sa.Text),
    sa.Column("fire_time", _time),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", _time),
    sa.Column("lease_epoch", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("started_at", _time),
    sa.Column("ended_at", _time),
    _created(),
    # at most one job for a schedule's fire time, whoever fires it
    sa.UniqueConstraint("schedule_name", "fire_time", name="uq_jobs_schedule_fire"),
)

mini_batches = sa.Table(
    "mini_batches",
    metadata,
    sa.Column("job_name", sa.Text, sa.ForeignKey("jobs.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True),
    sa.Column("items", JSONB, nullable=False),
    sa.Column("outcome", sa.Text),  # null until it ended
    sa.Column("result", JSONB),
    sa.Column("ended_at", _time),
)

predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("job_name", sa.Text, primary_key=True),
    sa.Column("mini_batch", sa.Integer, primary_key=True),
    sa.Column("row", sa.Integer, primary_key=True),
    sa.Column("endpoint_name", sa.Text, nullable=False),
    sa.Column("deployment_name", sa.Text, nullable=False),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("machine_id", sa.Text),
    sa.Column("window_start", _time),
    sa.Column("window_end", _time),
    sa.Column("source", sa.Text),
    sa.Column("score", sa.Float),
    sa.Column("label", sa.Text),
    sa.Column("details", JSONB),
    sa.Column("scored_at", _time, nullable=False),
    sa.Index("ix_predictions_machine_window", "machine_id", "window_start"),
    sa.Index("ix_predictions_endpoint", "endpoint_name", "window_start"),
)
