"""Streams declared in a Python file: the file runs in a child process, and gives documents back, nothing else.

So a file that hangs, exits or crashes costs an error that names it. What is stored of it is the document, as YAML:
service and supervisor never run it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from ingestion.errors import InvalidInput
from scoring.specs.document import MAX_BYTES, Document, FieldPath, load_document

SUFFIX = ".py"
LIMIT = timedelta(seconds=30)
"""For the whole child, its start included."""


def documents_in(file: str | Path, *, limit: timedelta = LIMIT) -> Sequence[tuple[Document, bytes]]:
    """The documents that the file declares, in order, each with the YAML that says the same.

    Raises InvalidInput, ours or scoring's, with the file, the line and what is wrong.
    """
    path = Path(file)
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from None
    if size > MAX_BYTES:
        raise InvalidInput(f"{file}:1: the file is larger than {MAX_BYTES} bytes, the most that is read")
    told = _ran(path, str(file), limit)
    if "wrong" in told:
        raise InvalidInput(f"{file}:{told['line']}: {told['wrong']}")
    return [_document(path, str(file), one) for one in told["streams"]]


def _ran(path: Path, named: str, limit: timedelta) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tidemill-stream-") as folder:
        answer = Path(folder, "answer")
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "infra.python_stream_file", str(path.resolve()), str(answer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = child.wait(limit.total_seconds())
        except subprocess.TimeoutExpired:
            seconds = limit.total_seconds()
            raise InvalidInput(
                f"{named}:1: the file did not end within {seconds:g} s; a declaration only assigns values, it waits "
                "for nothing"
            ) from None
        finally:
            _end(child)
        try:
            with answer.open("rb") as opened:
                content = opened.read(4 * MAX_BYTES + 1)
        except FileNotFoundError:
            how = signal.Signals(-code).name if code < 0 else f"code {code}"
            raise InvalidInput(
                f"{named}:1: the process of the file ended with {how} before it said what it declares; a declaration "
                "only assigns values"
            ) from None
    if len(content) > 4 * MAX_BYTES:
        raise InvalidInput(f"{named}:1: what the file declares is larger than {4 * MAX_BYTES} bytes")
    told: dict[str, Any] = json.loads(content)
    return told


def _end(child: subprocess.Popen[bytes]) -> None:
    """The child, and what it has started and left in its group."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _document(path: Path, named: str, told: dict[str, Any]) -> tuple[Document, bytes]:
    text = yaml.safe_dump(told["document"], sort_keys=False, allow_unicode=True, width=110)
    content = f"# declared in {path.name}\n{text}".encode()
    held = load_document(content, file=named)
    origins: dict[FieldPath, int | str] = {tuple(place): line for place, line in told["lines"]}
    return Document(value=held.value, file=named, folder=path.resolve().parent, origins=origins), content
