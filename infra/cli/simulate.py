"""`tidemill simulate`: a fleet of pumps, published as fast as asked, its faults told to the lake first."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infra.cli.progress import Progress, stop_on_signals
from infra.cli.times import Duration, Moment, Speed
from infra.settings import Settings
from ingestion.duration import duration
from ingestion.errors import InvalidInput

if TYPE_CHECKING:
    from ingestion.sensors.delivery import DeliveryShares
    from ingestion.sensors.faults import FaultEpisode, FaultKind
    from ingestion.sensors.fleet import FleetSpec

_ENDLESS_PLAN = timedelta(days=30)
_SPREAD_OVER = ("late", "out_of_order", "duplicated", "dropped", "corrupt")


@click.command(
    help="Publish readings of a simulated fleet of pumps, until --until or Ctrl-C. Summary (JSON) on stdout."
)
@click.option("--machines", default=12, show_default=True, help="Number of pumps.")
@click.option("--sites", default=3, show_default=True, help="Number of sites that they stand at.")
@click.option("--interval", default=1.0, show_default=True, metavar="SECONDS", help="Between readings of one sensor.")
@click.option("--seed", default=1, show_default=True, help="Same seed and start: the same readings.")
@click.option("--start", type=Moment(), help="First event time, or how long ago. Default: so that it ends now.")
@click.option("--until", type=Moment(), help="Last event time, or how long after --start. Default: until stopped.")
@click.option("--speed", type=Speed(), default="1", show_default=True, help="Factor of real time, or max.")
@click.option("--rate", type=float, default=math.inf, metavar="N", help="Readings a second at most.")
@click.option("--faults", default="all", show_default=True, metavar="KIND,…", help="Kinds of faults; or all, none.")
@click.option("--fault-rate", default=0.5, show_default=True, help="Faults per machine and day, placed by the seed.")
@click.option("--healthy-for", type=Duration(), metavar="DURATION", help="No planned fault this long after the start.")
@click.option(
    "--fault",
    "explicit",
    multiple=True,
    metavar="KIND@PLACE+AFTER+DURATION",
    help="One fault, e.g. bearing_damage@north-pump-02+3h+90m, or sensor_drift@north-pump-01/flow+3h+1h. Repeatable.",
)
@click.option(
    "--delivery-faults",
    default="0",
    show_default=True,
    metavar="SHARE",
    help="Share of messages that go astray, spread over all ways; or late=0.01,corrupt=0.001.",
)
@click.option("--encoding", type=click.Choice(["batch", "json"]), default="batch", show_default=True, help="Messages.")
@click.option("--batch-size", default=600, show_default=True, help="Readings a message at most, with batch.")
@click.option("--write-plant", type=click.Path(path_type=Path), metavar="DIR", help="Only write the static data's CSV.")
def simulate(
    machines: int,
    sites: int,
    interval: float,
    seed: int,
    start: datetime | timedelta | None,
    until: datetime | timedelta | None,
    speed: float,
    rate: float,
    faults: str,
    fault_rate: float,
    healthy_for: timedelta | None,
    explicit: tuple[str, ...],
    delivery_faults: str,
    encoding: str,
    batch_size: int,
    write_plant: Path | None,
) -> None:
    from infra.wiring.broker import reading_publisher
    from infra.wiring.lake import fault_writer
    from ingestion.pacing import Pace
    from ingestion.sensors.faults import FaultPlan
    from ingestion.sensors.fleet import Fleet, FleetSpec, episodes_of
    from ingestion.sensors.simulation import SimulationSpec, play

    if fault_rate < 0:
        raise InvalidInput(f"--fault-rate: {fault_rate} given; 0 or more is allowed")
    spec = FleetSpec(
        machines=machines,
        sites=sites,
        seed=seed,
        interval=timedelta(seconds=interval),
        faults=FaultPlan(kinds=_kinds(faults), rate=fault_rate, healthy_for=healthy_for or timedelta(0)),
    )
    if write_plant is not None:
        _write_plant(spec, write_plant)
        return
    begin, end = span(start, until, speed=speed, now=datetime.now(UTC))
    episodes = [*episodes_of(spec, starts_at=begin, ends_at=end or begin + _ENDLESS_PLAN)] if not explicit else []
    episodes += [explicit_fault(text, begin) for text in explicit]
    fleet = Fleet(spec, starts_at=begin, episodes=episodes)
    simulation = SimulationSpec(
        until=end,
        pace=Pace(speed=speed, rate=rate),
        encoding="json" if encoding == "json" else "arrow",
        readings_a_message=batch_size,
        delivery=delivery_shares(delivery_faults),
    )
    settings = Settings()
    with reading_publisher(settings) as publisher, stop_on_signals() as stop, Progress() as progress:
        report = play(
            fleet,
            simulation,
            publisher,
            tell_truth=fault_writer(settings),
            stop=stop,
            progress=lambda now: progress.show(now.readings, now.seconds, now.reached),
        )
    summary = {
        "readings": report.readings,
        "messages": report.messages,
        "seconds": round(report.seconds, 3),
        "rate": round(report.rate),
        "start": begin.isoformat(),
        "end": (report.reached or begin).isoformat(),
        "machines": len(fleet.machines),
        "faults": [
            {
                "fault_id": one.fault_id,
                "kind": one.kind.value,
                "starts_at": one.starts_at.isoformat(),
                "ends_at": one.ends_at.isoformat(),
            }
            for one in sorted(fleet.episodes, key=lambda one: one.starts_at)[: report.faults]
        ],
        "delivery_faults": report.delivery,
        "lost_readings": report.lost_readings,
        "stopped": report.is_stopped,
    }
    print(json.dumps(summary, indent=2))


def span(
    start: datetime | timedelta | None, until: datetime | timedelta | None, *, speed: float, now: datetime
) -> tuple[datetime, datetime | None]:
    """First and last event time from what was typed. Raises InvalidInput where they are the wrong way round.

    A duration as start is that long ago; a duration as end is that long after the start. Without a start, what lasts
    for a duration ends now (at its speed), so that no reading lies in the future; what ends at a past time needs one.
    """
    begin = now
    if isinstance(start, datetime):
        begin = start
    elif start is not None:
        begin = now - start
    elif isinstance(until, timedelta) and speed > 1:
        begin = now - until + until / speed if math.isfinite(speed) else now - until
    end = begin + until if isinstance(until, timedelta) else until
    if end is not None and end <= begin:
        raise InvalidInput(
            f"--until {end.isoformat()} is not after --start {begin.isoformat()}; give an earlier --start"
        )
    return begin, end


def delivery_shares(text: str) -> DeliveryShares:
    """`0.02` spreads that share evenly; `late=0.01,corrupt=0.001` names the shares. Raises InvalidInput."""
    from ingestion.sensors.delivery import DeliveryShares

    try:
        if "=" not in text:
            return DeliveryShares(**dict.fromkeys(_SPREAD_OVER, float(text) / len(_SPREAD_OVER)))
        named = dict(part.strip().split("=", 1) for part in text.split(","))
        unknown = sorted(set(named) - set(_SPREAD_OVER))
        if unknown:
            raise InvalidInput(f"--delivery-faults: {', '.join(unknown)} found; allowed are {', '.join(_SPREAD_OVER)}")
        return DeliveryShares(**{name: float(share) for name, share in named.items()})
    except ValueError:
        raise InvalidInput(
            f"--delivery-faults: {text!r} found; write a share like 0.02, or late=0.01,corrupt=0.001"
        ) from None


def explicit_fault(text: str, begin: datetime) -> FaultEpisode:
    """KIND@PLACE+AFTER+DURATION, with AFTER counted from `begin`. Raises InvalidInput."""
    from ingestion.sensors.faults import FaultKind, episode

    head, _, rest = text.partition("@")
    parts = rest.split("+")
    if len(parts) != 3:
        raise InvalidInput(f"--fault: {text!r} found; write e.g. bearing_damage@north-pump-02+3h+90m")
    (kind,) = _kinds(head) if head in {one.value for one in FaultKind} else (None,)
    if kind is None:
        raise InvalidInput(f"--fault: kind {head!r} found; allowed are {', '.join(FaultKind)}")
    place, after, lasts = parts
    machine_id, _, quantity = place.partition("/")
    if kind.is_of_sensor != bool(quantity):
        wanted = "a sensor, e.g. north-pump-02/flow" if kind.is_of_sensor else "a machine, e.g. north-pump-02"
        raise InvalidInput(f"--fault: {place!r} found; {kind} needs {wanted}")
    try:
        starts_at = begin if after in ("0", "0s") else begin + duration(after)
        ends_at = starts_at + duration(lasts)
    except ValueError as error:
        raise InvalidInput(f"--fault: {error}") from None
    return episode(
        machine_id=machine_id, kind=kind, starts_at=starts_at, ends_at=ends_at, sensor=place if quantity else None
    )


def _kinds(text: str) -> tuple[FaultKind, ...]:
    from ingestion.sensors.faults import FaultKind

    if text in ("all", "none"):
        return tuple(FaultKind) if text == "all" else ()
    known = {kind.value: kind for kind in FaultKind}
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"--faults: {', '.join(unknown)} found; allowed are all, none, {', '.join(known)}")
    return tuple(known[name] for name in names)


def _write_plant(spec: FleetSpec, folder: Path) -> None:
    from ingestion.sensors.plant import write_plant

    for path in write_plant(spec, folder):
        print(path)
    print(f"load it with: tidemill load {folder}", file=sys.stderr)
