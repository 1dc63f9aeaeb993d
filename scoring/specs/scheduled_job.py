"""What a schedule makes: an invocation of an endpoint, or a job of a pipeline or a command.

Azure's forms are a job's own keys, its file, an earlier job (`azureml:NAME`), and one of the latter two under `job`
with what is to be otherwise beside it. `type: batch_endpoint` is tidemill's own: on Azure a schedule cannot invoke one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo

from scoring.components.binding import EXPRESSION
from scoring.components.jobs import CommandJob, PipelineJob, PipelineSettings
from scoring.components.values import given_values
from scoring.errors import InvalidInput
from scoring.pipeline.scheduled import JOB_NAME
from scoring.specs.bound import JobInputSpec, JobOutputs, given_form, job_values, listed, targets
from scoring.specs.declarations import PortName, scalar
from scoring.specs.document import described, read_document
from scoring.specs.fields import EndpointName, ResourceName, Text, TextMap, lowered
from scoring.specs.job_input import InputSpec, OutputSpec
from scoring.specs.named_file import read_in
from scoring.specs.not_here import checked_kind
from scoring.specs.pipeline import StepCompute
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec, PipelineSettingsSpec, parse_job
from scoring.specs.validation import Spec, refuse


class InvokedSpec(Spec):
    """An invocation of a model's deployment."""

    type: Literal["batch_endpoint"]
    endpoint: EndpointName
    deployment: ResourceName | None = None
    input: InputSpec
    output: OutputSpec = OutputSpec()


def _literal(value: Any) -> Any:
    literal = scalar(value)
    if isinstance(literal, str) and EXPRESSION.search(JOB_NAME.sub("", literal)):
        raise refuse(f"found the expression {described(literal)}; of a schedule's job there is ${{{{name}}}}")
    return literal


ScheduledInput = Annotated[
    Annotated[Any, BeforeValidator(_literal), Tag("<literal>")] | Annotated[JobInputSpec, Tag("<given>")],
    Discriminator(given_form),
]


def _read(value: Any, info: ValidationInfo) -> Any:
    """A job's file is read in, its paths relative to itself; the name of an earlier job is left as it is."""
    if not isinstance(value, str) or value.startswith(("azureml:", "/subscriptions/")):
        return value
    return read_in(
        value,
        info,
        lambda path: parse_job(read_document(path)),
        of_request="the job itself, or azureml:NAME of an earlier one",
    )


def _job_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<reference>"
    if isinstance(value, dict):
        return "<pipeline>" if lowered(value.get("type")) == "pipeline" else "<command>"
    if isinstance(value, PipelineJobSpec):
        return "<pipeline>"
    return "<command>" if isinstance(value, CommandJobSpec) else None


JobField = Annotated[
    Annotated[str, Tag("<reference>")]
    | Annotated[PipelineJobSpec, Tag("<pipeline>")]
    | Annotated[CommandJobSpec, Tag("<command>")],
    Discriminator(
        _job_form,
        custom_error_type="job_form",
        custom_error_message="wanted azureml:NAME of an earlier job, a job's file, or a job's keys",
    ),
    BeforeValidator(_read),
]


class ChangedJobSpec(Spec):
    """`job`, with what is to be otherwise. Each job of a schedule has a name of its own, whatever `job` says."""

    type: Annotated[str | None, BeforeValidator(lambda value: checked_kind(value, "command", "pipeline"))] = None
    job: JobField
    inputs: Annotated[dict[PortName, ScheduledInput], BeforeValidator(listed)] = Field(default_factory=dict)
    outputs: JobOutputs = Field(default_factory=dict)
    settings: PipelineSettingsSpec | None = None
    compute: StepCompute | None = None
    display_name: Text | None = None
    experiment_name: Text | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)

    def changed(self, work: CommandJob | PipelineJob) -> CommandJob | PipelineJob:
        """Raises InvalidInput for what the job has no such input or output of, or no such value."""
        kind = "command" if isinstance(work, CommandJob) else "pipeline"
        if self.type not in {None, kind}:
            raise InvalidInput(f"found '{self.type}', but the job is of type {kind}", place="type")
        component = work.component
        for name in self.outputs:
            if name not in component.outputs:
                has = ", ".join(sorted(component.outputs)) or "none"
                raise InvalidInput(f"the job has no such output; it has: {has}", place=f"outputs.{name}")
        inputs = {**work.inputs, **job_values(self.inputs)}
        given_values(component.inputs, inputs)
        said = {
            name: getattr(self, name) or getattr(work, name)
            for name in ("display_name", "experiment_name", "description")
        }
        changed = replace(
            work,
            inputs=inputs,
            outputs={**work.outputs, **targets(self.outputs)},
            tags={**work.tags, **self.tags},
            properties={**work.properties, **self.properties},
            **said,
        )
        if isinstance(changed, CommandJob):
            if self.settings is not None:
                raise InvalidInput("only a pipeline has settings, and the job is a command", place="settings")
            return replace(changed, compute=self.compute or changed.compute)
        return replace(changed, settings=self._settings(changed))

    def _settings(self, work: PipelineJob) -> PipelineSettings:
        before, said = work.settings, self.settings or PipelineSettingsSpec()
        new = said.settings(continues=before.continue_on_step_failure, compute=self.compute)
        return replace(new.with_defaults_of(before), force_rerun=new.force_rerun or before.force_rerun)


def _alone(value: Any, info: ValidationInfo) -> Any:
    """A text in place of the keys is the job; the kinds that cannot be run here are refused by name."""
    if isinstance(value, str):
        return {"job": value}
    if isinstance(value, Mapping) and lowered(value.get("type")) != "batch_endpoint":
        checked_kind(value.get("type"), "batch_endpoint", "command", "pipeline", path=("type",))
    return value


def _form(value: Any) -> str | None:
    if isinstance(value, dict):
        if lowered(value.get("type")) == "batch_endpoint":
            return "<batch_endpoint>"
        return "<changed>" if "job" in value else _job_form(value)
    if isinstance(value, InvokedSpec):
        return "<batch_endpoint>"
    return "<changed>" if isinstance(value, ChangedJobSpec) else _job_form(value)


CreateJobField = Annotated[
    Annotated[InvokedSpec, Tag("<batch_endpoint>")]
    | Annotated[ChangedJobSpec, Tag("<changed>")]
    | Annotated[PipelineJobSpec, Tag("<pipeline>")]
    | Annotated[CommandJobSpec, Tag("<command>")],
    Discriminator(
        _form,
        custom_error_type="create_job_form",
        custom_error_message="wanted azureml:NAME of an earlier job, a job's file, or keys and values",
    ),
    BeforeValidator(_alone),
]
