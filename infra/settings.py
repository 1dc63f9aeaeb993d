"""Settings of an installation: defaults < environment (`TIDEMILL_…`) < flags; and where a running stack answers.

`StackAddress` is written into the home by the supervisor as `stack.json`, or given by the
environment where Kafka and Postgres run elsewhere (compose).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.home import Home
from ingestion.errors import InvalidInput
from ingestion.settings import StreamSettings, TopicSettings
from ingestion.window import TumblingWindow


@dataclass(frozen=True, kw_only=True, slots=True)
class StackAddress:
    """Where the parts of a stack answer. `postgres_url` holds the password: never print it whole."""

    kafka_bootstrap: str
    postgres_url: str
    api_url: str
    dashboard_url: str


class Settings(BaseSettings):
    """One field a setting; the environment variable is `TIDEMILL_` and the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix="TIDEMILL_", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".tidemill"), description="state directory")
    port_base: int | None = Field(
        default=None, ge=1024, le=65000, description="first of the ports to use; else free ones"
    )

    kafka_bootstrap: str | None = Field(default=None, description="Kafka elsewhere: host:port[,host:port]")
    postgres_url: SecretStr | None = Field(default=None, description="Postgres elsewhere: postgresql+psycopg2://…")
    api_url: str | None = Field(default=None, description="the service elsewhere: http://host:port")
    dashboard_url: str | None = Field(default=None, description="the dashboard elsewhere")
    bind: str = Field(default="127.0.0.1", description="address that the service and the dashboard listen on")

    readings_topic: str = Field(
        default="sensor-readings",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Kafka topic of the readings; the dead letters' is `<it>-dead-letters`",
    )
    alerts_topic: str = Field(default="alerts", pattern=r"^[A-Za-z0-9._-]+$", description="Kafka topic of the alerts")
    partitions: int = Field(default=4, ge=1, description="partitions of the readings topic")
    window_seconds: float = Field(default=60.0, gt=0, description="length of the tumbling windows")
    allowed_lateness_seconds: float = Field(default=30.0, ge=0, description="how late a reading may come")
    correction_lateness_seconds: float = Field(
        default=0.0, ge=0, description="how long after its close a window is still corrected by readings; 0: never"
    )
    idle_timeout_seconds: float = Field(default=15.0, gt=0, description="silence after which a machine's windows close")
    commit_interval_seconds: float = Field(default=1.0, gt=0, description="longest time a closed window waits")

    session_seconds: float = Field(
        default=30.0, ge=6, le=80, description="silence of a stream worker after which another one takes over"
    )

    lake_upkeep_seconds: float = Field(
        default=60.0, ge=0, description="pause between two rounds of upkeep of the lake by the service; 0: none"
    )
    lake_retention_hours: float = Field(
        default=3.0, ge=0.25, description="how long superseded part files and log entries of the lake stay"
    )

    @property
    def paths(self) -> Home:
        return Home(self.home.expanduser().resolve())

    @property
    def stream(self) -> StreamSettings:
        return StreamSettings(
            group_id=f"tidemill-windows-{self.readings_topic}",
            topics=TopicSettings(
                readings=self.readings_topic,
                dead_letters=f"{self.readings_topic}-dead-letters",
                alerts=self.alerts_topic,
                partitions=self.partitions,
            ),
            window=TumblingWindow(
                size=timedelta(seconds=self.window_seconds),
                allowed_lateness=timedelta(seconds=self.allowed_lateness_seconds),
                correction_lateness=timedelta(seconds=self.correction_lateness_seconds),
            ),
            idle_timeout=timedelta(seconds=self.idle_timeout_seconds),
            commit_interval=timedelta(seconds=self.commit_interval_seconds),
            session_timeout=timedelta(seconds=self.session_seconds),
        )

    def address(self) -> StackAddress:
        """Where the stack answers: the environment, else the home's stack.json. Raises InvalidInput if neither."""
        written: dict[str, str] = {}
        if self.paths.stack_file.exists():
            written = json.loads(self.paths.stack_file.read_text())
        found = {
            "kafka_bootstrap": self.kafka_bootstrap or written.get("kafka_bootstrap"),
            "postgres_url": self.postgres_url.get_secret_value() if self.postgres_url else written.get("postgres_url"),
            "api_url": self.api_url or written.get("api_url"),
            "dashboard_url": self.dashboard_url or written.get("dashboard_url"),
        }
        missing = [key for key, value in found.items() if not value]
        if missing:
            raise InvalidInput(
                f"no stack is known in {self.paths.root} (missing: {', '.join(missing)}); start one with "
                "`tidemill up`, name its --home, or set TIDEMILL_KAFKA_BOOTSTRAP, TIDEMILL_POSTGRES_URL, "
                "TIDEMILL_API_URL and TIDEMILL_DASHBOARD_URL"
            )
        return StackAddress(**{key: str(value) for key, value in found.items()})
