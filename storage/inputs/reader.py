"""The one InputReader that a runner has: it hands each input to the reader of its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from sqlalchemy.engine import Engine

from scoring.job import JobInput
from scoring.minibatch import InputItem
from scoring.ports import InputReader
from storage.inputs import INPUTS

PLACE = "input.path"
"""The field that an unreadable input is blamed on."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where inputs come from: the lake's folder, and the database with the static tables."""

    lake: Path
    engine: Engine = field(repr=False)


class InputsByType:
    """`scoring.ports.InputReader` over the registry `INPUTS`."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._readers: dict[str, InputReader] = {}

    def resolve(self, job_input: JobInput) -> JobInput:
        return self._reader(job_input).resolve(job_input)

    def items(self, job_input: JobInput) -> Sequence[InputItem]:
        return self._reader(job_input).items(job_input)

    def snapshot(self, job_input: JobInput, folder: Path) -> Path | None:
        return self._reader(job_input).snapshot(job_input, folder)

    def _reader(self, job_input: JobInput) -> InputReader:
        kind = job_input.type.value
        if kind not in self._readers:
            module, name = INPUTS[kind].split(":")
            self._readers[kind] = getattr(import_module(module), name)(self._places)
        return self._readers[kind]
