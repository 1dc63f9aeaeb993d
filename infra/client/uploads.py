"""Local files for a service that may be on another machine.

A path that the service sees as this process does is given as it is; anything else is sent, once for each content, and
the document names what the service made of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.client.connection import Connection, Document
from scoring.components.declared import ValueType
from scoring.errors import NotFound
from storage.archive import packed
from storage.content import code_content, hash_of, named_content

MODELS, CODE, BUILDS, DATA = "models", "code", "builds", "data"

_OF_WORK = (("code", CODE), ("environment.build.path", BUILDS), ("model.path", MODELS))
_LITERALS = {kind.value for kind in ValueType if kind.is_literal}


class Uploads:
    """What a document names on this machine becomes what the service can read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def field(self, document: Mapping[str, Any], path: str, kind: str) -> Document:
        """The document with the local path at `path` (`model.path`) handed over; unchanged where there is none."""
        name, _, rest = path.partition(".")
        inner = document.get(name)
        if rest:
            return {**document, name: self.field(inner, rest, kind)} if isinstance(inner, Mapping) else dict(document)
        if not isinstance(inner, str):
            return dict(document)
        return {**document, name: self.hand_over(inner, kind, place=path)}

    def of_deployment(self, document: Mapping[str, Any]) -> Document:
        """A deployment's document with the files that it names."""
        if document.get("type") == "pipeline":
            return self.of_job(document)
        given = self.field(document, "model.path", MODELS)
        given = self.field(given, "code_configuration.code", CODE)
        return self.field(given, "environment.build.path", BUILDS)

    def of_invocation(self, document: Mapping[str, Any]) -> Document:
        """An invocation's document with the files that it names."""
        given = self.field(document, "input.path", DATA)
        several = given.get("inputs")
        if not isinstance(several, Mapping):
            return given
        for name in several:
            several = self.field(several, f"{name}.path", DATA) if "." not in str(name) else several
        return {**given, "inputs": several}

    def of_job(self, document: Mapping[str, Any]) -> Document:
        """A job's document, or a component's, with the files that it and its steps name."""
        given = dict(document)
        for path, kind in _OF_WORK:
            given = self.field(given, path, kind)
        for name in ("component", "task", "job_definition"):
            if isinstance(given.get(name), Mapping):
                given[name] = self.of_job(given[name])
        steps = given.get("jobs")
        if isinstance(steps, Mapping):
            given["jobs"] = {
                name: self.of_job(step) if isinstance(step, Mapping) else step for name, step in steps.items()
            }
        beside = given.get("additional_includes")
        if isinstance(beside, (list, tuple)):
            # sent as data is, under its own name
            given["additional_includes"] = [
                self.hand_over(each, DATA, place="additional_includes") if isinstance(each, str) else each
                for each in beside
            ]
        inputs = given.get("inputs")
        if isinstance(inputs, Mapping):
            given["inputs"] = {name: self._of_input(value) for name, value in inputs.items()}
        return given

    def _of_input(self, given: Any) -> Any:
        """Data that is given, or declared as a default; not a literal that looks like a path."""
        if not isinstance(given, Mapping):
            return given
        given = self.field(given, "path", DATA)
        return given if given.get("type") in _LITERALS else self.field(given, "default", DATA)

    def hand_over(self, written: str, kind: str, *, place: str) -> str:
        """The path that the service knows it by. One that does not exist here is left for the service to judge."""
        path = Path(os.path.abspath(os.path.expanduser(written)))
        if not written or not path.exists():
            return written
        return str(path) if self._is_seen(path) else self._sent(path, kind, place)

    def _is_seen(self, path: Path) -> bool:
        state = path.stat()
        body = {
            "path": str(path),
            "inode": state.st_ino,
            "size": state.st_size,
            "mtime_ns": state.st_mtime_ns,
        }
        return bool(self._connection.one("POST", "/uploads/seen", body=body)["seen"])

    def _sent(self, path: Path, kind: str, place: str) -> str:
        found = named_content(path, place) if kind in {MODELS, DATA} else code_content(path, place)
        address = f"/uploads/{kind}/{hash_of(found, place)}"
        try:
            kept = self._connection.one("GET", address)
        except NotFound:
            kept = self._connection.send(address, lambda: packed(found, place))
        return str(kept["path"])
