"""What an invocation says: the file of `invoke -f`, and the body of a POST in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from scoring.invoke import Invocation, Overrides
from scoring.job import JobOutput
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
    ResourceName,
    Text,
    TextMap,
)
from scoring.specs.job_input import InputSpec, OutputSpec
from scoring.specs.references import bare_name
from scoring.specs.validation import Spec, refuse


class RetryOverrides(Spec):
    max_retries: Annotated[Integer, Field(ge=1, le=1000)] | None = None
    timeout: Annotated[Integer, Field(ge=1, le=259_200)] | None = None


class ComputeOverrides(Spec):
    instance_count: Count | None = None


class OutputDataset(Spec):
    """The older way of saying where the output file goes: a path below a datastore."""

    datastore_id: Text
    path: Text = ""


def _data_alone(value: Any) -> Any:
    if value is None or isinstance(value, (dict, InputSpec)):
        return value
    raise refuse(f"found the literal {described(value)}; a model's deployment takes data alone: {{type: …, path: …}}")


def _nothing_is_default(value: Any) -> Any:
    return {} if value is None else value


NamedInputs = dict[AssetName, Annotated[InputSpec, BeforeValidator(_data_alone)]]
NamedOutputs = dict[AssetName, Annotated[OutputSpec, BeforeValidator(_nothing_is_default)]]

_FIXED = "cannot be changed for one job; create a deployment that has it"


class InvocationSpec(Spec):
    """One invocation. What Azure lets an invocation change of its deployment can be changed here, and no more.

    A model's deployment has one input and one output: `inputs` and `outputs` name one each, and the names say nothing.
    `overwrite` is tidemill's own: an output file that exists is replaced.
    """

    NOT_HERE: ClassVar[Mapping[str, str]] = {
        "model": _FIXED,
        "code_configuration": _FIXED,
        "environment": _FIXED,
        "environment_variables": _FIXED,
        "max_concurrency_per_instance": _FIXED,
        "output_action": _FIXED,
        "logging_level": _FIXED,
    }

    input: InputSpec | None = None
    inputs: NamedInputs = Field(default_factory=dict)
    output: OutputSpec | None = None
    outputs: NamedOutputs = Field(default_factory=dict)
    output_dataset: OutputDataset | None = None
    overwrite: bool = False
    endpoint: EndpointName | None = None
    deployment: ResourceName | None = None
    mini_batch_size: BatchSize | None = None
    instance_count: Count | None = None
    compute: ComputeOverrides = ComputeOverrides()
    error_threshold: Level | None = None
    retry_settings: RetryOverrides = RetryOverrides()
    output_file_name: FileName | None = None
    job_name: AssetName | None = None
    display_name: Text | None = None
    experiment_name: Text | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_each(self) -> InvocationSpec:
        if len(self.inputs) > 1 or (self.inputs and self.input is not None):
            raise refuse("a model's deployment has exactly one input; name one", *_second(self.inputs, "inputs"))
        if not self.inputs and self.input is None:
            raise refuse("missing; it is required", "input")
        if len(self.outputs) > 1 or (self.outputs and self.output is not None):
            raise refuse("a model's deployment has exactly one output; name one", *_second(self.outputs, "outputs"))
        if self.output_dataset is not None and (self.outputs or self.output is not None):
            raise refuse("the output is given already; give it once", "output_dataset")
        if self.instance_count is not None and self.compute.instance_count is not None:
            raise refuse("instance_count is given already; give it once", "compute", "instance_count")
        named = self.the_output.named_file
        if self.output_file_name is not None and named is not None and named != self.output_file_name:
            raise refuse(f"found '{self.output_file_name}', but the output says '{named}'", "output_file_name")
        return self

    @property
    def the_input(self) -> InputSpec:
        found = self.input or next(iter(self.inputs.values()))
        assert found is not None
        return found

    @property
    def the_output(self) -> OutputSpec:
        return self.output or next(iter(self.outputs.values()), None) or OutputSpec()

    def _job_output(self) -> JobOutput:
        if self.output_dataset is None:
            found = self.the_output.job_output()
            return replace(found, overwrite=self.overwrite or found.overwrite)
        store, path = bare_name(self.output_dataset.datastore_id.rstrip("/")), self.output_dataset.path.strip("/")
        folder = f"azureml://datastores/{store.rpartition('/')[2]}/paths/{path}"
        return JobOutput(path=folder, overwrite=self.overwrite)

    def invocation(self) -> Invocation:
        size = None if self.mini_batch_size is None else MiniBatchSize.parse(self.mini_batch_size)
        return Invocation(
            input=self.the_input.job_input(),
            output=self._job_output(),
            overrides=Overrides(
                instance_count=self.instance_count or self.compute.instance_count,
                mini_batch_size=None if size is None else size.number,
                mini_batch_unit=SizeUnit.FILES if size is None else size.unit,
                max_retries=self.retry_settings.max_retries,
                timeout=self.retry_settings.timeout,
                error_threshold=self.error_threshold,
                output_file_name=self.output_file_name or self.the_output.named_file,
            ),
            display_name=self.display_name,
            experiment_name=self.experiment_name,
            description=self.description,
            tags=self.tags,
            properties=self.properties,
        )


def _second(named: Mapping[str, object], field: str) -> tuple[str, ...]:
    return (field, list(named)[1]) if len(named) > 1 else (field,)
