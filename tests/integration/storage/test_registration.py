"""Many registrations at once, on a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from scoring.clock import SystemClock
from scoring.model import Model
from scoring.specs.document import Document
from scoring.specs.model import ModelSpec
from scoring.specs.validation import parse
from storage.datastores import Datastores
from storage.postgres.asset_store import PostgresAssetStore
from storage.references import References
from storage.registration import Registration
from storage.registry import Registry

pytestmark = pytest.mark.stack


def test_many_at_once_get_versions_of_their_own_and_the_same_content_one(engine: sa.Engine, tmp_path: Path) -> None:
    store = PostgresAssetStore(engine)
    datastores = Datastores(tmp_path / "datastores", store)
    registration = Registration(
        store, Registry(tmp_path / "registry"), datastores, References(store, datastores), SystemClock()
    )

    def register(name: str, content: int) -> Model:
        folder = tmp_path / str(content) / "m"
        return registration.model(parse(ModelSpec, Document(value={"name": name, "path": str(folder)})))

    for content in range(12):
        (tmp_path / str(content) / "m").mkdir(parents=True)
        (tmp_path / str(content) / "m" / "weights").write_text(str(content))
    with ThreadPoolExecutor(6) as threads:
        different = list(threads.map(lambda number: register("net", number), range(12)))
        same = list(threads.map(lambda _: register("one", 1), range(6)))
    assert sorted(int(model.version) for model in different) == list(range(1, 13))
    assert len({model.content_hash for model in store.versions(Model, "net")}) == 12
    assert {model.version for model in same} == {"1"}
