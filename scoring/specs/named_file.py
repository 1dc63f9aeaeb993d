"""A file that is named where its content may stand: it is read in, with its paths relative to itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationInfo

from scoring.errors import InvalidInput
from scoring.specs.document import described
from scoring.specs.fields import local_path
from scoring.specs.validation import refuse

Read = TypeVar("Read")


def read_in(named: str, info: ValidationInfo, read: Callable[[str], Read], *, of_request: str) -> Read:
    """What `read` makes of the absolute path. `of_request` says what a request holds in its place: it has no files."""
    if (info.context or {}).get("folder") is None:
        raise refuse(f"found {described(named)}; a request holds {of_request}")
    path = local_path(named, info)
    try:
        return read(path)
    except InvalidInput as error:
        raise refuse(str(error)) from None  # it names the file and its line, and is shown after the naming file's
