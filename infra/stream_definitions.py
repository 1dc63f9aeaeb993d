"""The stream definitions of a home: read, checked against each other, stored and taken away.

In the home a file is a stream, and YAML; a Python file, which may declare several, is given and not kept.

Nothing here starts a worker: the supervisor does when it finds the file, and ends it when the file is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.python_streams import SUFFIX, documents_in
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A definition of a file that somebody gave, and the YAML that is stored of it."""

    definition: StreamDefinition
    content: bytes


def read(file: str | Path, *, readings_topic: str) -> StreamDefinition:
    """The one definition in a file. Raises InvalidInput (ours or scoring's) with all that is wrong, line by line."""
    if Path(file).suffix != SUFFIX:
        document = read_document(file)
        return definition_of(document.value, document, readings_topic=readings_topic, bind=bind)
    found = read_all(file, readings_topic=readings_topic)
    if len(found) > 1:
        names = ", ".join(one.definition.name for one in found)
        raise InvalidInput(f"{file}:1: declares {len(found)} streams ({names}), and one is wanted here")
    return found[0].definition


def read_all(file: str | Path, *, readings_topic: str) -> Sequence[Given]:
    """All definitions in a file: one of a YAML file, one or more of a Python file. Raises as `read`."""
    if Path(file).suffix != SUFFIX:
        return [Given(definition=read(file, readings_topic=readings_topic), content=content_of(file))]
    found: list[Given] = []
    wrong: list[str] = []
    for document, content in documents_in(file):
        try:
            one = definition_of(document.value, document, readings_topic=readings_topic, bind=bind)
        except InvalidInput as error:
            wrong += str(error).splitlines()
            continue
        if one.name in {other.definition.name for other in found}:
            wrong.append(f"{document.place(('name',))}: name: an earlier stream is named '{one.name}', too")
        found.append(Given(definition=one, content=content))
    if wrong:
        raise InvalidInput("\n".join(wrong))
    return found


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
        """A file that is to be run; checked against the other streams of the home, too."""
        found = read(file, readings_topic=self._topic)
        self._check_tables(file, [found])
        return found

    def read_all(self, file: str | Path) -> Sequence[Given]:
        """What is to be stored of a file; checked against each other and the other streams of the home, too."""
        found = read_all(file, readings_topic=self._topic)
        self._check_tables(file, [one.definition for one in found])
        return found

    def chosen(self, name: str, file: str | Path | None) -> Given:
        """The definition of a name: that of a file, or without one the stored. Raises InvalidInput."""
        if file is None:
            return Given(definition=self.get(name), content=content_of(self.path(name)))
        given = {one.definition.name: one for one in self.read_all(file)}
        if name not in given:
            raise InvalidInput(f"{file}: name: found '{', '.join(given)}', and {name} is to be reset")
        return given[name]

    def _check_tables(self, file: str | Path, found: Sequence[StreamDefinition]) -> None:
        names = {one.name for one in found}
        others = [one.definition for one in self.all() if one.definition is not None and one.name not in names]
        for number, one in enumerate(found):
            for other in (*others, *found[:number]):
                if other.table == one.table:
                    raise InvalidInput(
                        f"{file}: sink.table: table {one.table} is that of the stream {other.name}; name another"
                    )

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
