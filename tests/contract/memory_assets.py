"""The AssetStore port in memory, over the models of a MemoryCatalog."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scoring.datastore import Datastore
from scoring.errors import Conflict, NotFound
from scoring.model import Model
from scoring.ports import A, Asset
from tests.contract.memory import MemoryCatalog


class MemoryAssetStore:
    """AssetStore."""

    def __init__(self, catalog: MemoryCatalog | None = None) -> None:
        self._models = (catalog or MemoryCatalog())._models
        self._others: dict[tuple[type, str], Any] = {}
        self._datastores: dict[str, Datastore] = {}
        self._lock = threading.Lock()

    def put(self, item: Asset | Datastore) -> None:
        now = datetime.now(UTC)
        if isinstance(item, Datastore):
            before = self._datastores.get(item.name)
            made = before.created_at if before else item.created_at or now
            self._datastores[item.name] = replace(item, created_at=made)
            return
        with self._lock:
            shelf, key = self._shelf(type(item)), f"{item.name}:{item.version}"
            stored = shelf.get(key)
            if stored is not None and stored.content_hash != item.content_hash:
                raise Conflict(f"{item.name} version {item.version} exists already with other content")
            shelf[key] = replace(item, created_at=stored.created_at if stored else item.created_at or now)

    def get(self, kind: type[A], name: str, version: str | None = None) -> A:
        found = [v for v in self.versions(kind, name) if version in {None, v.version}]
        if version is None:
            found = [v for v in found if not v.is_archived]
        if not found:
            names = sorted({v.name for v in self.versions(kind)} | {v.version for v in self.versions(kind, name)})
            archived = "; archived" if self.versions(kind, name) and version is None else ""
            raise NotFound(f"there is no {name} {version}{archived}; there are: {', '.join(names) or 'none'}")
        return found[0]

    def versions(self, kind: type[A], name: str | None = None) -> Sequence[A]:
        oldest = datetime.min.replace(tzinfo=UTC)
        found = [v for v in list(self._shelf(kind).values()) if name in {None, v.name}]
        newest = sorted(found, key=lambda v: (v.created_at or oldest, len(v.version), v.version), reverse=True)
        return sorted(newest, key=lambda v: v.name)

    def datastore(self, name: str) -> Datastore:
        if name not in self._datastores:
            raise NotFound(f"there is no datastore named {name}; there are: {', '.join(self._datastores) or 'none'}")
        return self._datastores[name]

    def datastores(self) -> Sequence[Datastore]:
        return [self._datastores[name] for name in sorted(self._datastores)]

    def delete(self, item: Asset | Datastore) -> None:
        if isinstance(item, Datastore):
            self._datastores.pop(item.name, None)
        else:
            self._shelf(type(item)).pop(f"{item.name}:{item.version}", None)

    def _shelf(self, kind: type) -> dict[str, Any]:
        return self._models if kind is Model else self._others.setdefault((kind, ""), {})
