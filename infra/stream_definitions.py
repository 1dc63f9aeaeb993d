"""The stream definitions of a home: read, checked against each other, stored and taken away. A file is a stream.

Nothing here starts a worker: the supervisor does when it finds the file, and ends it when the file is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.settings import Settings
from ingestion.definition import StreamDefinition
from ingestion.definition_document import definition_of
from ingestion.errors import InvalidInput
from scoring import errors as scoring_errors
from scoring.specs.document import MAX_BYTES, load_document, read_document
from storage.durability import fsync_folder, write_whole
from storage.preparation.statement import bind


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A definition of the home: `problem` says what is wrong with its file, and then there is no definition."""

    name: str
    path: Path
    definition: StreamDefinition | None
    problem: str | None = None


def read(file: str | Path, *, readings_topic: str) -> StreamDefinition:
    """The definition in a file. Raises InvalidInput (ours or scoring's) with everything that is wrong, line by line."""
    document = read_document(file)
    return definition_of(document.value, document, readings_topic=readings_topic, bind=bind)


class StreamDefinitions:
    """Those below `<home>/streams`."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.paths.streams
        self._topic = settings.readings_topic

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.yml") if not path.name.startswith("."))

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.yml"

    def all(self) -> Sequence[Stored]:
        """In order of name; a file that is wrong is among them, with its problem."""
        return [self._stored(name) for name in self.names()]

    def get(self, name: str) -> StreamDefinition:
        """Raises InvalidInput where there is none of the name, or its file is wrong."""
        if name not in self.names():
            known = ", ".join(self.names()) or "none so far; `tidemill stream create -f FILE` makes one"
            raise InvalidInput(f"there is no stream '{name}'; defined are {known}")
        return read(self.path(name), readings_topic=self._topic)

    def read(self, file: str | Path) -> StreamDefinition:
        """A file that is to be stored or run; checked against the other streams of the home, too."""
        found = read(file, readings_topic=self._topic)
        for other in self.all():
            if other.definition is not None and other.name != found.name and other.definition.table == found.table:
                raise InvalidInput(
                    f"{file}: sink.table: table {found.table} is that of the stream {other.name}; name another"
                )
        return found

    def store(self, definition: StreamDefinition, content: bytes) -> bool:
        """Put the file in its place, whole; False where the very same lay there."""
        path = self.path(definition.name)
        if path.exists() and path.read_bytes() == content:
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        return True

    def remove(self, name: str) -> bytes:
        """Take the file away; returns what it held. Raises InvalidInput where there is none."""
        path = self.path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            known = ", ".join(self.names()) or "none"
            raise InvalidInput(f"there is no stream '{name}'; defined are {known}") from None
        path.unlink()
        fsync_folder(self._folder)
        return content

    def _stored(self, name: str) -> Stored:
        path = self.path(name)
        try:
            found = read(path, readings_topic=self._topic)
        except (InvalidInput, scoring_errors.InvalidInput) as error:
            return Stored(name=name, path=path, definition=None, problem=str(error))
        if found.name != name:
            problem = f"{path}:1: name: found '{found.name}' in a file named {path.name}; they must be the same"
            return Stored(name=name, path=path, definition=None, problem=problem)
        return Stored(name=name, path=path, definition=found)


def content_of(file: str | Path) -> bytes:
    """The file's bytes, as they are stored. Raises InvalidInput for what no definition can be."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"{file}:1: the file is larger than {MAX_BYTES} bytes, the most that is read")
    load_document(content, file=str(file))
    return content
