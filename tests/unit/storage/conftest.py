"""Stores in memory and a real registry, joined as the service joins them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.datastores import Datastores
from storage.references import References
from storage.registration import Registration
from storage.registry import Registry
from tests.contract.memory import SettableClock
from tests.contract.memory_assets import MemoryAssetStore


@dataclass(frozen=True)
class Assets:
    """`folder` is the test's own; the home lies below it."""

    folder: Path
    store: MemoryAssetStore
    registry: Registry
    datastores: Datastores
    references: References
    registration: Registration
    clock: SettableClock

    def write(self, name: str, content: str = "x") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path


@pytest.fixture
def assets(tmp_path: Path) -> Assets:
    store, registry, clock = MemoryAssetStore(), Registry(tmp_path / "home" / "registry"), SettableClock()
    datastores = Datastores(tmp_path / "home" / "datastores", store)
    outputs = {("done", "score"): tmp_path / "home" / "jobs" / "done" / "outputs"}
    references = References(store, datastores, job_output=lambda job, output: outputs[job, output])
    registration = Registration(store, registry, datastores, references, clock)
    return Assets(tmp_path, store, registry, datastores, references, registration, clock)
