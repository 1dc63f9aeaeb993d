"""A model deployment: which model, which scoring script, and how mini-batches are made, tried and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from scoring.model import ModelReference


class OutputAction(StrEnum):
    """What is done with the return values of `run`."""

    APPEND_ROW = "append_row"
    SUMMARY_ONLY = "summary_only"


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    """`max_retries` is the TOTAL number of tries, as Azure maps it; `timeout` is seconds per call of `run`."""

    max_retries: int = 3
    timeout: int = 30


@dataclass(frozen=True, kw_only=True)
class CodeConfiguration:
    """`code` is the registry's copy of the code folder (content-addressed); `scoring_script` is relative to it."""

    code: str
    scoring_script: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Flat, as `az ml batch-deployment show` prints it, although the YAML nests most of it under `settings`.

    mini_batch_size             files (uri_folder) or items (table) in a mini-batch
    error_threshold             failed items that a job bears; -1 bears all
    instance_count              instances of `compute` that a job may use
    max_concurrency_per_instance  worker processes of an instance
    """

    name: str
    endpoint_name: str
    model: ModelReference
    code_configuration: CodeConfiguration
    compute: str
    environment: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    instance_count: int = 1
    max_concurrency_per_instance: int = 1
    mini_batch_size: int = 10
    output_action: OutputAction = OutputAction.APPEND_ROW
    output_file_name: str = "predictions.csv"
    retry_settings: RetrySettings = RetrySettings()
    error_threshold: int = -1
    logging_level: str = "info"
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
