"""What an invocation says: the file of `invoke -f`, the body of a POST, and a schedule's input and output."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from scoring.invoke import Invocation, Overrides
from scoring.job import JobInput, JobInputType, JobOutput, Pivot
from scoring.mini_batch_size import MiniBatchSize, SizeUnit
from scoring.specs.document import described
from scoring.specs.fields import (
    AssetName,
    BatchSize,
    Count,
    EndpointName,
    FileName,
    Integer,
    Level,
    LocalPath,
    ResourceName,
    Text,
    TextMap,
    local_path,
    lowered,
)
from scoring.specs.validation import Spec, refuse

_TABLE = re.compile(r"lake://[a-z][a-z0-9_]{0,62}")


class PivotSpec(Spec):
    index: Annotated[list[str], Field(min_length=1, max_length=20)]
    columns: Annotated[str, Field(min_length=1, max_length=100)]
    values: Annotated[list[str], Field(min_length=1, max_length=50)]


class InputSpec(Spec):
    """What a job reads: a folder, a file, or a table of the lake with static tables joined to it."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"mode"})

    type: Annotated[Literal["uri_folder", "uri_file", "table"], BeforeValidator(lowered)] = "uri_folder"
    path: str
    join: tuple[Literal["sensors", "machines", "sites"], ...] = ()
    pivot: PivotSpec | None = None
    incremental: bool = False
    from_version: Annotated[Integer, Field(ge=0, le=2**62)] | None = None
    mode: Any = None

    @field_validator("path")
    @classmethod
    def _readable(cls, path: str, info: ValidationInfo) -> str:
        if info.data.get("type") != "table":
            if path.startswith("lake://"):
                raise refuse(f"found {described(path)}; a table of the lake is read with type: table")
            return local_path(path, info)
        if not _TABLE.fullmatch(path):
            raise refuse(f"found {described(path)}; wanted a table of the lake, e.g. lake://windows")
        return path

    @model_validator(mode="after")
    def _for_tables(self) -> InputSpec:
        if self.type == "table":
            return self
        for name in ("join", "pivot", "incremental", "from_version"):
            if getattr(self, name):
                raise refuse(f"{name} is for type: table; this input is {self.type}")
        return self

    def job_input(self) -> JobInput:
        return JobInput(
            type=JobInputType(self.type),
            path=self.path,
            join=self.join,
            pivot=None
            if self.pivot is None
            else Pivot(index=tuple(self.pivot.index), columns=self.pivot.columns, values=tuple(self.pivot.values)),
            incremental=self.incremental,
            from_version=self.from_version,
        )


class OutputSpec(Spec):
    """Where predictions go: a folder for the output file; with `predictions` into the tables of that name too.

    `overwrite` puts the output file in the place of one that exists.
    """

    IGNORED: ClassVar[frozenset[str]] = frozenset({"mode"})

    type: Annotated[Literal["uri_folder", "uri_file"], BeforeValidator(lowered)] = "uri_folder"
    path: LocalPath | None = None
    predictions: bool = False
    overwrite: bool = False
    mode: Any = None

    def job_output(self) -> JobOutput:
        return JobOutput(path=self.path, predictions=self.predictions, overwrite=self.overwrite)


class RetryOverrides(Spec):
    max_retries: Annotated[Integer, Field(ge=1, le=1000)] | None = None
    timeout: Annotated[Integer, Field(ge=1, le=259_200)] | None = None


class InvocationSpec(Spec):
    """One invocation. What Azure lets an invocation change of its deployment can be changed here, and no more."""

    input: InputSpec
    output: OutputSpec = OutputSpec()
    endpoint: EndpointName | None = None
    deployment: ResourceName | None = None
    mini_batch_size: BatchSize | None = None
    instance_count: Count | None = None
    error_threshold: Level | None = None
    retry_settings: RetryOverrides = RetryOverrides()
    output_file_name: FileName | None = None
    job_name: AssetName | None = None
    display_name: Text | None = None
    experiment_name: Text | None = None
    tags: TextMap = Field(default_factory=dict)

    def invocation(self) -> Invocation:
        size = None if self.mini_batch_size is None else MiniBatchSize.parse(self.mini_batch_size)
        return Invocation(
            input=self.input.job_input(),
            output=self.output.job_output(),
            overrides=Overrides(
                instance_count=self.instance_count,
                mini_batch_size=None if size is None else size.number,
                mini_batch_unit=SizeUnit.FILES if size is None else size.unit,
                max_retries=self.retry_settings.max_retries,
                timeout=self.retry_settings.timeout,
                error_threshold=self.error_threshold,
                output_file_name=self.output_file_name,
            ),
            display_name=self.display_name,
            experiment_name=self.experiment_name,
            tags=self.tags,
        )
