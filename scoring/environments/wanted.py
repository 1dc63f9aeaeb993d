"""What is wanted of an environment: a Python, requirements in pip's words, and what had to be said about them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from packaging.requirements import InvalidRequirement, Requirement

_FORM = 1
"""Part of the key: raised when the same wish would be carried out differently."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """One thing that was done otherwise than asked, in words: `subject` is the requirement as it was written."""

    subject: str
    done: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.done}"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A Python environment as asked for.

    python        a version or specifier as the conda file has it, e.g. `3.8.5` or `>=3.9`; None is any
    requirements  lines that pip takes, options not among them
    optional      those of `requirements` that came from conda's own list: one that no registry has is left out
    options       pip's options with their values, e.g. `--find-links ADDRESS`
    notes         what was left out or renamed, and why
    """

    python: str | None = None
    requirements: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for that tidemill's own environment might not have."""
        return not self.requirements and self.python is None

    @property
    def key(self) -> str:
        """The content's hash: the same wish, however it was written, is the same environment."""
        asked = [_FORM, self.python, sorted(self.requirements), sorted(self.optional), list(self.options)]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def plus(self, *requirements: str) -> Wanted:
        """With these too, where none of their name is asked for yet."""
        have = {name for line in self.requirements if (name := name_of(line))}
        new = [line for line in requirements if name_of(line) not in have]
        return replace(self, requirements=(*self.requirements, *new))


def normalized(name: str) -> str:
    """A package's name as registries compare it."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def name_of(line: str) -> str | None:
    """The package that a requirement line names; None where it is an address without a name."""
    try:
        return normalized(Requirement(line).name)
    except InvalidRequirement:
        return None
