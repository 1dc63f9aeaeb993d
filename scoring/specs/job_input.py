"""What a job reads and where its predictions go, as people write it; a schedule says it with the same words.

Paths are made absolute here, relative to the file that holds them. References (`azureml:…`) stay as they are written:
what they name is looked up when the job is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from scoring.datastore import DEFAULT_DATASTORE
from scoring.errors import InvalidInput
from scoring.job import JobInput, JobInputType, JobOutput, Pivot
from scoring.specs.document import described
from scoring.specs.fields import FileName, Integer, local_path, lowered
from scoring.specs.references import (
    DatastorePath,
    JobOutputPath,
    LakeTable,
    Location,
    Reference,
    WebAddress,
    parse_location,
)
from scoring.specs.validation import Spec, refuse

OUTPUT_NAME = "score"
"""The one output of a model's deployment has this name, whatever an invocation calls it."""

_TABLE = re.compile(r"lake://[a-z][a-z0-9_]{0,62}")
_OF_OTHERS = {"mltable", "custom_model", "mlflow_model", "triton_model"}
_LITERALS = {"string", "number", "integer", "boolean", "literal"}
_EXPRESSION = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")

InputMode = Annotated[
    Literal["ro_mount", "rw_mount", "download", "direct", "eval_mount", "eval_download"], BeforeValidator(lowered)
]
OutputMode = Annotated[Literal["rw_mount", "upload", "direct", "mount"], BeforeValidator(lowered)]


def _input_type(value: Any) -> Any:
    kind = lowered(value)
    if not isinstance(kind, str):
        return kind  # what it should have been is said by the field itself
    if kind in _LITERALS:
        raise refuse(f"found {described(value)}; a model's deployment takes data alone: uri_folder, uri_file or table")
    if kind in _OF_OTHERS:
        raise refuse(f"found {described(value)}, which a model's deployment does not read; allowed: {_ALLOWED}")
    return kind


_ALLOWED = "uri_folder, uri_file, table"

InputType = Annotated[Literal["uri_folder", "uri_file", "table"], BeforeValidator(_input_type)]


class PivotSpec(Spec):
    """Long rows to wide ones."""

    index: Annotated[list[str], Field(min_length=1, max_length=20)]
    columns: Annotated[str, Field(min_length=1, max_length=100)]
    values: Annotated[list[str], Field(min_length=1, max_length=50)]


class InputSpec(Spec):
    """What a job reads: a folder, a file, or a table of the lake with static tables joined to it.

    Without a type an asset says it itself, a path is a file or a folder as it lies there, and `lake://` is a table. The
    last keys are added by `show` and have no effect.
    """

    IGNORED: ClassVar[frozenset[str]] = frozenset({"mode"})

    type: InputType | None = None
    path: Annotated[str, Field(max_length=4096)]
    join: tuple[Literal["sensors", "machines", "sites"], ...] = ()
    pivot: PivotSpec | None = None
    incremental: bool = False
    from_version: Annotated[Integer, Field(ge=0, le=2**62)] | None = None
    mode: InputMode | None = None

    source: Any = None
    to_version: Any = None

    @field_validator("path")
    @classmethod
    def _readable(cls, path: str, info: ValidationInfo) -> str:
        kind = info.data.get("type")
        if kind == "table" and not _TABLE.fullmatch(path):
            raise refuse(f"found {described(path)}; wanted a table of the lake, e.g. lake://windows")
        location = _located(path)
        if isinstance(location, LakeTable):
            if kind not in {None, "table"}:
                raise refuse(f"found {described(path)}; a table of the lake is read with type: table")
            if not _TABLE.fullmatch(path):
                raise refuse(f"found {described(path)}; wanted a table of the lake, e.g. lake://windows")
            return path
        if isinstance(location, (Reference, DatastorePath, JobOutputPath, WebAddress)):
            return path
        return local_path(location.path, info)

    @model_validator(mode="after")
    def _for_tables(self) -> InputSpec:
        if self._kind is JobInputType.TABLE:
            return self
        for name in ("join", "pivot", "incremental", "from_version"):
            if getattr(self, name):
                raise refuse(f"{name} is for type: table; this input is {self._kind or 'of files'}", name)
        return self

    @property
    def _kind(self) -> JobInputType | None:
        if self.type is None:
            return JobInputType.TABLE if self.path.startswith("lake://") else None
        return JobInputType(self.type)

    def job_input(self) -> JobInput:
        """`type` is uri_folder where it was not said, until somebody has looked."""
        return JobInput(
            type=self._kind or JobInputType.URI_FOLDER,
            is_type_given=self._kind is not None,
            path=self.path,
            join=self.join,
            pivot=None
            if self.pivot is None
            else Pivot(index=tuple(self.pivot.index), columns=self.pivot.columns, values=tuple(self.pivot.values)),
            incremental=self.incremental,
            from_version=self.from_version,
        )


class OutputSpec(Spec):
    """Where predictions go: a folder for the output file, or (`uri_file`) the file itself.

    `predictions` puts them into the tables of that name, too; `overwrite` replaces an output file that exists. The path
    may hold `${{name}}`, the job's name.
    """

    IGNORED: ClassVar[frozenset[str]] = frozenset({"mode"})

    type: Annotated[Literal["uri_folder", "uri_file"], BeforeValidator(lowered)] = "uri_folder"
    path: Annotated[str, Field(max_length=4096)] | None = None
    file_name: FileName | None = None
    predictions: bool = False
    overwrite: bool = False
    mode: OutputMode | None = None

    @field_validator("path")
    @classmethod
    def _writable(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None:
            return None
        written = _EXPRESSION.sub(_expanded, path)
        location = _located(written)
        if isinstance(location, DatastorePath):
            return str(location) + ("/" if written.endswith("/") and location.path else "")
        if isinstance(location, (LakeTable, Reference, JobOutputPath, WebAddress)):
            raise refuse(
                f"found {described(path)}; predictions go to a folder of this machine or to "
                "azureml://datastores/NAME/paths/PATH"
            )
        return local_path(location.path, info) + ("/" if written.endswith("/") else "")

    @property
    def _names_file(self) -> bool:
        return self.type == "uri_file" and self.path is not None and not self.path.endswith("/")

    @property
    def named_file(self) -> str | None:
        """The output file's name, where the output says it."""
        return PurePosixPath(self.path).name if self._names_file and self.path else self.file_name

    def job_output(self) -> JobOutput:
        folder = self.path.rstrip("/") or "/" if self.path else None
        if folder and self._names_file:
            folder = folder.rpartition("/")[0] or "/"
        return JobOutput(path=folder, predictions=self.predictions, overwrite=self.overwrite)


def _located(path: str) -> Location:
    try:
        return parse_location(path)
    except InvalidInput as error:
        raise refuse(str(error)) from None


_KNOWN: Mapping[str, str] = {
    "default_datastore": DEFAULT_DATASTORE,
    "output_name": OUTPUT_NAME,
    "name": "${{name}}",  # the job's, which is not known yet
}


def _expanded(found: re.Match[str]) -> str:
    if found[1] not in _KNOWN:
        allowed = ", ".join(f"${{{{{name}}}}}" for name in _KNOWN)
        raise refuse(f"found the expression {described(found[0])}, allowed: {allowed}")
    return _KNOWN[found[1]]
