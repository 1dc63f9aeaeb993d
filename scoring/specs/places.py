"""Fields that say where content lies: a path of this machine, or a reference that the service follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from scoring.errors import InvalidInput
from scoring.specs.document import described
from scoring.specs.fields import local_path
from scoring.specs.references import (
    DatastorePath,
    JobOutputPath,
    Location,
    Reference,
    WebAddress,
    WrittenPath,
    parse_location,
)
from scoring.specs.validation import refuse


def _place(*kinds: type[Location]) -> Callable[[str, ValidationInfo], str]:
    def check(text: str, info: ValidationInfo) -> str:
        try:
            location = parse_location(text)
        except InvalidInput as error:
            raise refuse(str(error)) from None
        if isinstance(location, WrittenPath):
            return local_path(location.path, info)
        if not isinstance(location, kinds):
            allowed = ", ".join(_FORMS[kind] for kind in (WrittenPath, *kinds))
            raise refuse(f"found {described(text)}; allowed: {allowed}")
        return str(location) if isinstance(location, (DatastorePath, JobOutputPath)) else text

    return check


_FORMS: dict[type[Location], str] = {
    WrittenPath: "a path of this machine",
    DatastorePath: "azureml://datastores/NAME/paths/PATH",
    JobOutputPath: "azureml://jobs/JOB/outputs/NAME/paths/PATH",
    WebAddress: "https://…",
    Reference: "azureml:NAME:VERSION",
}

ContentPath = Annotated[str, AfterValidator(_place(DatastorePath, JobOutputPath))]
"""What is copied when it is registered. A path is absolute after validation: relative to the file that holds it."""

DataPath = Annotated[str, AfterValidator(_place(DatastorePath, JobOutputPath, WebAddress))]
"""What a data asset may lie under."""

InputPath = Annotated[str, AfterValidator(_place(Reference, DatastorePath, JobOutputPath, WebAddress))]
"""What a job may read: a data asset, too."""

OutputPath = Annotated[str, AfterValidator(_place(DatastorePath))]
"""Where a job may write."""


def readable_path(text: str, info: ValidationInfo) -> str:
    """As `InputPath`, for validators of fields that hold more than paths."""
    return _place(Reference, DatastorePath, JobOutputPath, WebAddress)(text, info)
