"""An exception as the user should see it: from the first line of their code on, in one line and as a traceback."""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import Any

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MESSAGE_LIMIT = 500
_TRACEBACK_LIMIT = 32_000


def described(error: BaseException, doing: str) -> dict[str, Any]:
    """`error` (one line: what was done, what came, where) and `traceback` (the user's frames) of an exception."""
    frames = _users_frames(error.__traceback__)
    text = "".join(traceback.format_exception(type(error), error, frames))
    place = _place(error, frames)
    message = _first_line(error)
    line = "{} raised {}{}{}".format(doing, type(error).__name__, ": " + message if message else "", place)
    return {"error": clean(line), "traceback": _cut(clean(text))}


def clean(text: str) -> str:
    """Text that JSON, UTF-8 and a database can carry: no lone surrogates, no NUL."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def _users_frames(frame: TracebackType | None) -> TracebackType | None:
    """Without the frames that lead from us to the script; all of them where nothing else is left."""
    first = frame
    while first is not None and _is_ours(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    return first


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen importlib") or os.path.abspath(file).startswith(_OURS + os.sep)


def _place(error: BaseException, frames: TracebackType | None) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({os.path.basename(error.filename)}, line {error.lineno})"
    if frames is None:
        return ""
    return f" ({os.path.basename(frames.tb_frame.f_code.co_filename)}, line {frames.tb_lineno})"


def _first_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg or ""
    try:
        text = str(error)
    except Exception:  # a script's exception may fail at its own text
        return "(its message cannot be shown)"
    lines = text.strip().splitlines()
    return lines[0][:_MESSAGE_LIMIT] if lines else ""


def _cut(text: str) -> str:
    """The beginning and the end of a long traceback: where it started, and what came of it."""
    if len(text) <= _TRACEBACK_LIMIT:
        return text
    half = _TRACEBACK_LIMIT // 2
    return text[:half] + "\n  ... (cut)\n" + text[-half:]
