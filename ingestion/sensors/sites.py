"""Where the pumps stand: made-up waterworks in places with a real climate and time zone."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.errors import InvalidInput
from ingestion.sensors.load import Climate


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A waterworks. Latitude and longitude in degrees, north and east positive."""

    site_id: str
    name: str
    country: str
    latitude: float
    longitude: float
    time_zone: str
    mean_c: float
    day_swing_c: float

    @property
    def climate(self) -> Climate:
        return Climate(mean_c=self.mean_c, day_swing_c=self.day_swing_c, solar_offset_h=self.longitude / 15.0)


def _site(site_id: str, name: str, place: tuple[str, float, float, str], air: tuple[float, float]) -> Site:
    country, latitude, longitude, time_zone = place
    mean_c, day_swing_c = air
    return Site(
        site_id=site_id,
        name=name,
        country=country,
        latitude=latitude,
        longitude=longitude,
        time_zone=time_zone,
        mean_c=mean_c,
        day_swing_c=day_swing_c,
    )


SITES: tuple[Site, ...] = (
    _site("north", "Northfield Waterworks", ("NO", 59.91, 10.75, "Europe/Oslo"), (14.0, 4.0)),
    _site("harbour", "Harbour Pumping Station", ("NL", 51.92, 4.48, "Europe/Amsterdam"), (16.0, 3.0)),
    _site("hill", "Hilltop Reservoir", ("PT", 41.15, -8.61, "Europe/Lisbon"), (19.0, 5.0)),
    _site("river", "Riverside Intake", ("US", 41.88, -87.63, "America/Chicago"), (17.0, 5.0)),
    _site("desert", "Desert Booster Station", ("AE", 24.45, 54.38, "Asia/Dubai"), (29.0, 6.0)),
    _site("island", "Island Desalination", ("SG", 1.35, 103.82, "Asia/Singapore"), (28.0, 2.5)),
    _site("coast", "Coastal Works", ("AU", -33.87, 151.21, "Australia/Sydney"), (19.0, 4.0)),
    _site("valley", "Valley Irrigation", ("IN", 18.52, 73.86, "Asia/Kolkata"), (26.0, 5.0)),
)


def sites(count: int) -> tuple[Site, ...]:
    """The first `count` sites. Raises InvalidInput outside of what there is."""
    if not 1 <= count <= len(SITES):
        raise InvalidInput(f"sites: {count} asked for; 1 to {len(SITES)} are allowed")
    return SITES[:count]
