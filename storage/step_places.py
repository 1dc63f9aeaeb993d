"""Where the inputs and outputs of commands and steps lie on this machine, and the names that outputs get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scoring.components.declared import ValueType
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.errors import Conflict, InvalidInput
from scoring.job import Job, JobInputType, NamedOutput
from scoring.pipeline.named_data import frozen
from scoring.specs.data import DataSpec
from scoring.specs.document import Document
from scoring.specs.model import ModelSpec
from scoring.specs.references import Reference, WebAddress, parse_location
from scoring.specs.validation import parse
from storage.references import References
from storage.registration import Registration

_MODELS = {ValueType.CUSTOM_MODEL, ValueType.MLFLOW_MODEL, ValueType.TRITON_MODEL}
_KINDS = {ValueType.URI_FILE: "uri_file", ValueType.MLTABLE: "mltable"}


class StepPlaces:
    """`fetch` makes a local copy of what an address of the web holds."""

    def __init__(
        self, references: References, fetch: Callable[[str, JobInputType], Path], registration: Registration
    ) -> None:
        self._references = references
        self._fetch = fetch
        self._registration = registration

    def input_path(self, text: str, kind: ValueType | None) -> str:
        """A folder or file for any form of reference; of a model, what was registered.

        Raises InvalidInput and NotFound.
        """
        location = parse_location(text)
        if isinstance(location, WebAddress):
            wanted = JobInputType.URI_FILE if kind is ValueType.URI_FILE else JobInputType.URI_FOLDER
            return str(self._fetch(text, wanted))
        if kind in _MODELS and isinstance(location, Reference):
            folder = Path(self._references.model(text, place="path").path)
            content = sorted(folder.iterdir())
            return str(content[0] if len(content) == 1 else folder)
        return str(self._references.path(text))

    def output_path(self, text: str, *, place: str = "path") -> Path:
        """Raises InvalidInput, naming `place`, for what cannot be written to."""
        return self._references.output(text, place=place)

    def frozen_work(self, work: CommandJob | PipelineJob) -> CommandJob | PipelineJob:
        """With the versions of now of all data that it names. Raises InvalidInput and NotFound, naming the field."""
        return frozen(work, lambda text, kind, place: self.frozen(text, kind, place=place))

    def frozen(self, text: str, kind: ValueType | None, *, place: str) -> str:
        """The reference with its version as of now; other texts stay.

        Raises InvalidInput and NotFound, naming `place`, for what is not there. The web is not asked.
        """
        try:
            location = parse_location(text)
        except InvalidInput as error:
            raise InvalidInput(str(error), place=place) from None
        if isinstance(location, WebAddress):
            return text
        if kind in _MODELS and isinstance(location, Reference):
            return str(self._references.model(text, place=place).reference)
        if isinstance(location, Reference):
            asset = self._references.data(text, place=place)
            text = f"azureml:{asset.name}:{asset.version}"
        path = self._references.path(text, place=place)
        if not path.exists():
            raise InvalidInput(f"there is no file or folder {path}", place=place)
        return text

    def register(self, job: Job, output: str, written: NamedOutput, name: str, version: str | None) -> None:
        """Give an output of a job a name and version, as a data asset or a model, whose content is a copy.

        Done again it changes nothing. Raises Conflict for a version that has other content.
        """
        if not Path(written.path).exists():
            raise InvalidInput(f"nothing was written to {written.path}", place=f"outputs.{output}")
        said = {"name": name, "version": version, "path": written.path}
        try:
            if written.type in _MODELS:
                self._registration.model(parse(ModelSpec, Document(value={**said, "type": written.type.value})))
                return
            kind = _KINDS.get(written.type, "uri_folder")
            self._registration.data(parse(DataSpec, Document(value={**said, "type": kind})))
        except Conflict as taken:
            raise Conflict(f"output {output} could not be registered as {name}: {taken}") from None
