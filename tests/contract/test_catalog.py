"""What every Catalog must do: named things, put and found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from scoring.compute.cluster import Compute
from scoring.endpoint import Endpoint
from scoring.errors import Conflict, NotFound
from scoring.model import Model
from scoring.ports import Catalog
from storage.postgres.catalog import PostgresCatalog
from tests.contract.memory import MemoryCatalog
from tests.contract.values import NOW, a_deployment

COMPUTE = Compute(
    name="cluster", size="STANDARD_DS3", tier="low_priority", min_instances=1, max_instances=3,
    idle_time_before_scale_down=9, description="d", tags={"a": "b"}, created_at=NOW,
)  # fmt: skip
ENDPOINT = Endpoint(
    name="pumps",
    default_deployment_name="blue",
    description="d",
    tags={"a": "b"},
    properties={"p": "q"},
    created_at=NOW,
)


def a_model(version: str = "1", **changes: Any) -> Model:
    fields: dict[str, Any] = {
        "name": "net", "version": version, "path": f"/registry/{version}", "content_hash": f"hash {version}",
        "type": "mlflow_model", "description": "d", "tags": {"a": "b"}, "created_at": NOW,
    }  # fmt: skip
    return Model(**{**fields, **changes})


class CatalogContract:
    @pytest.fixture
    def catalog(self) -> Catalog:
        raise NotImplementedError

    def test_what_is_put_comes_back_whole(self, catalog: Catalog) -> None:
        for item in (COMPUTE, ENDPOINT, a_model(), a_deployment()):
            catalog.put(item)
        assert catalog.compute("cluster") == COMPUTE
        assert catalog.endpoint("pumps") == ENDPOINT
        assert catalog.model("net", "1") == a_model()
        assert catalog.deployment("pumps", "blue") == a_deployment()

    def test_put_again_replaces(self, catalog: Catalog) -> None:
        catalog.put(ENDPOINT)
        catalog.put(a_deployment())
        for item in (replace(ENDPOINT, default_deployment_name="green"), a_deployment(mini_batch_size=1, tags={})):
            catalog.put(item)
        assert catalog.endpoint("pumps").default_deployment_name == "green"
        assert catalog.deployment("pumps", "blue") == a_deployment(mini_batch_size=1, tags={})

    def test_deployments_of_two_endpoints_may_share_a_name(self, catalog: Catalog) -> None:
        for name in ("pumps", "fans"):
            catalog.put(Endpoint(name=name))
            catalog.put(a_deployment(endpoint_name=name, description=name))
        assert catalog.deployment("fans", "blue").description == "fans"
        assert catalog.deployment("pumps", "blue").description == "pumps"

    def test_without_a_version_the_newest_model_is_found(self, catalog: Catalog) -> None:
        catalog.put(a_model("10", created_at=NOW))
        catalog.put(a_model("2", created_at=NOW + timedelta(seconds=1)))
        assert catalog.model("net").version == "2"
        assert catalog.model("net", "10").version == "10"

    def test_an_archived_model_is_not_the_newest(self, catalog: Catalog) -> None:
        catalog.put(a_model("1"))
        catalog.put(a_model("2", created_at=NOW + timedelta(seconds=1), is_archived=True))
        assert catalog.model("net").version == "1"
        assert catalog.model("net", "2").is_archived

    def test_what_is_not_there_is_not_found_and_what_is_there_is_named(self, catalog: Catalog) -> None:
        for item in (COMPUTE, ENDPOINT, a_model(), a_deployment()):
            catalog.put(item)
        for look, known in (
            (lambda: catalog.compute("nix"), "cluster"),
            (lambda: catalog.endpoint("nix"), "pumps"),
            (lambda: catalog.model("nix"), "net"),
            (lambda: catalog.model("net", "nix"), "1"),
            (lambda: catalog.deployment("pumps", "nix"), "blue"),
        ):
            with pytest.raises(NotFound, match="nix") as raised:
                look()
            assert known in str(raised.value)

    def test_an_empty_catalog_says_so(self, catalog: Catalog) -> None:
        with pytest.raises(NotFound, match="none"):
            catalog.compute("nix")

    def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, catalog: Catalog) -> None:
        for item in (COMPUTE, ENDPOINT, a_model(), a_deployment()):
            catalog.put(item)
        for item in (COMPUTE, a_model(), a_deployment(), COMPUTE):
            catalog.delete(item)
        with pytest.raises(NotFound):
            catalog.compute("cluster")
        with pytest.raises(NotFound):
            catalog.model("net", "1")
        with pytest.raises(NotFound):
            catalog.deployment("pumps", "blue")
        assert catalog.endpoint("pumps") == ENDPOINT

    def test_an_endpoint_takes_its_deployments_with_it(self, catalog: Catalog) -> None:
        for item in (ENDPOINT, a_deployment(), Endpoint(name="fans"), a_deployment(endpoint_name="fans")):
            catalog.put(item)
        catalog.delete(ENDPOINT)
        catalog.put(ENDPOINT)
        with pytest.raises(NotFound):
            catalog.deployment("pumps", "blue")
        assert catalog.deployment("fans", "blue").name == "blue"


class TestMemoryCatalog(CatalogContract):
    @pytest.fixture
    def catalog(self) -> Catalog:
        return MemoryCatalog()


@pytest.mark.stack
class TestPostgresCatalog(CatalogContract):
    @pytest.fixture
    def catalog(self, engine: sa.Engine) -> Catalog:
        return PostgresCatalog(engine)

    def test_a_model_version_with_other_content_is_a_conflict(self, catalog: Catalog) -> None:
        catalog.put(a_model())
        catalog.put(a_model(description="said better"))
        with pytest.raises(Conflict, match="net version 1"):
            catalog.put(a_model(content_hash="other"))
        assert catalog.model("net", "1") == a_model(description="said better")

    def test_a_deployment_needs_its_endpoint(self, catalog: Catalog) -> None:
        catalog.put(ENDPOINT)
        with pytest.raises(NotFound, match="fans; there are: pumps"):
            catalog.put(a_deployment(endpoint_name="fans"))
        with pytest.raises(NotFound, match="batch endpoint named fans"):
            catalog.deployment("fans", "blue")

    def test_the_time_of_creation_is_given_once(self, catalog: Catalog) -> None:
        catalog.put(replace(ENDPOINT, created_at=None))
        first = catalog.endpoint("pumps").created_at
        assert first is not None
        catalog.put(replace(ENDPOINT, created_at=NOW))
        assert catalog.endpoint("pumps").created_at == first

    def test_of_versions_made_at_one_moment_ten_is_newer_than_nine(self, catalog: Catalog) -> None:
        for version in ("10", "9"):
            catalog.put(a_model(version))
        assert catalog.model("net").version == "10"
