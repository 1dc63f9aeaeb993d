"""A model deployment: which model, which scoring script, and how mini-batches are made, tried and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from scoring.mini_batch_size import MiniBatchSize, SizeUnit
from scoring.model import ModelReference


class OutputAction(StrEnum):
    """What is done with the return values of `run`."""

    APPEND_ROW = "append_row"
    SUMMARY_ONLY = "summary_only"


class InputFormat(StrEnum):
    """What `run` gets of an input of files.

    files      a list of paths (Azure's); a file is never cut
    slices     a list of paths; a CSV, JSONL or Parquet file larger than a mini-batch comes in pieces, files themselves
    dataframe  a pandas DataFrame; a row is an item, and large files come in pieces
    """

    FILES = "files"
    SLICES = "slices"
    DATAFRAME = "dataframe"


class OutputFormat(StrEnum):
    """How the output file is written: `append_row` as Azure does, the others with named columns."""

    APPEND_ROW = "append_row"
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, kw_only=True)
class RetrySettings:
    """`max_retries` is the TOTAL number of tries, as Azure maps it; `timeout` is seconds per call of `run`.

    bisect  a mini-batch whose last try failed is divided, again and again, until only the items that fail are lost
    """

    max_retries: int = 3
    timeout: int = 30
    bisect: bool = False


@dataclass(frozen=True, kw_only=True)
class CodeConfiguration:
    """`code` is the registry's copy of the code folder (content-addressed); `scoring_script` is relative to it."""

    code: str
    scoring_script: str


_NO_CODE = CodeConfiguration(
    code=str(Path(__file__).parent / "drivers" / "mlflow_pyfunc"), scoring_script="mlflow_pyfunc.py"
)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Flat, as `az ml batch-deployment show` prints it, although the YAML nests most of it under `settings`.

    mini_batch_size             how many `mini_batch_unit`: files (uri_folder) or rows (table), bytes, or rows
    input_format, input_header  what `run` gets; whether the first record of a CSV file names its columns
    output_format               how the output file is written; `output_header`: a CSV's first line names the columns;
                                `output_source`: a column `source` names the file that the row came from
    code_configuration          None for an MLflow model that is scored without a script
    environment                 `azureml:NAME:VERSION` of a registered one; None is the one that tidemill runs in
    error_threshold             failed items that a job bears, and mini_batch_error_threshold failed mini-batches; -1
                                bears all
    program_arguments           more arguments that the script sees in sys.argv: of parallel steps alone
    instance_count              instances of `compute` that a job may use
    max_concurrency_per_instance  worker processes of an instance
    """

    name: str
    endpoint_name: str
    model: ModelReference
    compute: str
    code_configuration: CodeConfiguration | None = None
    environment: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    instance_count: int = 1
    max_concurrency_per_instance: int = 1
    mini_batch_size: int = 10
    mini_batch_unit: SizeUnit = SizeUnit.FILES
    input_format: InputFormat = InputFormat.FILES
    input_header: bool = True
    output_action: OutputAction = OutputAction.APPEND_ROW
    output_file_name: str = "predictions.csv"
    output_format: OutputFormat = OutputFormat.APPEND_ROW
    output_header: bool = True
    output_source: bool = False
    retry_settings: RetrySettings = RetrySettings()
    error_threshold: int = -1
    mini_batch_error_threshold: int = -1
    program_arguments: tuple[str, ...] = ()
    logging_level: str = "info"
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    modified_at: datetime | None = None

    @property
    def script(self) -> CodeConfiguration:
        """Where the scoring script lies: the deployment's, or ours for an MLflow model without one."""
        return self.code_configuration or _NO_CODE

    @property
    def batch_size(self) -> MiniBatchSize:
        return MiniBatchSize(number=self.mini_batch_size, unit=self.mini_batch_unit)
