"""Jobs of `job create`: a pipeline or a command, with values for its inputs."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from scoring.components.declared import OutputDeclaration, ValueType
from scoring.components.jobs import PipelineSettings
from scoring.components.templates import wrong_use
from scoring.components.values import given_values
from scoring.errors import InvalidInput
from scoring.specs.bound import JobInputs, JobOutputs, inferred, job_values, targets
from scoring.specs.component import CommandBody, ports
from scoring.specs.document import Document, described
from scoring.specs.fields import AssetName, Text, TextMap, lowered
from scoring.specs.not_here import checked_kind
from scoring.specs.pipeline import ComponentField, LimitsSpec, Ports, StepCompute, Steps, check_steps
from scoring.specs.references import bare_name
from scoring.specs.validation import Spec, parse, refuse


def _bare(value: Any) -> Any:
    return bare_name(value) if isinstance(value, str) else value


DatastoreName = Annotated[AssetName, BeforeValidator(_bare)]


class PipelineSettingsSpec(Spec):
    """How a pipeline is run."""

    default_compute: StepCompute | None = None
    default_datastore: DatastoreName | None = None
    continue_on_step_failure: bool | None = None
    force_rerun: bool = False

    def settings(self, *, continues: bool, compute: str | None = None) -> PipelineSettings:
        """`continues` is what `continue_on_step_failure` is where it was not said; `compute` likewise."""
        said = self.continue_on_step_failure
        return PipelineSettings(
            default_compute=self.default_compute or compute,
            default_datastore=self.default_datastore,
            continue_on_step_failure=continues if said is None else said,
            force_rerun=self.force_rerun,
        )


class _Job(Spec):
    """Keys of every job; the last ones are added by `show` and have no effect."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"services", "identity", "queue_settings", "distribution"})

    name: AssetName | None = None
    display_name: Text | None = None
    experiment_name: Text | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    inputs: JobInputs = Field(default_factory=dict)
    outputs: JobOutputs = Field(default_factory=dict)
    compute: StepCompute | None = None

    services: Any = None
    identity: Any = None
    id: Any = None
    status: Any = None
    creation_context: Any = None

    def own_ports(self) -> Ports:
        """What steps and commands may name: inputs are of their values' types, outputs folders where it is not said."""
        inputs = {name: inferred(value) for name, value in job_values(self.inputs).items()}
        outputs = {
            name: OutputDeclaration(type=target.type or ValueType.URI_FOLDER, mode=target.mode)
            for name, target in targets(self.outputs).items()
        }
        return Ports(inputs=inputs, outputs=outputs)


class PipelineJobSpec(_Job):
    """`type: pipeline`: steps of its own, or a component with values for its inputs."""

    type: Annotated[Literal["pipeline"], BeforeValidator(lowered)]
    jobs: Steps | None = None
    component: ComponentField | None = None
    settings: PipelineSettingsSpec = PipelineSettingsSpec()

    @model_validator(mode="after")
    def _one_graph(self) -> PipelineJobSpec:
        if self.jobs is not None and self.component is not None:
            raise refuse("jobs are given, too; a pipeline has steps of its own or a component", "component")
        if self.component is not None:
            self._check_component()
        elif self.jobs is None:
            raise refuse("missing; give the steps, or a component", "jobs")
        else:
            check_steps(self.own_ports(), self.jobs)
        return self

    def _check_component(self) -> None:
        component = self.component
        if component is None or isinstance(component, str):
            return
        if component.type != "pipeline":
            raise refuse(f"found a component of type {component.type}, wanted one of type pipeline", "component")
        inputs, outputs = ports(component)
        try:
            given_values(inputs, job_values(self.inputs))
        except InvalidInput as error:
            raise refuse(str(error).removeprefix(f"{error.place}: "), *(error.place or "").split(".")) from None
        for name in self.outputs:
            if name not in outputs:
                has = ", ".join(sorted(outputs)) or "none"
                raise refuse(f"the component has no such output; it has: {has}", "outputs", name)


class CommandJobSpec(_Job, CommandBody):
    """`type: command`, which need not be said."""

    IGNORED: ClassVar[frozenset[str]] = _Job.IGNORED

    type: Annotated[Literal["command"], BeforeValidator(lowered)] = "command"
    limits: LimitsSpec = LimitsSpec()

    queue_settings: Any = None
    parameters: Any = None

    @model_validator(mode="after")
    def _expressions(self) -> CommandJobSpec:
        own = self.own_ports()
        if wrong := wrong_use(self.command, own.inputs, own.outputs):
            raise refuse(wrong, "command")
        return self


def parse_job(document: Document) -> PipelineJobSpec | CommandJobSpec:
    """A job's file. Raises InvalidInput; a kind that cannot be run here is refused by name."""
    written = document.value.get("type")
    if lowered(written) == "parallel":
        message = f"found {described(written)}; write it as a step of a pipeline: type: pipeline, jobs: {{NAME: …}}"
        raise document.refusal(("type",), message)
    try:
        kind = checked_kind(written, "command", "pipeline")
    except ValueError as error:
        raise document.refusal(("type",), str(error)) from None
    context = {"files": document.files}
    if kind == "pipeline":
        return parse(PipelineJobSpec, document, context=context)
    return parse(CommandJobSpec, document, context=context)
