"""How documents name registered things: `azureml:name:version`, `azureml:name@latest`, `name:version`, `name`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scoring.errors import InvalidInput
from scoring.specs.document import described

_FORM = re.compile(
    r"(?:azureml:)?(?P<name>[a-zA-Z0-9][-_.a-zA-Z0-9]{0,127})(?::(?P<version>[-_.a-zA-Z0-9]{1,128})|@(?P<label>[a-zA-Z]+))?"
)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """`version` None is the latest, by creation time."""

    name: str
    version: str | None = None


def parse_reference(text: str) -> Reference:
    """Raises InvalidInput for another form, or another label than `latest`."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidInput(f"found {described(text)}; wanted azureml:NAME:VERSION, azureml:NAME@latest or NAME")
    if found["label"] not in {None, "latest"}:
        raise InvalidInput(f"found the label '@{found['label']}'; the only label is @latest")
    return Reference(name=found["name"], version=found["version"])


def bare_name(text: str) -> str:
    """`azureml:cpu-cluster` and `cpu-cluster` are the same compute."""
    return text.removeprefix("azureml:")
