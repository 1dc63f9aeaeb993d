"""Requirement files as pip reads them: requirements, options, other files, constraints; one line is one of these."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement

from scoring.environments.names import is_agents
from scoring.environments.wanted import Note, Wanted
from scoring.errors import InvalidInput

_TAKEN = ("--index-url", "--extra-index-url", "--find-links", "--pre", "--no-index")
_SHORT = {"-i": "--index-url", "-f": "--find-links"}
_IGNORED = ("--trusted-host", "--use-feature", "--prefer-binary", "--only-binary", "--no-binary", "--require-hashes")
_OTHER_FILE = ("-r", "--requirement")
_CONSTRAINTS = ("-c", "--constraint")
_FILES_DEEP = 5

AGENT_ONLY = "left out: only Azure's agent needs it"


@dataclass
class Lines:
    """What has been read so far; `wanted` gives it as a value."""

    requirements: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def wanted(self) -> Wanted:
        return Wanted(
            requirements=tuple(dict.fromkeys(self.requirements)),
            options=tuple(dict.fromkeys(self.options)),
            notes=tuple(dict.fromkeys(self.notes)),
        )


def parse_lines(
    lines: Iterable[str], *, place: str, other_file: Callable[[str], str] | None = None, into: Lines | None = None
) -> Lines:
    """Read requirement lines.

    place       what errors call the list, e.g. `requirements.txt` or `conda_file: dependencies.pip`
    other_file  gives the text of a file named by `-r`; None where such files were not kept

    Raises InvalidInput with place and number of the line.
    """
    found = into if into is not None else Lines()
    _read(lines, place, other_file, found, 0)
    return found


def _read(lines: Iterable[str], place: str, other_file: Callable[[str], str] | None, found: Lines, depth: int) -> None:
    for number, line in _joined(lines):
        here = f"{place}:{number}"
        text = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not text:
            continue
        if text.startswith("-"):
            _option(text, here, other_file, found, depth)
        else:
            _requirement(text, here, found)


def _joined(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    """Lines that end in a backslash go on in the next."""
    begun, parts = 0, []  # type: int, list[str]
    for number, line in enumerate(lines, start=1):
        parts.append(line.rstrip("\r\n"))
        begun = begun or number
        if parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1]
            continue
        yield begun, " ".join(parts)
        begun, parts = 0, []
    if parts:
        yield begun, " ".join(parts)


def _option(text: str, here: str, other_file: Callable[[str], str] | None, found: Lines, depth: int) -> None:
    # `-rfile`, `-r file`, `--requirement=file`: pip takes all of them
    match = re.match(r"(--[a-z-]+|-[a-zA-Z])\s*=?\s*(.*)$", text)
    name, value = (match[1], match[2].strip()) if match else (text, "")
    name = _SHORT.get(name, name)
    if name in ("-e", "--editable"):
        raise InvalidInput(
            f"found '{text}'; a folder cannot be installed from here: build a wheel and name its address, "
            "or put the code into the deployment's code folder",
            place=here,
        )
    if name in _OTHER_FILE:
        if other_file is None or depth >= _FILES_DEEP:
            raise InvalidInput(
                f"found '{text}'; the other file was not kept with this one: write its lines here", place=here
            )
        _read(other_file(value).splitlines(), value, other_file, found, depth + 1)
        return
    if name in _CONSTRAINTS:
        found.notes.append(Note(subject=text, done="ignored: constraints ask for nothing, and pins may move here"))
    elif name in _TAKEN:
        found.options.append(f"{name} {value}".strip())
    elif name in _IGNORED:
        found.notes.append(Note(subject=name, done="ignored: this option has no meaning here"))
    else:
        raise InvalidInput(f"found the option '{name}'; allowed are {', '.join(_TAKEN)}, -r and -c", place=here)


def _requirement(text: str, here: str, found: Lines) -> None:
    text = re.sub(r"\s--(?:hash|global-option|config-settings)[=\s]\S+", "", text).strip()
    if re.match(r"(?:\.{0,2}/|[a-zA-Z]:\\|file:)", text):
        raise InvalidInput(
            f"found '{text}', a path of the machine that wrote it; allowed are packages and addresses", place=here
        )
    if re.match(r"(?:git|hg|svn|bzr)\+|https?://", text):
        named = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", text)
        found.requirements.append(f"{named[1]} @ {text.split('#')[0]}" if named else text)
        return
    try:
        requirement = Requirement(_lenient(text))
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput(f"found '{text}', which is no requirement: {reason}", place=here) from None
    if is_agents(requirement.name):
        found.notes.append(Note(subject=text, done=AGENT_ONLY))
    else:
        found.requirements.append(str(requirement))


def _lenient(text: str) -> str:
    """`numpy=1.20` in a pip list is conda's way of writing; pip itself refuses it, and everybody means the same."""
    return re.sub(r"^([A-Za-z0-9._-]+(?:\[[^\]]*\])?)\s*=\s*(?=[0-9])", r"\1==", text)
