"""Components: what one step does, and pipelines made of steps. Everything that they name is registered already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scoring.components.binding import Binding, OutputTarget
from scoring.components.declared import InputDeclaration, OutputDeclaration
from scoring.deployment import RetrySettings
from scoring.mini_batch_size import MiniBatchSize
from scoring.model import ModelReference

_RETRIES = RetrySettings(max_retries=2, timeout=60)


@dataclass(frozen=True, kw_only=True)
class CommandComponent:
    """A command line with typed inputs and outputs.

    name, version     as registered; those written into a step have the name `azureml_anonymous` and their content's
                      hash for a version
    command           template: `${{inputs.x}}`, `${{outputs.x}}`, `$[[ … ]]` (see `templates`)
    code              the registry's copy of the code folder; None has no files
    environment       `azureml:NAME:VERSION` of a registered one; None is the one that tidemill runs in
    is_deterministic  the same inputs give the same outputs: a step that ran already may be taken over
    """

    name: str
    version: str
    command: str
    inputs: Mapping[str, InputDeclaration] = field(default_factory=dict)
    outputs: Mapping[str, OutputDeclaration] = field(default_factory=dict)
    code: str | None = None
    environment: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    is_deterministic: bool = True
    display_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    kind: str = "command"


@dataclass(frozen=True, kw_only=True)
class ParallelTask:
    """What every mini-batch is given to.

    kind               `run_function` (an entry script with `run`), or `model` (an MLflow model, without a script)
    entry_script       relative to `code`
    program_arguments  template, as a component's command; may hold options of the driver (--error_threshold 5)
    append_row_to      the output whose file gets the rows that `run` returns; None keeps none of them
    """

    kind: str = "run_function"
    code: str | None = None
    entry_script: str | None = None
    program_arguments: str | None = None
    environment: str | None = None
    model: ModelReference | None = None
    append_row_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class ParallelComponent:
    """A task over one input that is cut into mini-batches.

    input_data       the name of the input that is cut; it is of a data type
    mini_batch_size  files, bytes or rows; None where `partition_keys` make the mini-batches
    partition_keys   columns: each combination of their values is one mini-batch
    error_threshold  failed items that are borne, `mini_batch_error_threshold` failed mini-batches; -1 bears all
    retry_settings   `max_retries` is the TOTAL number of tries, `timeout` seconds per call of `run`
    """

    name: str
    version: str
    task: ParallelTask
    input_data: str
    inputs: Mapping[str, InputDeclaration] = field(default_factory=dict)
    outputs: Mapping[str, OutputDeclaration] = field(default_factory=dict)
    mini_batch_size: MiniBatchSize | None = None
    partition_keys: tuple[str, ...] = ()
    instance_count: int = 1
    max_concurrency_per_instance: int = 1
    error_threshold: int = -1
    mini_batch_error_threshold: int = -1
    retry_settings: RetrySettings = _RETRIES
    logging_level: str = "info"
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    is_deterministic: bool = True
    display_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    kind: str = "parallel"


@dataclass(frozen=True, kw_only=True)
class PipelineComponent:
    """Steps, in the order in which they were written; `graph` tells the order in which they run."""

    name: str
    version: str
    jobs: tuple[Step, ...]
    inputs: Mapping[str, InputDeclaration] = field(default_factory=dict)
    outputs: Mapping[str, OutputDeclaration] = field(default_factory=dict)
    is_deterministic: bool = True
    display_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    kind: str = "pipeline"


Component = CommandComponent | ParallelComponent | PipelineComponent


@dataclass(frozen=True, kw_only=True)
class Step:
    """One use of a component in a pipeline, under a name.

    component              whole: a pipeline keeps its components as they were when it was registered. What the step
                           says otherwise (mini_batch_size, retry_settings, …) is in it already
    inputs                 one that is not here has its declaration's default, or no value
    outputs                one that is not here goes to its default place
    compute                None is the pipeline's default
    environment_variables  beside the component's; these win
    timeout                seconds that the step may take, from its start; None is unlimited
    """

    name: str
    component: Component
    inputs: Mapping[str, Binding] = field(default_factory=dict)
    outputs: Mapping[str, OutputTarget] = field(default_factory=dict)
    compute: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    timeout: int | None = None
    display_name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
