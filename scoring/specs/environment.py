"""An environment's YAML: on its own, and inline in a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from scoring.environment import ANONYMOUS_ENVIRONMENT
from scoring.specs.document import described, read_document
from scoring.specs.fields import AssetName, FreeMap, Integer, Text, TextMap, Version, lowered
from scoring.specs.named_file import read_in
from scoring.specs.places import ContentPath
from scoring.specs.validation import Spec, refuse


def _conda(value: Any, info: ValidationInfo) -> Any:
    """The content of a conda file, whether it is written out or named by a path relative to the file that holds it."""
    if isinstance(value, str):
        if "\n" in value:
            raise refuse("found text of several lines, wanted a path, or keys such as dependencies")
        value = read_in(
            value, info, lambda path: read_document(path).value, of_request="what the conda file says, not its path"
        )
    if isinstance(value, Mapping):
        _check_conda(value)
    return value


def _check_conda(conda: Mapping[str, Any]) -> None:
    dependencies = conda.get("dependencies")
    if not isinstance(dependencies, list):
        raise refuse(f"dependencies: found {described(dependencies)}, wanted a list")
    for number, dependency in enumerate(dependencies):
        place = f"dependencies[{number}]"
        if isinstance(dependency, Mapping):
            pip = dependency.get("pip")
            if list(dependency) != ["pip"] or not isinstance(pip, list) or not all(isinstance(p, str) for p in pip):
                raise refuse(f"{place}: found a mapping; the only one that is allowed is `pip:` with a list of texts")
        elif not isinstance(dependency, str):
            raise refuse(f"{place}: found {described(dependency)}, wanted a text such as python=3.12")
    channels = conda.get("channels")
    if channels is not None and (not isinstance(channels, list) or not all(isinstance(c, str) for c in channels)):
        raise refuse(f"channels: found {described(channels)}, wanted a list of texts")


def _dockerfile(text: str) -> str:
    parts = text.replace("\\", "/").split("/")
    if not text or text.startswith("/") or ".." in parts:
        raise refuse(f"found {described(text)}; wanted the path of a file inside the build folder, e.g. Dockerfile")
    return "/".join(part for part in parts if part not in {"", "."})


class BuildSpec(Spec):
    path: ContentPath
    dockerfile_path: Annotated[str, AfterValidator(_dockerfile)] = "Dockerfile"


class RouteSpec(Spec):
    path: Text
    port: Annotated[Integer, Field(ge=1, le=65_535)]


class InferenceSpec(Spec):
    """Where a container with a server of its own answers. Kept; no container is run here."""

    liveness_route: RouteSpec
    readiness_route: RouteSpec
    scoring_route: RouteSpec


class InlineEnvironment(Spec):
    """An environment written into a deployment. Without a name it is anonymous: named by its content, and shared."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"datastore"})

    name: AssetName | None = None
    version: Version | None = None
    image: Text | None = None
    conda_file: Annotated[FreeMap | None, BeforeValidator(_conda)] = None
    build: BuildSpec | None = None
    os_type: Annotated[Literal["linux", "windows"], BeforeValidator(lowered)] = "linux"
    inference_config: InferenceSpec | None = None
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)

    datastore: Any = None
    id: Any = None
    content_hash: Any = None
    creation_context: Any = None
    latest_version: Any = None
    is_archived: Any = None

    @model_validator(mode="after")
    def _consistent(self) -> InlineEnvironment:
        if self.build is not None and self.image is not None:
            raise refuse("image and build are both given; an environment is made from one of them", "build")
        if self.build is not None and self.conda_file is not None:
            raise refuse("conda_file and build are both given; an environment is made from one of them", "build")
        if self.build is None and self.image is None and self.conda_file is None:
            raise refuse("nothing says what is in it; give image, conda_file or build", "image")
        return self


class EnvironmentSpec(InlineEnvironment):
    """Keys of `environment create`."""

    name: Annotated[AssetName, AfterValidator(lambda name: _not_anonymous(name))]


def _not_anonymous(name: str) -> str:
    if name == ANONYMOUS_ENVIRONMENT:
        raise refuse(f"found {described(name)}, the name of those that deployments hold inline; choose another")
    return name
