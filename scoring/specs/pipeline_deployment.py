"""A deployment of a pipeline behind a batch endpoint: `type: pipeline`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from scoring.specs.document import Document, described
from scoring.specs.fields import EndpointName, ResourceName, Text, TextMap, lowered
from scoring.specs.pipeline import ComponentField
from scoring.specs.pipeline_job import PipelineJobSpec, PipelineSettingsSpec
from scoring.specs.references import bare_name
from scoring.specs.validation import Spec, parse, refuse


def _job(value: Any) -> Any:
    """A job's name, or a pipeline written out."""
    if isinstance(value, str):
        return bare_name(value)
    if not isinstance(value, (dict, PipelineJobSpec)):
        raise refuse(f"found {described(value)}, wanted azureml:JOB, or a pipeline's keys")
    return value


class PipelineDeploymentSpec(Spec):
    """`component` or `job_definition`: a pipeline component, or a pipeline's job that one is made of.

    What `show` says of the component (inputs, outputs, jobs) is taken, so that its output can be created again.
    """

    IGNORED: ClassVar[frozenset[str]] = frozenset({"inputs", "outputs", "jobs"})

    name: ResourceName
    endpoint_name: EndpointName
    type: Annotated[Literal["pipeline"], BeforeValidator(lowered)]
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    component: ComponentField | None = None
    job_definition: Annotated[str | PipelineJobSpec | None, BeforeValidator(_job)] = None
    settings: PipelineSettingsSpec = PipelineSettingsSpec()

    inputs: Any = None
    outputs: Any = None
    jobs: Any = None
    id: Any = None
    provisioning_state: Any = None
    creation_context: Any = None

    @model_validator(mode="after")
    def _one_of_both(self) -> PipelineDeploymentSpec:
        if self.component is not None and self.job_definition is not None:
            raise refuse("a component is given, too; a deployment is made of one of them", "job_definition")
        if self.component is None and self.job_definition is None:
            raise refuse("missing; it is required", "component")
        if self.component is not None and not isinstance(self.component, str) and self.component.type != "pipeline":
            raise refuse(f"found a component of type {self.component.type}, wanted one of type pipeline", "component")
        return self


def parse_pipeline_deployment(document: Document) -> PipelineDeploymentSpec:
    """Raises InvalidInput."""
    return parse(PipelineDeploymentSpec, document, context={"files": document.files})
