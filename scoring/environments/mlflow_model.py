"""What an MLflow model needs to be loaded: read from the files that MLflow saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoring.environments.conda import wanted_of_conda
from scoring.environments.requirements import parse_lines
from scoring.environments.wanted import Wanted, name_of
from scoring.errors import InvalidInput, JobFailed
from scoring.specs.document import read_document

_TO_READ_TABLES = ("pandas", "pyarrow")
_FILE_LIMIT = 1 << 20


def model_folder(path: Path) -> Path:
    """The folder of the file `MLmodel` below a registered model's folder. Raises JobFailed where there is none."""
    for pattern in ("MLmodel", "*/MLmodel", "*/*/MLmodel"):
        found = sorted(path.glob(pattern))
        if found:
            return found[0].parent
    raise JobFailed("there is no file MLmodel in the model: it is no MLflow model, register it as custom_model")


def wanted_of_model(path: Path) -> Wanted:
    """The environment of an MLflow model: its conda.yaml, else its requirements.txt; and MLflow to load it with.

    Raises JobFailed where it is no MLflow model, InvalidInput with file and line of what cannot be read.
    """
    folder = model_folder(path)
    said = read_document(folder / "MLmodel").value
    flavors = said.get("flavors") or {}
    pyfunc = flavors.get("python_function") if isinstance(flavors, Mapping) else None
    if not isinstance(pyfunc, Mapping):
        raise JobFailed(
            "the model has no flavor python_function, by which MLflow models are scored; save it with one, or write a "
            "scoring script"
        )
    wanted = _environment(folder, pyfunc)
    if not any(name_of(line) in {"mlflow", "mlflow-skinny"} for line in wanted.requirements):
        version = said.get("mlflow_version")
        wanted = wanted.plus(f"mlflow-skinny=={version}" if version else "mlflow-skinny")
    wanted = wanted.plus(*_TO_READ_TABLES)
    signature = said.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, Mapping) else None
    return wanted.plus("pillow") if inputs is None or "tensor" in str(inputs) else wanted


def _environment(folder: Path, pyfunc: Mapping[str, Any]) -> Wanted:
    named = pyfunc.get("env")
    conda = named.get("conda") if isinstance(named, Mapping) else named
    version = pyfunc.get("python_version")
    python = str(version) if version else None
    if isinstance(conda, str) and (folder / conda).is_file():
        wanted = wanted_of_conda(read_document(folder / conda).value, place=conda, other_file=FileTexts(folder))
        return wanted if wanted.python else _with_python(wanted, python)
    if (folder / "requirements.txt").is_file():
        lines = FileTexts(folder)("requirements.txt").splitlines()
        return _with_python(parse_lines(lines, place="requirements.txt", other_file=FileTexts(folder)).wanted(), python)
    return Wanted(python=python)


def _with_python(wanted: Wanted, python: str | None) -> Wanted:
    return Wanted(python=python, requirements=wanted.requirements, options=wanted.options, notes=wanted.notes)


class FileTexts:
    """Called with the name of a file below one folder it gives the text. Raises InvalidInput."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> str:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()) or not path.is_file():
            raise InvalidInput(f"there is no file {name} beside it")
        if path.stat().st_size > _FILE_LIMIT:
            raise InvalidInput(f"{name} is larger than {_FILE_LIMIT >> 20} MiB")
        return path.read_text(encoding="utf-8", errors="replace")
