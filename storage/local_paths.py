"""Paths of inputs and outputs as users write them: a local path, or a `file://` URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

from scoring.errors import InvalidInput


def local_path(written: str, *, place: str) -> Path:
    """The absolute path. Raises InvalidInput, naming `place`, for a path that is relative
    or not on this machine."""
    if not written.strip():
        raise InvalidInput("a path is needed, such as /data/images", place=place)
    if "\0" in written:
        raise InvalidInput("a path must not hold NUL characters", place=place)
    if written.startswith("file:"):
        parsed = urlparse(written)
        if parsed.netloc not in {"", "localhost"}:
            raise InvalidInput(f"{written} is on another machine; a file:// path begins with file:///", place=place)
        path = Path(unquote(parsed.path))
    elif "://" in written:
        raise InvalidInput(f"{written} found; allowed are local paths and file:// URLs", place=place)
    else:
        path = Path(written).expanduser()
    if not path.is_absolute():
        # what it is relative to would be the service's directory, which nobody means
        raise InvalidInput(f"{written} is relative; name the absolute path", place=place)
    return path


def storable_uri(path: str, *, place: str) -> str:
    """The path as an item's uri. Raises InvalidInput for a name that is no UTF-8: a manifest cannot keep it."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise InvalidInput(f"the file name {shown} is no UTF-8; rename the file", place=place) from None
    return path
