"""A model deployment's YAML: `type: model` with nested `settings`, or the older flat form without a type."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from scoring.deployment import (
    CodeConfiguration,
    Deployment,
    InputFormat,
    OutputAction,
    OutputFormat,
    RetrySettings,
)
from scoring.errors import InvalidInput
from scoring.mini_batch_size import MiniBatchSize
from scoring.model import ModelReference
from scoring.specs.document import Document, described
from scoring.specs.environment import InlineEnvironment
from scoring.specs.fields import (
    BatchSize,
    Count,
    EndpointName,
    FileName,
    Integer,
    Level,
    ResourceName,
    Script,
    Text,
    TextMap,
    lowered,
)
from scoring.specs.model import InlineModel
from scoring.specs.places import ContentPath
from scoring.specs.references import NamedKind, bare_name, parse_reference
from scoring.specs.validation import Spec, parse, refuse


def _model_reference(text: str) -> str:
    if "/" in text and not _LONG_FORM.match(text):
        raise refuse(
            f"found {described(text)}; wanted azureml:NAME:VERSION, azureml:NAME@latest or NAME "
            "(to register a folder or file with the deployment write `model: {path: …}`)"
        )
    return _checked(text, NamedKind.MODEL)


def _environment_reference(text: str) -> str:
    return _checked(text, NamedKind.ENVIRONMENT)


def _checked(text: str, kind: NamedKind) -> str:
    try:
        parse_reference(text, kind)
    except InvalidInput as error:
        raise refuse(str(error)) from None
    return text


_LONG_FORM = re.compile(r"azureml:/|/subscriptions/", re.IGNORECASE)


def _model_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<reference>"
    return "<inline>" if isinstance(value, (dict, InlineModel)) else None


ModelField = Annotated[
    Annotated[str, AfterValidator(_model_reference), Tag("<reference>")] | Annotated[InlineModel, Tag("<inline>")],
    Discriminator(
        _model_form,
        custom_error_type="model_form",
        custom_error_message="wanted a reference such as azureml:NAME:VERSION, or keys such as path",
    ),
]


def _environment_form(value: Any) -> str | None:
    if isinstance(value, str):
        return "<reference>"
    return "<inline>" if isinstance(value, (dict, InlineEnvironment)) else None


Environment = Annotated[
    Annotated[str, AfterValidator(_environment_reference), Tag("<reference>")]
    | Annotated[InlineEnvironment, Tag("<inline>")],
    Discriminator(
        _environment_form,
        custom_error_type="environment_form",
        custom_error_message="wanted a reference such as azureml:NAME:VERSION, or keys such as image and conda_file",
    ),
]


def _bare(value: Any) -> Any:
    return bare_name(value) if isinstance(value, str) else value


ComputeName = Annotated[ResourceName, BeforeValidator(_bare)]
LoggingLevel = Annotated[Literal["info", "warning", "debug"], BeforeValidator(lowered)]
Action = Annotated[Literal["append_row", "summary_only"], BeforeValidator(lowered)]
Reads = Annotated[Literal["files", "slices", "dataframe"], BeforeValidator(lowered)]
Writes = Annotated[Literal["append_row", "csv", "jsonl", "parquet"], BeforeValidator(lowered)]

_FILE_NAMES = {"jsonl": "predictions.jsonl", "parquet": "predictions.parquet"}
_SLICE_SIZE = "10MB"


class CodeSpec(Spec):
    """`code` is a folder of this machine, or below a datastore."""

    code: ContentPath
    scoring_script: Script


class RetrySpec(Spec):
    """`max_retries` counts all tries, the first included; `bisect` is tidemill's own, as in scoring.deployment."""

    max_retries: Annotated[Integer, Field(ge=1, le=1000)] = 3
    timeout: Annotated[Integer, Field(ge=1, le=259_200)] = 30
    bisect: bool = False


class ResourcesSpec(Spec):
    IGNORED: ClassVar[frozenset[str]] = frozenset(
        {"instance_type", "properties", "shm_size", "docker_args", "locations", "max_instance_count"}
    )

    instance_count: Count | None = None
    instance_type: Any = None
    properties: Any = None
    shm_size: Any = None
    docker_args: Any = None
    locations: Any = None
    max_instance_count: Any = None


class _Common(Spec):
    """Keys at the root of both forms; the last ones are added by `show` and have no effect."""

    name: ResourceName
    endpoint_name: EndpointName
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)
    model: ModelField
    code_configuration: CodeSpec | None = None
    environment: Environment | None = None
    environment_variables: TextMap = Field(default_factory=dict)
    compute: ComputeName
    resources: ResourcesSpec = ResourcesSpec()
    error_threshold: Level | None = None

    id: Any = None
    provisioning_state: Any = None
    creation_context: Any = None


class _Settings(Spec):
    """`input_*` and `output_format`, `_header`, `_source` are tidemill's own; their defaults are Azure's behaviour."""

    instance_count: Count | None = None
    max_concurrency_per_instance: Count = 1
    mini_batch_size: BatchSize | None = None
    input_format: Reads = "files"
    input_header: bool | None = None
    output_action: Action = "append_row"
    output_file_name: FileName | None = None
    output_format: Writes = "append_row"
    output_header: bool | None = None
    output_source: bool = False
    retry_settings: RetrySpec = RetrySpec()
    logging_level: LoggingLevel = "info"


class SettingsSpec(_Settings):
    """The `settings` block of the nested form."""

    error_threshold: Level | None = None
    environment_variables: TextMap = Field(default_factory=dict)


class ModelDeploymentSpec(_Common):
    """The form of today: `type: model`."""

    type: Annotated[Literal["model"], BeforeValidator(lowered)]
    settings: SettingsSpec = SettingsSpec()

    @model_validator(mode="after")
    def _consistent(self) -> ModelDeploymentSpec:
        if self.error_threshold is not None and self.settings.error_threshold is not None:
            raise refuse("given at the root, too; give it once", "settings", "error_threshold")
        _check(self.settings, self.resources, "settings")
        _check_no_code(self, self.settings, "settings")
        return self

    def flat(self) -> FlatDeploymentSpec:
        """The same deployment in the flat form, which is how it is shown."""
        given = self.settings
        threshold = given.error_threshold if self.error_threshold is None else self.error_threshold
        root = {key: getattr(self, key) for key in _Common.model_fields if key != "error_threshold"}
        settings = {key: getattr(given, key) for key in _Settings.model_fields}
        root["environment_variables"] = {**self.environment_variables, **given.environment_variables}
        return FlatDeploymentSpec.model_construct(**root, **settings, error_threshold=threshold)


class FlatDeploymentSpec(_Common, _Settings):
    """The older form, and the one in which the service takes a deployment: what `settings` holds lies at the root."""

    @model_validator(mode="after")
    def _consistent(self) -> FlatDeploymentSpec:
        _check(self, self.resources)
        _check_no_code(self, self)
        return self

    @property
    def instances(self) -> int:
        return self.instance_count or self.resources.instance_count or 1

    def deployment(self, *, model: ModelReference, code: str | None, environment: str | None = None) -> Deployment:
        """The value, once model and environment are resolved and the code folder has its place in the registry."""
        script = self.code_configuration
        size = MiniBatchSize.parse(self.mini_batch_size or (10 if self.input_format == "files" else _SLICE_SIZE))
        return Deployment(
            name=self.name,
            endpoint_name=self.endpoint_name,
            model=model,
            code_configuration=None
            if script is None or code is None
            else CodeConfiguration(code=code, scoring_script=script.scoring_script),
            compute=self.compute,
            environment=environment,
            environment_variables=self.environment_variables,
            instance_count=self.instances,
            max_concurrency_per_instance=self.max_concurrency_per_instance,
            mini_batch_size=size.number,
            mini_batch_unit=size.unit,
            input_format=InputFormat(self.input_format),
            input_header=self.input_header is not False,
            output_action=OutputAction(self.output_action),
            output_file_name=self.output_file_name or _FILE_NAMES.get(self.output_format, "predictions.csv"),
            output_format=OutputFormat(self.output_format),
            output_header=self.output_header is not False,
            output_source=self.output_source,
            retry_settings=RetrySettings(
                max_retries=self.retry_settings.max_retries,
                timeout=self.retry_settings.timeout,
                bisect=self.retry_settings.bisect,
            ),
            error_threshold=-1 if self.error_threshold is None else self.error_threshold,
            logging_level=self.logging_level,
            description=self.description,
            tags=self.tags,
            properties=self.properties,
        )


def _check(settings: _Settings, resources: ResourcesSpec, *inside: str) -> None:
    summary_only = settings.output_action == "summary_only"
    columns = settings.output_format != "append_row"
    for field, is_wrong, message in (
        (
            "instance_count",
            settings.instance_count is not None and resources.instance_count is not None,
            "instance_count is given twice, also in resources; give it once",
        ),
        (
            "output_file_name",
            summary_only and settings.output_file_name is not None,
            "output_file_name has no meaning with output_action summary_only; leave one of them out",
        ),
        (
            "output_format",
            summary_only and columns,
            "output_format has no meaning with output_action summary_only; leave one of them out",
        ),
        (
            "output_header",
            settings.output_header is not None and settings.output_format != "csv",
            f"output_header is for output_format csv; this one is {settings.output_format}",
        ),
        (
            "output_source",
            settings.output_source and not columns,
            "output_source needs columns; write output_format csv, jsonl or parquet, too",
        ),
        (
            "input_header",
            settings.input_header is not None and settings.input_format == "files",
            "input_header is for input_format slices or dataframe; with files the script reads the file",
        ),
    ):
        if is_wrong:
            raise refuse(message, *inside, field)


def _check_no_code(root: _Common, settings: _Settings, *inside: str) -> None:
    if root.code_configuration is None and settings.input_format == "dataframe":
        message = "dataframe is for scoring scripts; without one the model's files are read for it: write slices"
        raise refuse(message, *inside, "input_format")


def parse_deployment(document: Document) -> FlatDeploymentSpec:
    """Either form. Raises InvalidInput; a document of `type: pipeline` is refused by name."""
    kind = lowered(document.value.get("type"))
    if "type" not in document.value:
        if "settings" in document.value:
            raise document.refusal(("settings",), "only a document with `type: model` has it; write that, too")
        return parse(FlatDeploymentSpec, document)
    if kind == "pipeline":
        raise document.refusal(
            ("type",), "found 'pipeline'; deployments of pipelines are not supported, allowed: model"
        )
    return parse(ModelDeploymentSpec, document).flat()
