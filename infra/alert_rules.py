"""The rules of a home: those of the built-in stream in `<home>/alerts.yml`, those of a definition in its own file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from infra.settings import Settings
from infra.stream_definitions import Stored, StreamDefinitions
from ingestion.alerts.evaluator import AlertedStream
from ingestion.alerts.rules import AlertRule, rules_of
from ingestion.definition import StreamDefinition
from ingestion.definition_problems import Problems
from ingestion.errors import InvalidInput
from ingestion.shape import BUILT_IN_KEY
from ingestion.window import WINDOW_SCHEMA
from scoring import errors as scoring_errors
from scoring.specs.document import read_document
from storage.lake.tables import WINDOWS


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRules:
    """What a file says of one stream, whose windows are in `table`. `problem`: it is wrong, and there is no stream."""

    path: Path
    name: str
    table: str
    stream: AlertedStream | None
    problem: str | None = None


def read_built_in(file: Path, settings: Settings) -> AlertedStream:
    """The rules in a file with the list `alerts`, for the built-in stream.

    Raises InvalidInput (ours or scoring's) with file, line and path.
    """
    document = read_document(file)
    problems = Problems(document)
    problems.unknown_keys(document.value, (), ["alerts"])
    rules: tuple[AlertRule, ...] = ()
    try:
        rules = rules_of(document.value.get("alerts"), WINDOW_SCHEMA)
    except InvalidInput as error:
        problems.add_told(error)
    problems.refuse()
    return replace(built_in(settings), rules=rules)


def built_in(settings: Settings) -> AlertedStream:
    """The built-in stream, without rules."""
    stream = settings.stream
    return AlertedStream(
        name=stream.name,
        table=WINDOWS.name,
        key=BUILT_IN_KEY,
        rules=(),
        correction=stream.window.correction_lateness,
    )


class AlertRules:
    """Those of a home, read again where a file is another now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: tuple[object, ...] | None = None
        self._found: Sequence[StoredRules] = ()

    @property
    def path(self) -> Path:
        """Of the built-in stream's rules; need not exist."""
        return self._settings.paths.alerts

    def all(self) -> Sequence[StoredRules]:
        """The built-in stream first, then definitions by name; whoever has no rules is among them, too."""
        seen = tuple(_mark(path) for path in self._files())
        if seen != self._seen:
            self._found = self._read()
            self._seen = seen
        return self._found

    def _files(self) -> list[Path]:
        return [self.path, *sorted(self._settings.paths.streams.glob("*.yml"))]

    def _read(self) -> Sequence[StoredRules]:
        return [self._built_in(), *(_defined(stored) for stored in StreamDefinitions(self._settings).all())]

    def _built_in(self) -> StoredRules:
        name = self._settings.stream.name
        found: AlertedStream | None = None
        problem = None
        try:
            is_there = self.path.exists()
            found = read_built_in(self.path, self._settings) if is_there else built_in(self._settings)
        except (InvalidInput, scoring_errors.InvalidInput) as error:
            problem = str(error)
        return StoredRules(path=self.path, name=name, table=WINDOWS.name, stream=found, problem=problem)


def alerted(definition: StreamDefinition) -> AlertedStream:
    """A defined stream with its rules."""
    return AlertedStream(
        name=definition.name,
        table=definition.table,
        key=definition.key,
        rules=definition.alerts,
        correction=definition.window.correction_lateness,
    )


def _defined(stored: Stored) -> StoredRules:
    found = stored.definition
    return StoredRules(
        path=stored.path,
        name=stored.name,
        table=stored.name if found is None else found.table,
        stream=None if found is None else alerted(found),
        problem=stored.problem,
    )


def _mark(path: Path) -> tuple[str, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size
