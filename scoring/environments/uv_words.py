"""What uv said, for people: the one line that matters, what kind of failure it is, and no address of a registry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from scoring.environments.wanted import normalized

_LINE_LIMIT = 400
_AWAY = "the package registry could not be reached"


class Trouble(StrEnum):
    """Typed by what is done about it."""

    NO_FIT = "no_fit"  # move a pin
    NO_SUCH_PACKAGE = "no_such_package"  # leave it out if that is allowed, else name it
    NOT_BUILT = "not_built"  # another version may have a wheel
    NO_SOURCE = "no_source"  # take its wheels after all
    UNREACHABLE = "unreachable"  # take what is in the cache, else try another time
    NO_SPACE = "no_space"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """`line` is one line for people; `package` the one that it is about, where that is known."""

    trouble: Trouble
    line: str
    package: str | None = None


def without_addresses(text: str) -> str:
    """No host and no credential: whoever reads a log need not learn where packages come from."""
    text = re.sub(r"[a-z][a-z0-9+.-]*://[^\s`'\")>,]+", "<registry>", text, flags=re.IGNORECASE)
    return re.sub(r"\b(?:[a-z0-9-]+\.)+(?:org|com|net|io|cloud)(?::\d+)?(?=[/`'\s)]|$)", "<registry>", text)


def why(output: str) -> Reason:
    """The reason in what uv wrote to stderr."""
    text = without_addresses(output)
    flat = " ".join(text.split())
    for trouble, pattern in _KNOWN:
        if found := re.search(pattern, flat):
            package = found.groupdict().get("package")
            line = _AWAY if trouble is Trouble.UNREACHABLE else _line(text, trouble)
            return Reason(trouble=trouble, line=line, package=package)
    return Reason(trouble=Trouble.OTHER, line=_line(text, Trouble.OTHER))


_PACKAGE = r"[`']?(?P<package>[A-Za-z0-9][A-Za-z0-9._-]*)"
_KNOWN = (
    (Trouble.NO_SPACE, r"[Nn]o space left on device|os error 28"),
    (
        Trouble.UNREACHABLE,
        r"[Ff]ailed to fetch|dns error|error sending request|tcp connect|[Cc]ould not connect|network was disabled"
        r"|operation timed out|Connection refused|error trying to connect",
    ),
    (Trouble.NO_SUCH_PACKAGE, _PACKAGE + r"[`']? was not found in the (?:package registry|provided package locations)"),
    (Trouble.NOT_BUILT, r"[Ff]ailed to (?:download and )?build [`']?(?P<package>[A-Za-z0-9][A-Za-z0-9._-]*)"),
    (Trouble.NO_SOURCE, r"using pre-built wheels is disabled for " + _PACKAGE),
    (Trouble.NO_FIT, r"No solution found|unsatisfiable|are incompatible"),
)


def _line(text: str, trouble: Trouble) -> str:
    """The sentence that says why: the first `cause` where there is one, folded into one line."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not _is_noise(line)]
    for number, line in enumerate(lines):
        found = re.match(r"\s*(?:cause:|╰─▶|├─▶|Caused by:)\s*(.*)", line)
        if found:
            return _cut(_whole([found[1], *lines[number + 1 :]]) if trouble is Trouble.NO_FIT else found[1])
    errors = [line for line in lines if re.match(r"\s*(error|×)", line)]
    return _cut((errors or lines or ["uv ended without a word"])[0])


def _whole(lines: list[str]) -> str:
    """A reason that goes on in the next lines, up to the hint."""
    parts = [lines[0]]
    for line in lines[1:]:
        if re.match(r"\s*(hint|cause|warning|error)\b", line):
            break
        parts.append(line.strip())
    return " ".join(parts)


def _cut(line: str) -> str:
    line = re.sub(r"^(?:error:|×)\s*", "", line.strip())
    line = re.sub(r",? we can conclude that .*$", "", line).removeprefix("Because ").strip()
    return line if len(line) <= _LINE_LIMIT else line[: _LINE_LIMIT - 3] + "..."


def _is_noise(line: str) -> bool:
    return line.startswith(("warning:", "Using ", "Resolved ", "DEBUG", "TRACE"))


def no_wheel_at_all(line: str) -> tuple[str, str | None] | None:
    """The package, and the one version of it, of which a reason says that it may have nothing but its source.

    Not a package of which only some versions are so: others will do.
    """
    found = re.search(
        r"(?<![^\s])([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(?:==([^\s,*]+))? has no usable wheels", line
    )
    return (normalized(found[1]), found[2]) if found else None
