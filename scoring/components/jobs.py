"""What is run: a pipeline or a command with values for its inputs and places for its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from scoring.components.binding import OutputTarget, Value
from scoring.components.component import CommandComponent, PipelineComponent


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """How a pipeline is run.

    default_compute           for steps that name none; None is this machine (`local`)
    default_datastore         where outputs go that name no place; None is the service's default
    continue_on_step_failure  steps that do not need the failed one go on; else nothing new is started, and what runs is
                              canceled
    force_rerun               no step is taken over from an earlier run
    """

    default_compute: str | None = None
    default_datastore: str | None = None
    continue_on_step_failure: bool = False
    force_rerun: bool = False

    def with_defaults_of(self, other: PipelineSettings) -> PipelineSettings:
        """The compute and the datastore that are not said here are the other's."""
        return replace(
            self,
            default_compute=self.default_compute or other.default_compute,
            default_datastore=self.default_datastore or other.default_datastore,
        )


@dataclass(frozen=True, kw_only=True)
class PipelineJob:
    """A validated pipeline with its values.

    inputs   checked against the component's declarations; one that is not here has its default, or no value
    outputs  by the component's outputs; one that is not here goes to its default place
    name     the caller's wish; None lets the service choose
    """

    component: PipelineComponent
    inputs: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, OutputTarget] = field(default_factory=dict)
    settings: PipelineSettings = PipelineSettings()
    name: str | None = None
    display_name: str | None = None
    experiment_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CommandJob:
    """A validated command with its values; the fields are as those of a step and of a pipeline's job."""

    component: CommandComponent
    inputs: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, OutputTarget] = field(default_factory=dict)
    compute: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    timeout: int | None = None
    name: str | None = None
    display_name: str | None = None
    experiment_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PipelineDeployment:
    """A pipeline component behind a batch endpoint: an invocation's inputs and outputs are the component's."""

    name: str
    endpoint_name: str
    component: PipelineComponent
    settings: PipelineSettings = PipelineSettings(continue_on_step_failure=True)
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    modified_at: datetime | None = None
