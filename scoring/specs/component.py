"""Command and parallel components, on their own and inline in a step; what a step may say of both directly."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from scoring.components.binding import EXPRESSION
from scoring.components.declared import InputDeclaration, OutputDeclaration
from scoring.components.templates import wrong_use
from scoring.errors import InvalidInput
from scoring.mini_batch_size import MiniBatchSize
from scoring.specs.declarations import Inputs, Outputs
from scoring.specs.deployment import Environment, LoggingLevel, ModelField, ResourcesSpec, RetrySpec
from scoring.specs.document import described
from scoring.specs.fields import AssetName, Count, Integer, Level, Script, Text, TextMap, Version, lowered
from scoring.specs.not_here import checked_distribution
from scoring.specs.places import ContentPath
from scoring.specs.validation import Spec, refuse

_STRICT_NAME = re.compile(r"[a-z][a-z0-9_]{0,254}")


def is_strict_name(name: str) -> bool:
    """Whether a registered component may have it: an inline one's may be looser."""
    return _STRICT_NAME.fullmatch(name) is not None


def refuse_loose_name(name: str) -> None:
    if not is_strict_name(name):
        raise refuse(
            f"found {described(name)}; a component's name has up to 255 lower-case letters, digits and underscores, "
            "and begins with a letter"
        )


class Described(Spec):
    """Keys of every component; the last ones are added by `show` and have no effect."""

    IGNORED: ClassVar[frozenset[str]] = frozenset()

    name: AssetName | None = None
    version: Version | None = None
    display_name: Text | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    is_deterministic: bool = True

    id: Any = None
    content_hash: Any = None
    creation_context: Any = None
    latest_version: Any = None
    is_archived: Any = None
    is_anonymous: Any = None


def _one_instance(resources: ResourcesSpec) -> ResourcesSpec:
    if resources.instance_count not in {None, 1}:
        raise refuse(
            f"found {resources.instance_count}; a command runs as one process on one instance, allowed: 1 "
            "(a parallel step uses several)",
            "instance_count",
        )
    return resources


Distribution = Annotated[Any, BeforeValidator(checked_distribution)]
OneInstance = Annotated[ResourcesSpec, AfterValidator(_one_instance)]


class CommandBody(Spec):
    """What is run, and in what. `distribution` with one process is taken, and says nothing."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"distribution"})

    command: Annotated[str, Field(min_length=1, max_length=100_000)]
    code: ContentPath | None = None
    additional_includes: Annotated[list[ContentPath], Field(max_length=100)] = Field(default_factory=list)
    environment: Environment | None = None
    environment_variables: TextMap = Field(default_factory=dict)
    resources: OneInstance = ResourcesSpec()
    distribution: Distribution = None

    @model_validator(mode="after")
    def _included(self) -> CommandBody:
        if self.additional_includes and self.code is None:
            raise refuse("they are put beside the files of `code`, which is missing", "additional_includes")
        return self


class CommandComponentSpec(CommandBody, Described):
    """`type: command`, which need not be said."""

    type: Annotated[Literal["command"], BeforeValidator(lowered)] = "command"
    inputs: Inputs = Field(default_factory=dict)
    outputs: Outputs = Field(default_factory=dict)

    @model_validator(mode="after")
    def _expressions(self) -> CommandComponentSpec:
        inputs, outputs = ports(self)
        if wrong := wrong_use(self.command, inputs, outputs):
            raise refuse(wrong, "command")
        return self


def _mini_batch(value: Any) -> Any:
    """`"10"` files, `"10kb"`, `5000 rows`, as `MiniBatchSize` writes them; a number is taken for files, too."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise refuse(f"found {described(value)}, wanted a text such as '10' (files) or '10kb'")
    try:
        return str(MiniBatchSize.parse(value).written)
    except InvalidInput as error:
        raise refuse(str(error)) from None


_PORT = re.compile(r"(inputs|outputs)\.([A-Za-z0-9_][-A-Za-z0-9_]*)")


def _named_port(sort: str) -> Any:
    def check(text: str) -> str:
        found = EXPRESSION.fullmatch(text.strip())
        used = _PORT.fullmatch(found[1]) if found else None
        if used is None or used[1] != sort:
            raise refuse(f"found {described(text)}, wanted ${{{{{sort}.NAME}}}}")
        return f"${{{{{sort}.{used[2]}}}}}"

    return AfterValidator(check)


def port_name(expression: str) -> str:
    """`x` of a checked `${{inputs.x}}`."""
    return expression.removesuffix("}}").rpartition(".")[2]


class ParallelRetrySpec(RetrySpec):
    """A deployment's, with the defaults of parallel steps."""

    max_retries: Annotated[Integer, Field(ge=1, le=1000)] = 2
    timeout: Annotated[Integer, Field(ge=1, le=259_200)] = 60


class TaskSpec(Spec):
    """What gets the mini-batches: an entry script, or an MLflow model without one."""

    type: Annotated[Literal["run_function", "function", "model"], BeforeValidator(lowered)]
    code: ContentPath | None = None
    entry_script: Script | None = None
    program_arguments: Text | None = None
    environment: Environment | None = None
    model: ModelField | None = None
    append_row_to: Annotated[str, _named_port("outputs")] | None = None

    @model_validator(mode="after")
    def _whole(self) -> TaskSpec:
        if self.type == "model":
            if self.model is None:
                raise refuse("missing; a task of type model has one", "model")
            for field in ("code", "entry_script"):
                if getattr(self, field) is not None:
                    raise refuse("a task of type model has none; write type: run_function", field)
            return self
        for field in ("entry_script", "code"):
            if getattr(self, field) is None:
                raise refuse("missing; it is required", field)
        return self


class ParallelOptions(Spec):
    """How mini-batches are made, tried and counted; a step may say them otherwise than its component."""

    mini_batch_size: Annotated[str | None, BeforeValidator(_mini_batch)] = None
    partition_keys: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    max_concurrency_per_instance: Count | None = None
    error_threshold: Level | None = None
    mini_batch_error_threshold: Level | None = None
    retry_settings: ParallelRetrySpec | None = None
    logging_level: LoggingLevel | None = None

    @model_validator(mode="after")
    def _one_way_to_cut(self) -> ParallelOptions:
        if self.mini_batch_size is not None and self.partition_keys:
            raise refuse(
                "mini_batch_size is given, too; mini-batches are made in one of the two ways", "partition_keys"
            )
        return self


class ParallelBody(ParallelOptions):
    input_data: Annotated[str, _named_port("inputs")]
    task: TaskSpec
    resources: ResourcesSpec = ResourcesSpec()
    environment_variables: TextMap = Field(default_factory=dict)

    @model_validator(mode="after")
    def _cut_somehow(self) -> ParallelBody:
        if self.mini_batch_size is None and not self.partition_keys:
            raise refuse("missing; give it, or partition_keys", "mini_batch_size")
        return self


class ParallelComponentSpec(ParallelBody, Described):
    """`type: parallel`."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"identity"})

    type: Annotated[Literal["parallel"], BeforeValidator(lowered)]
    inputs: Inputs = Field(default_factory=dict)
    outputs: Outputs = Field(default_factory=dict)

    identity: Any = None

    @model_validator(mode="after")
    def _expressions(self) -> ParallelComponentSpec:
        check_task(self, *ports(self))
        return self


def check_task(body: ParallelBody, inputs: dict[str, InputDeclaration], outputs: dict[str, OutputDeclaration]) -> None:
    """Refuses names of inputs and outputs that do not exist."""
    cut = port_name(body.input_data)
    if cut not in inputs:
        raise refuse(f"there is no input {cut}; there are: {', '.join(sorted(inputs)) or 'none'}", "input_data")
    if inputs[cut].type.is_literal:
        raise refuse(f"input {cut} is of type {inputs[cut].type}; wanted data, which can be cut", "input_data")
    rows = body.task.append_row_to
    if rows is not None and port_name(rows) not in outputs:
        has = ", ".join(sorted(outputs)) or "none"
        raise refuse(f"there is no output {port_name(rows)}; there are: {has}", "task", "append_row_to")
    arguments = body.task.program_arguments
    if arguments is not None and (wrong := wrong_use(arguments, inputs, outputs)):
        raise refuse(wrong, "task", "program_arguments")


def ports(spec: Any) -> tuple[dict[str, InputDeclaration], dict[str, OutputDeclaration]]:
    """The declared inputs and outputs of a component's spec."""
    return (
        {name: each.declaration() for name, each in spec.inputs.items()},
        {name: each.declaration() for name, each in spec.outputs.items()},
    )
