"""MLflow models without a scoring script: which files they can be given."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from scoring.drivers.mlflow_pyfunc.mlflow_pyfunc import IMAGES, TABLES
from scoring.errors import JobFailed
from scoring.minibatch import InputItem


def check_files(items: Iterable[InputItem]) -> None:
    """Raises JobFailed, before anything is scored, for a file that no MLflow model can be given without a script."""
    for item in items:
        path = PurePosixPath(item.uri)
        if path.suffix.lower() not in TABLES + IMAGES:
            raise JobFailed(
                f"Error processing input file '{path.name}': File type '{path.suffix}' is not supported; supported are "
                f"{', '.join(TABLES + IMAGES)}: take others out of the input, or write a scoring script"
            )
