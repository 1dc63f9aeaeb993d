"""How documents name things and places: `azureml:name:version`, `azureml://datastores/…`, ARM ids, URLs, paths.

Pure: the text is taken apart here; whether the thing exists, and where its bytes lie, is `storage.references`' part.
Subscription, resource group, workspace, location and registry are read over: this service is all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from scoring.errors import InvalidInput
from scoring.specs.document import described

LATEST = "latest"


class NamedKind(StrEnum):
    """What a long reference says that it names: a segment of its path."""

    MODEL = "models"
    DATA = "data"
    ENVIRONMENT = "environments"
    CODE = "codes"
    COMPUTE = "computes"
    COMPONENT = "components"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """`version` None is the latest, by creation time; `kind` None where the text does not say it."""

    name: str
    version: str | None = None
    kind: NamedKind | None = None


@dataclass(frozen=True, kw_only=True)
class DatastorePath:
    """A path below a datastore; `path` has no leading slash and is never outside it, empty for the whole of it."""

    datastore: str
    path: str = ""

    def __str__(self) -> str:
        return f"azureml://datastores/{self.datastore}/paths/{self.path}"


@dataclass(frozen=True, kw_only=True)
class JobOutputPath:
    """A path below a named output of a job."""

    job: str
    output: str
    path: str = ""

    def __str__(self) -> str:
        return f"azureml://jobs/{self.job}/outputs/{self.output}/paths/{self.path}"


@dataclass(frozen=True, kw_only=True)
class WebAddress:
    """`https://…` or `http://…`."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, kw_only=True)
class LakeTable:
    """`lake://windows`: a table of tidemill's own lake."""

    table: str

    def __str__(self) -> str:
        return f"lake://{self.table}"


@dataclass(frozen=True, kw_only=True)
class WrittenPath:
    """A path of a file system, as it was written but for `file:`; it may be relative to the file that holds it."""

    path: str

    def __str__(self) -> str:
        return self.path


Location = Reference | DatastorePath | JobOutputPath | WebAddress | LakeTable | WrittenPath
"""Where content may be said to lie."""

_NAME = r"[a-zA-Z0-9][-_.a-zA-Z0-9]{0,254}"
_VERSION = r"[-_.a-zA-Z0-9]{1,128}"
_SHORT = re.compile(rf"(?:azureml:)?(?P<name>{_NAME})(?::(?P<version>{_VERSION})|@(?P<label>[-_.a-zA-Z0-9]+))?")
_KINDS = "|".join(NamedKind)
_WORKSPACE = (
    r"(?:subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/Microsoft\.MachineLearningServices/)?workspaces/[^/]+/"
    r"|locations/[^/]+/workspaces/[^/]+/|registries/[^/]+/|workspaces/[^/]+/)?"
)
_LONG = re.compile(
    rf"{_WORKSPACE}(?P<kind>{_KINDS})/(?P<name>{_NAME})"
    rf"(?:/versions/labels/(?P<late>[^/]+)|/versions/(?P<version>{_VERSION})|/labels/(?P<label>[^/]+))?/?",
    re.IGNORECASE,
)
_DATASTORE = re.compile(rf"{_WORKSPACE}datastores/(?P<name>{_NAME})(?:/paths(?:/(?P<path>.*))?)?/?", re.IGNORECASE)
_JOB = re.compile(
    rf"{_WORKSPACE}jobs/(?P<job>{_NAME})/outputs/(?P<output>{_NAME})(?:/paths(?:/(?P<path>.*))?)?/?", re.IGNORECASE
)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")

_NEEDS_AZURE = {"wasbs", "wasb", "abfss", "abfs", "adl", "hdfs", "s3", "gs"}


def parse_reference(text: str, kind: NamedKind | None = None) -> Reference:
    """A named thing in any form; with `kind`, a long form must name one of that kind.

    Raises InvalidInput for another form, or another label than `latest`.
    """
    long = _without_scheme(text)
    found = _SHORT.fullmatch(text) if long is None else _LONG.fullmatch(long)
    if found is None:
        raise InvalidInput(f"found {described(text)}; wanted azureml:NAME:VERSION, azureml:NAME@latest or NAME")
    groups = found.groupdict()
    label = groups.get("label") or groups.get("late")
    if label is not None and label.lower() != LATEST:
        raise InvalidInput(f"found the label '@{label}'; the only label is @latest")
    named = NamedKind(groups["kind"].lower()) if groups.get("kind") else None
    if kind is not None and named not in {None, kind}:
        raise InvalidInput(f"found {described(text)}, which names one of {named}; wanted one of {kind}")
    return Reference(name=groups["name"], version=groups["version"], kind=named)


def parse_location(text: str) -> Location:
    """Where content lies: any form of reference, URL or path. Raises InvalidInput for what this machine cannot read.

    A name without `azureml:` before it is a path here.
    """
    if not text.strip():
        raise InvalidInput("found nothing, wanted a path")
    long = _without_scheme(text)
    if long is not None:
        return _long_location(text, long)
    if text.startswith("azureml:"):
        return parse_reference(text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return WrittenPath(path=text)
    name = scheme.group()[:-1].lower()
    if name == "file":
        return WrittenPath(path=_file_path(text))
    if name in {"https", "http"}:
        return WebAddress(url=text)
    if name == "lake":
        return LakeTable(table=text[len("lake://") :])
    if name in _NEEDS_AZURE:
        raise InvalidInput(
            f"found {described(text)}, a store of a cloud that cannot be reached from here; "
            "wanted a local path, azureml://datastores/NAME/paths/PATH or azureml:NAME:VERSION"
        )
    raise InvalidInput(f"found {described(text)}; wanted a path, a URL, or a reference such as azureml:NAME:VERSION")


def bare_name(text: str) -> str:
    """`azureml:cpu-cluster`, its ARM id and `cpu-cluster` are the same compute."""
    long = _without_scheme(text)
    found = _LONG.fullmatch(long) if long is not None else None
    return found["name"] if found is not None else text.removeprefix("azureml:")


def _without_scheme(text: str) -> str | None:
    """The path of a long form: `azureml://…`, or an ARM id with or without `azureml:`; None for any other text."""
    if text[: len("azureml://")].lower() == "azureml://":
        return text[len("azureml://") :].lstrip("/")
    rest = text.removeprefix("azureml:")
    return rest[1:] if rest.lower().startswith("/subscriptions/") else None


def _long_location(text: str, long: str) -> Location:
    if found := _DATASTORE.fullmatch(long):
        return DatastorePath(datastore=found["name"], path=_inside(text, found["path"]))
    if found := _JOB.fullmatch(long):
        return JobOutputPath(job=found["job"], output=found["output"], path=_inside(text, found["path"]))
    if _LONG.fullmatch(long):
        return parse_reference(text)
    raise InvalidInput(
        f"found {described(text)}; wanted azureml://datastores/NAME/paths/PATH, azureml://jobs/JOB/outputs/NAME/paths/"
        "PATH, or …/data/NAME/versions/VERSION"
    )


def _inside(text: str, path: str | None) -> str:
    parts = [part for part in (path or "").split("/") if part not in {"", "."}]
    if ".." in parts:
        raise InvalidInput(f"found {described(text)}; a path below a datastore must not hold '..'")
    return "/".join(parts)


def _file_path(text: str) -> str:
    """`file:///a`, `file://localhost/a`, `file:/a` and `file:a`; the authority of another machine is refused."""
    rest = text[len("file:") :]
    if not rest.startswith("//"):
        return rest
    authority, slash, path = rest[2:].partition("/")
    if authority in {"", "localhost"}:
        return slash + path
    if authority in {".", ".."} or not slash:
        return rest[2:]  # file://./model and file://model are written, and meant relative
    raise InvalidInput(f"found {described(text)}, which is on another machine; a file:// path begins with file:///")
