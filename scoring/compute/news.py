"""What a compute tells of a job beside its results: how far its workers are, and what they have cost."""

from __future__ import annotations

from dataclasses import dataclass

from scoring.job import JobStatus, JobUsage


@dataclass(frozen=True, kw_only=True)
class ComputeNews:
    """None is nothing new.

    status  Provisioning, Starting (the default before any news), Running as soon as a worker is ready
    phase   the status in words for people, e.g. `starting instance 2 of 3 of cpu`
    usage   of this call of `run`, from its beginning until now
    """

    status: JobStatus | None = None
    phase: str | None = None
    usage: JobUsage | None = None


def no_news(news: ComputeNews) -> None:
    """Where nobody listens."""
