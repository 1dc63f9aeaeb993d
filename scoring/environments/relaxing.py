"""How far a pin may be moved when nothing fits it: the same minor version, the same major, any. Always the nearest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from scoring.environments.wanted import normalized


class Reach(IntEnum):
    """How far from what was written."""

    AS_WRITTEN = 0
    SAME_MINOR = 1
    SAME_MAJOR = 2
    ANY = 3

    @property
    def words(self) -> str:
        return ("as written", "the same minor version", "the same major version", "any version")[self]


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A requirement and how far it has been moved. `line` is what is asked for now."""

    written: str
    reach: Reach = Reach.AS_WRITTEN
    from_source: bool = False

    @property
    def name(self) -> str | None:
        requirement = _requirement(self.written)
        return None if requirement is None else normalized(requirement.name)

    @property
    def line(self) -> str:
        return _moved(self.written, self.reach)

    @property
    def farther(self) -> Pin | None:
        """The next step away from what was written that asks for something else; None where none is left."""
        for reach in Reach:
            if reach > self.reach and _moved(self.written, reach) != self.line:
                return Pin(written=self.written, reach=reach, from_source=self.from_source)
        return None

    @property
    def nearer(self) -> Sequence[Pin]:
        """The steps before this one, the nearest to what was written first."""
        found, seen = [], {self.line}  # type: list[Pin], set[str]
        for reach in Reach:
            pin = Pin(written=self.written, reach=reach, from_source=self.from_source)
            if reach < self.reach and pin.line not in seen:
                seen.add(pin.line)
                found.append(pin)
        return found


def to_move(pins: Sequence[Pin], reason: str) -> frozenset[str]:
    """Names of the pins that stand in the way, as uv's `reason` tells, and can be moved farther.

    Those that have no version or no file for this Python by themselves come alone; else all that it mentions, and
    where it mentions none of ours, all.
    """
    movable = {pin.name: pin for pin in pins if pin.name is not None and pin.farther is not None}
    alone = {normalized(found[1] or found[2]) for found in re.finditer(_ALONE, reason)} & movable.keys()
    if alone:
        return frozenset(name for name in alone if name is not None)
    words = {normalized(word) for word in re.findall(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", reason)}
    mentioned = words & movable.keys()
    return frozenset(name for name in (mentioned or movable) if name is not None)


_ALONE = (
    r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(?:[=<>!~]=?=?[^\s,]*(?:,[=<>!~]+[^\s,]+)*)? has no "
    r"|no versions? of ([A-Za-z0-9][A-Za-z0-9._-]*)"
)


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _moved(line: str, reach: Reach) -> str:
    requirement = _requirement(line)
    if requirement is None or requirement.url is not None or reach is Reach.AS_WRITTEN:
        return line
    specifier = SpecifierSet() if reach is Reach.ANY else _widened(requirement.specifier, reach)
    if specifier == requirement.specifier:
        return line
    requirement.specifier = specifier
    return str(requirement)


def _widened(specifier: SpecifierSet, reach: Reach) -> SpecifierSet:
    """Pins to one version become pins to its minor or major; ranges stay until nothing but `any` is left."""
    parts = []
    for condition in specifier:
        version = _release(condition.version) if condition.operator in ("==", "===", "~=") else None
        if version is None:
            parts.append(str(condition))
            continue
        keep = 2 if reach is Reach.SAME_MINOR else 1
        if condition.operator == "~=" and len(version) <= keep:
            parts.append(str(condition))  # ~=1.4 is wider than 1.4.*
        else:
            parts.append("==" + ".".join(str(number) for number in version[:keep]) + ".*")
    return SpecifierSet(",".join(parts))


def _release(text: str) -> tuple[int, ...] | None:
    """The numbers of a version that is pinned to; with at least two, as `==2` means 2.0."""
    wild = text.endswith(".*")
    try:
        release = Version(text.removesuffix(".*")).release
    except InvalidVersion:
        return None
    return release if wild or len(release) > 1 else (*release, 0)
