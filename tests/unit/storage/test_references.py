"""From what a document names to the thing itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scoring.data_asset import DataAsset, DataType
from scoring.environment import Environment
from scoring.errors import InvalidInput, NotFound
from scoring.model import Model
from tests.contract.values import NOW
from tests.unit.storage.conftest import Assets

ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.fixture
def filled(assets: Assets) -> Assets:
    """Two versions of a model, created in the wrong order; data assets of all types; an environment."""
    for version, seconds in (("10", 0), ("2", 1)):
        assets.store.put(
            Model(
                name="net",
                version=version,
                path=f"/r/{version}",
                content_hash=version,
                created_at=NOW + timedelta(seconds=seconds),
            )
        )
    for name, kind in (("images", DataType.URI_FOLDER), ("table", DataType.MLTABLE)):
        path = f"azureml://datastores/workspaceblobstore/paths/{name}"
        assets.store.put(DataAsset(name=name, version="1", path=path, content_hash=name, type=kind))
    assets.store.put(
        DataAsset(name="web", version="1", path="https://h/x.csv", content_hash="w", type=DataType.URI_FILE)
    )
    assets.store.put(Environment(name="torch", version="3", content_hash="e"))
    return assets


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("azureml:net@latest", "2"),
        ("net", "2"),
        ("azureml:net:10", "10"),
        ("azureml://registries/r/models/net/versions/10", "10"),
        ("azureml://registries/r/models/net/labels/latest", "2"),
        (f"{ARM}/models/net/versions/10", "10"),
        (f"azureml:{ARM}/models/net/versions/10", "10"),
    ],
)
def test_a_model_in_every_form(filled: Assets, text: str, version: str) -> None:
    assert filled.references.model(text).version == version


def test_what_is_not_there_is_not_found_and_what_is_there_is_named(filled: Assets) -> None:
    for look, message in (
        (lambda: filled.references.model("azureml:nix:1"), "net"),
        (lambda: filled.references.environment("azureml:nix@latest"), "torch"),
        (lambda: filled.references.data("azureml:nix:1"), "images"),
        (
            lambda: filled.references.environment("azureml://registries/azureml/environments/x/labels/latest"),
            "registries",
        ),
        (lambda: filled.references.path("azureml://datastores/nix/paths/a"), "workspaceblobstore"),
    ):
        with pytest.raises(NotFound, match=message):
            look()


@pytest.mark.parametrize("text", ["azureml:net@prod", f"{ARM}/data/net/versions/1", "a b"])
def test_a_wrong_form_is_blamed_on_its_field(filled: Assets, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        filled.references.model(text, place="model.here")
    assert refused.value.place == "model.here"


def test_paths_of_this_machine(filled: Assets) -> None:
    blob = filled.folder / "home" / "datastores" / "workspaceblobstore"
    for text, path in (
        ("azureml://datastores/workspaceblobstore/paths/a/b", blob / "a" / "b"),
        (f"{ARM}/datastores/workspaceblobstore/paths/a", blob / "a"),
        ("azureml:images:1", blob / "images"),
        ("azureml://jobs/done/outputs/score/paths/x", filled.folder / "home/jobs/done/outputs/x"),
        (f"file://{filled.folder}/x", filled.folder / "x"),
        (str(filled.folder / "x"), filled.folder / "x"),
    ):
        assert filled.references.path(text) == path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a/b", "relative"),
        ("azureml:web:1", "wanted a path of this machine"),
        ("lake://windows", "a table of the lake"),
        ("azureml://datastores/d/paths/../..", "must not hold '..'"),
        ("s3://bucket/a", "a store of a cloud"),
    ],
)
def test_a_path_that_this_machine_does_not_have(filled: Assets, text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        filled.references.path(text, place="here")
    assert refused.value.place == "here"


def test_an_input_brings_its_type_and_its_version_is_fixed(filled: Assets) -> None:
    found = filled.references.input("azureml:images@latest")
    assert (found.type, found.path.rpartition("/")[2]) == (DataType.URI_FOLDER, "images")
    assert found.asset is not None
    assert found.asset.version == "1"
    assert filled.references.input("azureml:web:1").path == "https://h/x.csv"
    assert filled.references.input("https://h/y").type is None
    with pytest.raises(InvalidInput, match="of type mltable"):
        filled.references.input("azureml:table:1")


def test_an_output_is_a_folder_of_ours(filled: Assets) -> None:
    assert filled.references.output("azureml://datastores/workspaceblobstore/paths/out").name == "out"
    assert str(filled.references.output("/data/out")) == "/data/out"
    for text in ("azureml:images:1", "https://h/x", "azureml://jobs/done/outputs/score/paths/x"):
        with pytest.raises(InvalidInput, match=r"output.path: found"):
            filled.references.output(text)
