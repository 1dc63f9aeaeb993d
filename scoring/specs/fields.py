"""The types of fields that several kinds share: names, counts, texts, local paths."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo

from scoring.errors import InvalidInput
from scoring.mini_batch_size import MiniBatchSize
from scoring.specs.document import WrittenFloat, WrittenInt, described
from scoring.specs.validation import refuse

_ENDPOINT = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_RESOURCE = re.compile(r"[a-zA-Z]([-_a-zA-Z0-9]*[a-zA-Z0-9])?")
_ASSET = re.compile(r"[a-zA-Z0-9][-_.a-zA-Z0-9]*")


def _endpoint_name(name: str) -> str:
    if not _ENDPOINT.fullmatch(name) or not 3 <= len(name) <= 32:
        raise refuse(
            f"found {described(name)}; an endpoint's name has 3 to 32 letters, digits and hyphens, "
            "begins with a letter and does not end with a hyphen"
        )
    return name.lower()


def _resource_name(name: str) -> str:
    if not _RESOURCE.fullmatch(name) or not 2 <= len(name) <= 64:
        raise refuse(
            f"found {described(name)}; a name has 2 to 64 letters, digits, hyphens and underscores, "
            "begins with a letter and ends with a letter or digit"
        )
    return name


def _asset_name(name: str) -> str:
    if not _ASSET.fullmatch(name) or len(name) > 128:
        raise refuse(
            f"found {described(name)}; a name has up to 128 letters, digits, hyphens, underscores and dots, "
            "and begins with a letter or digit"
        )
    return name


def _file_name(name: str) -> str:
    if not name or name in {".", ".."} or "/" in name or "\\" in name or len(name.encode()) > 200:
        raise refuse(f"found {described(name)}; wanted a plain file name, e.g. predictions.csv")
    return name


def _integer(value: Any) -> Any:
    # pydantic takes true for 1; a person who wrote it meant something else
    if isinstance(value, bool):
        raise refuse(f"found {described(value)}, wanted an integer")
    return value


def _batch_size(value: Any) -> int | str:
    """As `MiniBatchSize` writes it, so that 10, "10" and "10 " are one thing."""
    _integer(value)
    if isinstance(value, int) and value < 1:
        raise refuse(f"found {described(value)}, must be at least 1")
    if not isinstance(value, (int, str)):
        raise refuse(f"found {described(value)}, wanted an integer, a size such as 10MB, or `5000 rows`")
    try:
        return MiniBatchSize.parse(value).written
    except InvalidInput as error:
        raise refuse(str(error)) from None


def _finite(value: Any) -> Any:
    """Values of any shape, as JSON has them."""
    if isinstance(value, float) and not math.isfinite(value):
        raise refuse(f"found {described(value)}, which is no number that can be kept")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(inner)
    return value


def as_text(value: Any) -> Any:
    """Numbers and booleans as they were written, for fields that hold text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (WrittenInt, WrittenFloat)):
        return value.written
    return str(value) if isinstance(value, (int, float)) else value


def lowered(value: Any) -> Any:
    """Azure's enumerations are compared without case."""
    return value.lower() if isinstance(value, str) else value


def _text_map(value: Any) -> Any:
    return {key: as_text(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def local_path(text: str, info: ValidationInfo) -> str:
    """Absolute: relative to the file that holds it. Paths of other machines are refused."""
    if text.startswith("file://"):
        text = text[len("file://") :]
    elif text.startswith("file:"):
        text = text[len("file:") :]
    if not text:
        raise refuse("found nothing, wanted a path")
    if text.splitlines() != [text]:
        raise refuse(f"found text with a line break, {described(text)}; wanted a path on one line")
    if re.match(r"[a-z][a-z0-9+.-]+:", text):
        raise refuse(f"found {described(text)}; wanted the path of a folder or file on this machine")
    folder = (info.context or {}).get("folder")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise refuse(f"found {described(text)}; there is no such user; a name that begins with ~ is ./~…") from None
    if not path.is_absolute():
        if folder is None:
            raise refuse(f"found {described(text)}; a path in a request must be absolute")
        path = Path(folder) / path
    # not resolve(): a symbolic link's own name is the base name that a model keeps
    return str(Path(*_normal(path)))


def _normal(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and len(parts) > 1:
            parts.pop()
        elif part != "..":
            parts.append(part)
    return parts


def _relative_script(text: str) -> str:
    parts = Path(text).parts
    if not text.endswith(".py") or Path(text).is_absolute() or ".." in parts:
        raise refuse(f"found {described(text)}; wanted a .py file inside the code folder, e.g. score.py")
    return str(Path(text))


EndpointName = Annotated[str, AfterValidator(_endpoint_name)]
ResourceName = Annotated[str, AfterValidator(_resource_name)]
AssetName = Annotated[str, AfterValidator(_asset_name)]
Version = Annotated[str, BeforeValidator(as_text), AfterValidator(_asset_name)]
FileName = Annotated[str, AfterValidator(_file_name)]
LocalPath = Annotated[str, AfterValidator(local_path)]
Script = Annotated[str, AfterValidator(_relative_script)]
Text = Annotated[str, StringConstraints(max_length=10_000)]
TextMap = Annotated[dict[str, str], BeforeValidator(_text_map)]
FreeMap = Annotated[dict[str, Any], AfterValidator(_finite)]
"""Keys and values that are kept as they are."""
Integer = Annotated[int, BeforeValidator(_integer)]
Count = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=1_000_000)]
"""At least one."""
BatchSize = Annotated[int | str, BeforeValidator(_batch_size)]
"""Files as a number; `10MB` or `5000 rows` as a text."""
Level = Annotated[int, BeforeValidator(_integer), Field(ge=-1, le=1_000_000_000)]
"""A threshold: -1 bears everything."""
