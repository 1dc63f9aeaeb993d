"""`tidemill evaluate`: predictions against the simulator's ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from infra.cli.answer import Answer, answering
from infra.cli.times import Moment
from infra.settings import Settings
from scoring.errors import NotFound

if TYPE_CHECKING:
    from scoring.evaluation import EpisodeOutcome, Evaluation


@click.command(
    epilog="""\b
Examples:
  tidemill evaluate
  tidemill evaluate --endpoint pump-health --since 2026-03-02T00:00:00Z -o json
"""
)
@click.option("--endpoint", metavar="NAME", help="Predictions of this endpoint only; default all.")
@click.option("--since", type=Moment(), help="Windows that end after this time, or how long ago.")
@click.option("--until", type=Moment(), help="Windows that start before this time, or how long ago.")
@click.option(
    "--persistence",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Flagged windows in a row that make an alarm.",
)
@click.option(
    "--settling",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="MINUTES",
    help="After a repair windows count neither way for so long: a bearing cools slowly.",
)
@answering
def evaluate(
    endpoint: str | None,
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    persistence: int,
    settling: float,
    answer: Answer,
) -> None:
    """Compare predictions with the faults that the simulator really had.

    Precision and recall count windows; an episode is detected by an alarm: several flagged windows in a row.
    Delay is from the episode's start to the alarm, lead from the alarm to the episode's end.
    """
    from infra.wiring.lake import stores
    from storage.queries import predictions
    from storage.queries.evaluation import evaluation
    from storage.queries.stores import EVERYTHING, TimeRange

    asked = stores(Settings())
    found = evaluation(
        asked,
        TimeRange(since=_moment(since), until=_moment(until)),
        endpoint=endpoint,
        persistence=persistence,
        settling=timedelta(minutes=settling),
    )
    if found is None and predictions.faults(asked, EVERYTHING).empty:
        raise NotFound("the lake knows no ground truth; `tidemill simulate` records it when its fleet has faults")
    if found is None:
        of = f" of endpoint {endpoint}" if endpoint else ""
        raise NotFound(f"there are no predictions{of} in that time; `tidemill job list` shows what was scored")
    figures = as_json(found)
    answer.show(figures, lambda: as_text(figures).splitlines())


def as_json(found: Evaluation) -> dict[str, Any]:
    """Plain figures: ratios rounded to four places, durations in seconds, None where there is nothing to say."""
    return {
        "windows": found.windows,
        "windows_settling": found.skipped,
        "true_positives": found.true_positives,
        "false_positives": found.false_positives,
        "false_negatives": found.false_negatives,
        "true_negatives": found.true_negatives,
        "precision": _rounded(found.precision),
        "recall": _rounded(found.recall),
        "episodes": len(found.outcomes),
        "episodes_detected": found.detected,
        "episode_recall": _rounded(found.episode_recall),
        "false_alarms": found.false_alarms,
        "false_alarms_per_machine_day": _rounded(
            found.false_alarms / found.machine_days if found.machine_days else None
        ),
        "median_delay_seconds": _seconds(found.median_delay),
        "median_lead_seconds": _seconds(found.median_lead),
        "kinds": [_kind(kind, outcomes) for kind, outcomes in found.by_kind().items()],
    }


def _moment(given: datetime | timedelta | None) -> datetime | None:
    return datetime.now(UTC) - given if isinstance(given, timedelta) else given


def _kind(kind: str, outcomes: Sequence[EpisodeOutcome]) -> dict[str, Any]:
    return {
        "kind": kind,
        "of": outcomes[0].episode.of,
        "episodes": len(outcomes),
        "detected": sum(o.detected_at is not None for o in outcomes),
        "windows": sum(o.windows for o in outcomes),
        "flagged": sum(o.flagged for o in outcomes),
        "median_delay_seconds": _seconds(_median(o.delay for o in outcomes)),
        "median_lead_seconds": _seconds(_median(o.lead for o in outcomes)),
    }


def as_text(figures: dict[str, Any]) -> str:
    """The same for people."""
    head = [
        ("windows", f"{figures['windows']} scored ({figures['windows_settling']} settling after a repair not counted)"),
        ("precision", _share(figures["true_positives"], figures["false_positives"], "flagged windows were faulty")),
        ("recall", _share(figures["true_positives"], figures["false_negatives"], "faulty windows were flagged")),
        ("episodes", f"{figures['episodes_detected']} of {figures['episodes']} detected"),
        ("false alarms", f"{figures['false_alarms']} ({figures['false_alarms_per_machine_day']} a machine and day)"),
        ("delay", f"{_clock(figures['median_delay_seconds'])} from an episode's start to its alarm (median)"),
        ("lead", f"{_clock(figures['median_lead_seconds'])} from the alarm to the episode's end (median)"),
    ]
    lines = [f"{name:<14}{text}" for name, text in head]
    form = "{:<18}{:<9}{:>9}{:>10}{:>9}{:>9}{:>9}{:>9}"
    lines += ["", form.format("kind", "of", "episodes", "detected", "windows", "flagged", "delay", "lead")]
    lines += [
        form.format(
            k["kind"], k["of"], k["episodes"], k["detected"], k["windows"], k["flagged"],
            _clock(k["median_delay_seconds"]), _clock(k["median_lead_seconds"]),
        )
        for k in figures["kinds"]
    ]  # fmt: skip
    return "\n".join(lines)


def _share(hits: int, misses: int, what: str) -> str:
    return f"{hits / (hits + misses):.1%} ({hits} of {hits + misses} {what})" if hits + misses else f"- (no {what})"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes = round(seconds / 60)
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes}min"


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 4)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 3)


def _median(durations: Iterable[timedelta | None]) -> timedelta | None:
    known = [d.total_seconds() for d in durations if d is not None]
    return timedelta(seconds=median(known)) if known else None
