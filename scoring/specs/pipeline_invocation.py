"""What an invocation of a pipeline's deployment says: values for the component's inputs, places for its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from scoring.components.binding import DataReference, Value
from scoring.components.component import PipelineComponent
from scoring.components.jobs import PipelineDeployment, PipelineJob
from scoring.components.values import given_values
from scoring.errors import InvalidInput
from scoring.specs.bound import JobInputs, JobInputSpec, JobOutputs, job_values, targets
from scoring.specs.document import Document, FieldPath
from scoring.specs.fields import AssetName, EndpointName, ResourceName, Text, TextMap
from scoring.specs.validation import Spec, parse

_OF_MODELS = "only deployments of models have it, and this one is of a pipeline"


class PipelineInvocationSpec(Spec):
    """One invocation. `input` is for pipelines with one input of data, whose name need not be said."""

    NOT_HERE: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "mini_batch_size",
            "instance_count",
            "compute",
            "error_threshold",
            "retry_settings",
            "output_file_name",
            "output_dataset",
            "overwrite",
            "output",
        ),
        _OF_MODELS,
    )

    input: JobInputSpec | None = None
    inputs: JobInputs = Field(default_factory=dict)
    outputs: JobOutputs = Field(default_factory=dict)
    endpoint: EndpointName | None = None
    deployment: ResourceName | None = None
    job_name: AssetName | None = None
    display_name: Text | None = None
    experiment_name: Text | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)


def parse_pipeline_invocation(document: Document) -> PipelineInvocationSpec:
    """Raises InvalidInput."""
    return parse(PipelineInvocationSpec, document)


def invoked_pipeline(spec: PipelineInvocationSpec, deployment: PipelineDeployment, document: Document) -> PipelineJob:
    """The pipeline with its values. Raises InvalidInput for those that it does not take, naming the caller's words."""
    component = deployment.component
    given = job_values(spec.inputs)
    if spec.input is not None:
        name = _only_data(component, document)
        if name in given:
            raise document.refusal(("input",), f"input {name} is given by its name, too; give it once")
        given[name] = spec.input.given()
    try:
        inputs = given_values(component.inputs, given)
    except InvalidInput as error:
        path: FieldPath = tuple((error.place or "").split("."))
        if spec.input is not None and path[1:] and path[1] not in spec.inputs and path[1] in given:
            path = ("input",)
        raise document.refusal(path, str(error).removeprefix(f"{error.place}: ")) from None
    for name in spec.outputs:
        if name not in component.outputs:
            has = ", ".join(sorted(component.outputs)) or "none"
            raise document.refusal(("outputs", name), f"there is no such output; there are: {has}")
    said: dict[str, Any] = {
        name: getattr(spec, name) for name in ("display_name", "experiment_name", "description", "tags", "properties")
    }
    return PipelineJob(
        component=component,
        inputs=inputs,
        outputs=targets(spec.outputs),
        settings=deployment.settings,
        name=spec.job_name,
        **said,
    )


def _only_data(component: PipelineComponent, document: Document) -> str:
    """The one input that `input` can be meant for."""
    data = [name for name, declared in component.inputs.items() if not declared.type.is_literal]
    needed = [name for name in data if not component.inputs[name].may_be_left_out]
    for names in (data, needed):
        if len(names) == 1:
            return names[0]
    has = ", ".join(sorted(component.inputs)) or "none"
    raise document.refusal(("input",), f"which input is meant? write inputs: {{NAME: …}}; there are: {has}")


def as_defaults(component: PipelineComponent, values: Mapping[str, Value]) -> PipelineComponent:
    """A component made of a job: what the job was given are its inputs' defaults."""
    inputs = dict(component.inputs)
    for name, value in values.items():
        if name in inputs:
            default = value.path if isinstance(value, DataReference) else value.value
            inputs[name] = replace(inputs[name], default=default)
    return replace(component, inputs=inputs)
