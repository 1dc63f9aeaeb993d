"""The `window:` of a stream's document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from ingestion.definition_problems import FieldPath, Problems, described
from ingestion.duration import duration, duration_or_zero
from ingestion.window import HoppingWindow, SessionWindow, TumblingWindow, Window

_LATENESS = ("allowed_lateness", "correction_lateness")
_LENGTHS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tumbling": (("size",), ()),
    "hopping": (("size", "every"), ()),
    "session": (("gap",), ("max_size",)),
}
"""Of each type, the lengths that it needs and those that it may have."""

_KINDS: Mapping[str, Callable[..., Window]] = {
    "tumbling": TumblingWindow,
    "hopping": HoppingWindow,
    "session": SessionWindow,
}


def window_of(given: Any, problems: Problems) -> Window | None:
    """The window, or None where something is wrong, which has been told."""
    found = problems.mapping(given, ("window",))
    if found is None:
        return None
    kind = problems.choice(found.get("type", "tumbling"), ("window", "type"), _LENGTHS)
    if kind is None:
        return None
    needed, optional = _LENGTHS[kind]
    problems.unknown_keys(found, ("window",), ("type", *needed, *optional, *_LATENESS))
    lengths: dict[str, timedelta | None] = {}
    for name in (*needed, *optional, *_LATENESS):
        if name in needed and name not in found:
            problems.add(("window",), f"{name} is missing; a {kind} window needs {' and '.join(needed)}")
            lengths[name] = None
        elif name in found:
            lengths[name] = _length(found[name], ("window", name), problems, may_be_zero=name in _LATENESS)
    size, every = lengths.get("size"), lengths.get("every")
    if size is not None and every is not None and size % every:
        told = f"size is {found['size']}, every {found['every']}: size must be a whole multiple of every"
        problems.add(("window", "every"), told)
        return None
    if any(value is None for value in lengths.values()):
        return None
    try:
        return _KINDS[kind](**lengths)
    except ValueError as error:
        problems.add(("window",), str(error))
        return None


def _length(given: Any, path: FieldPath, problems: Problems, *, may_be_zero: bool) -> timedelta | None:
    if not isinstance(given, str):
        problems.add(path, f"found {described(given)}, wanted a duration with its unit, e.g. 10s, 5m, 1h30m")
        return None
    try:
        return duration_or_zero(given) if may_be_zero else duration(given)
    except ValueError as error:
        problems.add(path, str(error))
        return None
