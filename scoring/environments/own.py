"""Whether tidemill's own environment has all that is asked for: then nothing need be made."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement

from scoring.environments.wanted import Wanted, normalized


@cache
def installed() -> Mapping[str, str]:
    """Versions of what is installed beside tidemill, by normalized name; looked up once."""
    return {normalized(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}


def lacks(wanted: Wanted, versions: Mapping[str, str]) -> str | None:
    """The first requirement that is not met by `versions`; None where all are. Pythons are not compared here."""
    for line in wanted.requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            return line
        if requirement.url is not None or requirement.extras:
            return line
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        version = versions.get(normalized(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            return line
    return None
