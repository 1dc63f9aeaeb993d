"""What Azure's files may say and this machine cannot do: refused by name, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scoring.specs.document import described
from scoring.specs.validation import refuse

_STEPS: Mapping[str, str] = {
    "sweep": "there is no tuner of hyperparameters here; write the trials as steps, or try them in one command",
    "automl": "it is a service of Azure's that chooses models; train one in a command",
    "spark": "there is no Spark here; run the script as a command, with pandas, DuckDB or Polars",
    "import": "there are no connections to databases elsewhere; read the data in a command",
    "data_transfer": "data is not moved between stores here; copy it in a command",
    "finetuning": "it is a service of Azure's; train in a command",
    "distillation": "it is a service of Azure's; train in a command",
    "base": "it is of Azure's older designer; write a command",
}
KINDS = ("command", "parallel", "pipeline")

_DISTRIBUTIONS: Mapping[str, str] = {
    "mpi": "there is no MPI here",
    "ray": "there is no Ray cluster here",
}


def checked_kind(value: Any, *allowed: str, path: tuple[str, ...] = ()) -> Any:
    """The kind of a job, a step or a component, in lower case. Refuses those that cannot be run here."""
    kind = value.lower() if isinstance(value, str) else value
    if isinstance(kind, str) and (reason := _STEPS.get(kind)):
        raise refuse(f"found {described(value)}, which cannot be run here: {reason}", *path)
    if kind is not None and (not isinstance(kind, str) or kind not in allowed):
        raise refuse(f"found {described(value)}, allowed: {', '.join(allowed)}", *path)
    return kind


def checked_distribution(value: Any) -> Any:
    """A command runs as one process: what asks for no more than that is taken."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise refuse(f"found {described(value)}, wanted keys and values")
    for key in value:
        if key not in {"type", "process_count_per_instance"}:
            raise refuse("unknown key; allowed: process_count_per_instance, type", key)
    written = value.get("type")
    kind = written.lower() if isinstance(written, str) else ""
    if kind in _DISTRIBUTIONS:
        raise refuse(
            f"found {described(written)}: {_DISTRIBUTIONS[kind]}; a command is one process, which may start others",
            "type",
        )
    if kind not in {"pytorch", "tensorflow"}:
        raise refuse(f"found {described(written)}, allowed: pytorch, tensorflow", "type")
    count = value.get("process_count_per_instance", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count != 1:
        raise refuse(
            f"found {described(count)}; a command runs as one process, allowed: 1 "
            "(the script may start others, e.g. with torchrun)",
            "process_count_per_instance",
        )
    return dict(value)
