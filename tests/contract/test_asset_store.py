"""What every AssetStore must do: versions that never change, the latest, the archive, datastores."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from scoring.components.binding import DataReference, LiteralValue, OutputTarget, ParentInput, StepOutput
from scoring.components.component import CommandComponent, ParallelComponent, ParallelTask, PipelineComponent, Step
from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.components.registered import RegisteredComponent
from scoring.data_asset import DataAsset, DataType
from scoring.datastore import Datastore
from scoring.environment import BuildContext, Environment
from scoring.errors import Conflict, NotFound
from scoring.mini_batch_size import MiniBatchSize
from scoring.model import Model
from scoring.ports import Asset, AssetStore
from storage.postgres.asset_store import PostgresAssetStore
from storage.postgres.tables import models
from tests.contract.memory_assets import MemoryAssetStore
from tests.contract.values import NOW

MODEL = Model(
    name="net", version="1", path="/r/1", content_hash="m1", type="mlflow_model", description="d", tags={"a": "b"},
    properties={"p": "q"}, stage="Production", flavors={"python_function": {"loader_module": "x"}}, created_at=NOW,
)  # fmt: skip
DATA = DataAsset(
    name="images", version="1", path="azureml://datastores/d/paths/p", content_hash="d1", type=DataType.URI_FILE,
    description="d", tags={"a": "b"}, properties={"p": "q"}, created_at=NOW,
)  # fmt: skip
ENVIRONMENT = Environment(
    name="torch", version="1", content_hash="e1", image="python:3", build=BuildContext(path="/r/b"),
    conda_file={"dependencies": ["python=3.8.5", {"pip": ["torch"]}]}, description="d", created_at=NOW,
)  # fmt: skip
PREPARE = CommandComponent(
    name="prepare", version="1", command="prep.py ${{inputs.data}}", code="/r/code", environment="azureml:torch:1",
    inputs={"data": InputDeclaration(type=ValueType.PATH), "rate": InputDeclaration(type=ValueType.NUMBER, max=2.0)},
    outputs={"made": OutputDeclaration()},
)  # fmt: skip
SCORE = ParallelComponent(
    name="score", version="2", input_data="images", mini_batch_size=MiniBatchSize(number=10),
    task=ParallelTask(code="/r/code", entry_script="score.py", append_row_to="rows"), partition_keys=("a", "b"),
    inputs={"images": InputDeclaration(type=ValueType.URI_FOLDER)}, outputs={"rows": OutputDeclaration()},
)  # fmt: skip
COMPONENT = RegisteredComponent(
    name="whole", version="1", content_hash="c1", display_name="Whole", created_at=NOW,
    definition=PipelineComponent(
        name="whole", version="1", inputs={"data": InputDeclaration(type=ValueType.URI_FOLDER, default="azureml:d:1")},
        jobs=(
            Step(name="z", component=PREPARE, inputs={"data": ParentInput(name="data"), "rate": LiteralValue(value=1)}),
            Step(
                name="a", component=SCORE, inputs={"images": StepOutput(step="z", output="made")}, timeout=9,
                outputs={"rows": OutputTarget(path="azureml://datastores/d/paths/${{name}}", type=ValueType.URI_FILE)},
            ),
            Step(
                name="in", compute="c",
                component=PipelineComponent(
                    name="in", version="1",
                    jobs=(Step(name="x", component=PREPARE, inputs={"data": DataReference(path="/d")}),),
                ),
            ),
        ),
    ),
)  # fmt: skip
ASSETS = [MODEL, DATA, ENVIRONMENT, COMPONENT]
DATASTORE = Datastore(
    name="plant",
    path="/data/plant",
    settings={"account": {"a": 1}},
    description="d",
    tags={"a": "b"},
    created_at=NOW,
)


class AssetStoreContract:
    @pytest.fixture
    def store(self) -> AssetStore:
        raise NotImplementedError

    @pytest.mark.parametrize("asset", ASSETS, ids=lambda a: type(a).__name__)
    def test_what_is_put_comes_back_whole(self, store: AssetStore, asset: Asset) -> None:
        store.put(asset)
        assert store.get(type(asset), asset.name, "1") == asset
        assert store.versions(type(asset)) == [asset]

    @pytest.mark.parametrize("asset", ASSETS, ids=lambda a: type(a).__name__)
    def test_what_is_said_may_change_what_is_in_it_may_not(self, store: AssetStore, asset: Asset) -> None:
        store.put(asset)
        better = replace(asset, description="said better", created_at=NOW + timedelta(days=1))
        store.put(better)
        assert store.get(type(asset), asset.name) == replace(better, created_at=NOW)
        with pytest.raises(Conflict, match=f"{asset.name} version 1"):
            store.put(replace(asset, content_hash="other"))
        assert store.get(type(asset), asset.name) == replace(better, created_at=NOW)

    @pytest.mark.parametrize("asset", ASSETS, ids=lambda a: type(a).__name__)
    def test_the_latest_is_the_newest_that_is_not_archived(self, store: AssetStore, asset: Asset) -> None:
        later = [replace(asset, version=v, created_at=NOW + timedelta(seconds=s)) for v, s in (("9", 2), ("2", 3))]
        for version in (asset, *later):
            store.put(version)
        assert [v.version for v in store.versions(type(asset), asset.name)] == ["2", "9", "1"]
        assert store.get(type(asset), asset.name).version == "2"
        store.put(replace(later[1], is_archived=True))
        assert store.get(type(asset), asset.name).version == "9"
        assert store.get(type(asset), asset.name, "2").is_archived
        for version in (asset, later[0]):
            store.put(replace(version, is_archived=True))
        with pytest.raises(NotFound, match="archived"):
            store.get(type(asset), asset.name)

    def test_of_versions_made_at_one_moment_ten_is_newer_than_nine(self, store: AssetStore) -> None:
        for version in ("10", "9"):
            store.put(replace(DATA, version=version))
        assert store.get(DataAsset, "images").version == "10"

    def test_what_is_not_there_is_not_found_and_what_is_there_is_named(self, store: AssetStore) -> None:
        with pytest.raises(NotFound, match="none"):
            store.get(Model, "net")
        for item in (*ASSETS, DATASTORE):
            store.put(item)
        for look, known in (
            (lambda: store.get(Model, "nix"), "net"),
            (lambda: store.get(DataAsset, "images", "nix"), "1"),
            (lambda: store.datastore("nix"), "plant"),
        ):
            with pytest.raises(NotFound, match="nix") as raised:
                look()
            assert known in str(raised.value)

    def test_kinds_do_not_share_names(self, store: AssetStore) -> None:
        for asset in ASSETS:
            store.put(replace(asset, name="one"))
        store.delete(replace(DATA, name="one"))
        assert store.get(Model, "one").content_hash == "m1"
        assert store.get(Environment, "one").content_hash == "e1"
        with pytest.raises(NotFound):
            store.get(DataAsset, "one")

    def test_datastores_are_put_replaced_listed_and_deleted(self, store: AssetStore) -> None:
        store.put(DATASTORE)
        store.put(replace(DATASTORE, name="another"))
        store.put(replace(DATASTORE, path="/elsewhere"))
        assert store.datastore("plant") == replace(DATASTORE, path="/elsewhere")
        assert [d.name for d in store.datastores()] == ["another", "plant"]
        for _ in range(2):
            store.delete(DATASTORE)
        assert [d.name for d in store.datastores()] == ["another"]


class TestMemoryAssetStore(AssetStoreContract):
    @pytest.fixture
    def store(self) -> AssetStore:
        return MemoryAssetStore()


@pytest.mark.stack
class TestPostgresAssetStore(AssetStoreContract):
    @pytest.fixture
    def store(self, engine: sa.Engine) -> AssetStore:
        return PostgresAssetStore(engine)

    def test_a_row_from_before_there_was_an_archive_is_read(self, store: AssetStore, engine: sa.Engine) -> None:
        old = {"name": "net", "version": "1", "path": "/r/1", "content_hash": "m1", "type": "custom_model", "tags": {}}
        with engine.begin() as connection:
            connection.execute(
                sa.insert(models).values(name="net", version="1", content_hash="m1", document=old, created_at=NOW)
            )
        model = store.get(Model, "net")
        assert (model.version, model.is_archived, model.is_anonymous, model.properties) == ("1", False, False, {})
        with pytest.raises(NotFound, match="there are: net"):
            store.get(Model, "nix")
