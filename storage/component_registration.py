"""Registering components, and making jobs of them: code and environments go into the registry, names are looked up.

Everything that a document names is looked at first, and the whole checked; only then is anything stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scoring.components.component import Component, PipelineComponent
from scoring.components.jobs import CommandJob, PipelineJob
from scoring.components.registered import ANONYMOUS_COMPONENT, RegisteredComponent, content_hash
from scoring.environments.conda import wanted_of_conda
from scoring.environments.images import is_azures_own
from scoring.errors import InvalidInput, NotFound
from scoring.model import ModelReference
from scoring.specs.component import is_strict_name
from scoring.specs.component_values import command_job, component_value, pipeline_job
from scoring.specs.environment import InlineEnvironment
from scoring.specs.model import InlineModel
from scoring.specs.pipeline import ComponentSpec
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec
from storage.references import References
from storage.registration import Registration
from storage.registry import Registry, check_script, code_files

_VERSION_LENGTH = 32


class ComponentRegistration:
    """Each call is done as a whole or not at all, but for content that nobody names, which does no harm.

    All raise InvalidInput naming the field, NotFound for what a document names, Conflict for a version with other
    content.
    """

    def __init__(self, registration: Registration, registry: Registry, references: References) -> None:
        self._registration = registration
        self._seen = _Seen(references)
        self._kept = _Kept(self._seen, registration, registry, self)

    def component(self, spec: ComponentSpec) -> RegisteredComponent:
        """Under its name, and its version or the next one; without a name it is anonymous."""
        component_value(spec, self._seen)
        value = component_value(spec, self._kept)
        if spec.name is None:
            return self._anonymous(value)
        return self._registered(value, spec.version, name=spec.name)

    def pipeline(self, written: ComponentSpec | str, *, place: str = "component") -> PipelineComponent:
        """What a deployment runs: a registered pipeline, or one that it holds, which is registered now.

        One with a name that a registered component may have gets it, any other is anonymous.
        """
        if isinstance(written, str):
            found = self._seen.component(written, place=place)
        else:
            component_value(written, self._seen, place)
            value = component_value(written, self._kept, place)
            if written.name is not None and is_strict_name(written.name):
                found = self._registered(value, written.version, name=written.name).component
            else:
                found = self.inline(value)
        if not isinstance(found, PipelineComponent):
            raise InvalidInput(f"found a component of type {found.kind}, wanted one of type pipeline", place=place)
        return found

    def pipeline_job(self, spec: PipelineJobSpec) -> PipelineJob:
        pipeline_job(spec, self._seen)
        return pipeline_job(spec, self._kept)

    def command_job(self, spec: CommandJobSpec) -> CommandJob:
        command_job(spec, self._seen)
        return command_job(spec, self._kept)

    def inline(self, component: Component) -> Component:
        """Kept without a name of its own: the same content is the same component, wherever it is written."""
        shown = component.name if component.name != ANONYMOUS_COMPONENT else None
        kept = self._anonymous(component)
        return replace(component, name=kept.name, version=kept.version, display_name=component.display_name or shown)

    def _anonymous(self, component: Component) -> RegisteredComponent:
        version = content_hash(component)[:_VERSION_LENGTH]
        return self._registered(component, version, name=ANONYMOUS_COMPONENT)

    def _registered(self, component: Component, version: str | None, *, name: str) -> RegisteredComponent:
        return self._registration.named(
            RegisteredComponent,
            version,
            lambda version: RegisteredComponent(
                name=name,
                version=version,
                content_hash=content_hash(component),
                definition=replace(component, name=name, version=version),
                display_name=component.display_name,
                description=component.description,
                tags=component.tags,
                properties=component.properties,
                is_anonymous=name == ANONYMOUS_COMPONENT,
            ),
        )


class _Seen:
    """Looks at everything, and stores nothing."""

    def __init__(self, references: References) -> None:
        self.references = references

    def code(self, folder: str, includes: Sequence[str], script: str | None, *, place: str) -> str:
        path, beside = self.code_paths(folder, includes, place)
        check_script(code_files(path, beside, place), path, script, script_place(place))
        return str(path)

    def code_paths(self, folder: str, includes: Sequence[str], place: str) -> tuple[Path, list[Path]]:
        path = self.references.path(folder, place=place)
        return path, [self.references.path(each, place=place) for each in includes]

    def environment(self, written: str | InlineEnvironment, *, place: str) -> str:
        if isinstance(written, str):
            try:
                return str(self.references.environment(written, place=place))
            except NotFound:
                if is_azures_own(written):
                    return written
                raise
        if written.conda_file is not None:
            wanted_of_conda(written.conda_file, place=f"{place}.conda_file")
        if written.build is not None:
            at = f"{place}.build.path"
            if not self.references.path(written.build.path, place=at).is_dir():
                raise InvalidInput(f"there is no folder {written.build.path}", place=at)
        return "azureml:inline:1"

    def model(self, written: str | InlineModel, *, place: str) -> ModelReference:
        if isinstance(written, str):
            return self.references.model(written, place=place).reference
        if not self.references.path(written.path, place=f"{place}.path").exists():
            raise InvalidInput(f"there is no file or folder {written.path}", place=f"{place}.path")
        return ModelReference(name="inline", version="1")

    def component(self, reference: str, *, place: str) -> Component:
        return self.references.component(reference, place=place).component

    def inline(self, component: Component) -> Component:
        return component


class _Kept:
    """Registers what is written out; what is named is looked up as `_Seen` does."""

    def __init__(
        self, seen: _Seen, registration: Registration, registry: Registry, components: ComponentRegistration
    ) -> None:
        self._seen = seen
        self._registration = registration
        self._registry = registry
        self._components = components

    def code(self, folder: str, includes: Sequence[str], script: str | None, *, place: str) -> str:
        path, beside = self._seen.code_paths(folder, includes, place)
        stored = self._registry.add_code(path, script, includes=beside, place=place, script_place=script_place(place))
        return str(stored.path)

    def environment(self, written: str | InlineEnvironment, *, place: str) -> str:
        if isinstance(written, str):
            return self._seen.environment(written, place=place)
        try:
            return str(self._registration.environment(written))
        except InvalidInput as error:
            raise _within(error, place) from None

    def model(self, written: str | InlineModel, *, place: str) -> ModelReference:
        if isinstance(written, str):
            return self._seen.model(written, place=place)
        try:
            return self._registration.model(written).reference
        except InvalidInput as error:
            raise _within(error, place) from None

    def component(self, reference: str, *, place: str) -> Component:
        return self._seen.component(reference, place=place)

    def inline(self, component: Component) -> Component:
        return self._components.inline(component)


def script_place(code_place: str) -> str:
    """`entry_script` stands beside `code`."""
    return code_place.removesuffix("code") + "entry_script"


def _within(error: InvalidInput, place: str) -> InvalidInput:
    message = str(error).removeprefix(f"{error.place}: ")
    return InvalidInput(message, place=f"{place}.{error.place}" if error.place else place)
