"""Versions: what gets a new one, what keeps its own, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from scoring.data_asset import DataAsset, DataType
from scoring.datastore import Datastore
from scoring.environment import ANONYMOUS_ENVIRONMENT
from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.model import Model
from scoring.specs.data import DataSpec
from scoring.specs.document import Document
from scoring.specs.environment import EnvironmentSpec, InlineEnvironment
from scoring.specs.model import InlineModel, ModelSpec
from scoring.specs.validation import parse
from tests.unit.storage.conftest import Assets

CONDA = {"channels": ["conda-forge"], "dependencies": ["python=3.12", {"pip": ["torch"]}]}


def a_model(assets: Assets, content: str, **keys: object) -> Model:
    assets.write("m/MLmodel")
    document = {"name": "net", "path": str(assets.write("m/weights", content).parent), **keys}
    assets.clock.advance(timedelta(seconds=1))
    return assets.registration.model(parse(ModelSpec, Document(value=document)))


def a_data(assets: Assets, path: object, **keys: object) -> DataAsset:
    return assets.registration.data(parse(DataSpec, Document(value={"name": "d", "path": str(path), **keys})))


def test_new_content_is_the_next_version_and_the_latest_is_what_came_last(assets: Assets) -> None:
    versions = [a_model(assets, content).version for content in ("a", "a", "b", "b", "a")]
    assert versions == ["1", "1", "2", "2", "3"]
    assert assets.store.get(Model, "net").version == "3"
    assert len({model.path for model in assets.store.versions(Model, "net")}) == 2


def test_a_version_that_was_named_never_changes(assets: Assets) -> None:
    a_model(assets, "a", version="5", description="first", tags={"a": "b"})
    again = a_model(assets, "a", version=5, description="second")
    assert (again.version, again.description, again.tags) == ("5", "second", {"a": "b"})
    with pytest.raises(Conflict, match="version 5 of net exists already with other content"):
        a_model(assets, "b", version="5")
    with pytest.raises(Conflict):
        a_model(assets, "a", version="5", type="mlflow_model")
    assert assets.store.versions(Model) == [again]
    assert a_model(assets, "b").version == "6"


def test_the_same_files_as_another_type_are_another_version(assets: Assets) -> None:
    assert [a_model(assets, "a", type=kind).version for kind in ("custom_model", "mlflow_model")] == ["1", "2"]


@pytest.mark.parametrize("path", ["m", "m/weights"])
def test_an_mlflow_model_holds_its_description(assets: Assets, path: str) -> None:
    assets.write("m/weights")
    for kind in (ModelSpec, InlineModel):
        document = Document(value={"name": "net", "path": str(assets.folder / path), "type": "mlflow_model"})
        with pytest.raises(InvalidInput, match=f"path: .*{path} holds no file MLmodel"):
            assets.registration.model(parse(kind, document))
    assets.write("m/artifacts/MLmodel")
    made = {"name": "net", "path": str(assets.folder / "m"), "type": "mlflow_model"}
    assert assets.registration.model(parse(ModelSpec, Document(value=made))).version == "1"


def test_versions_that_are_no_numbers_are_left_out_of_the_count(assets: Assets) -> None:
    for version in ("9", "2026-11", "v77"):
        a_model(assets, version, version=version)
    assert a_model(assets, "new").version == "10"


def test_an_archived_version_is_not_given_out_again(assets: Assets) -> None:
    a_model(assets, "a")
    assets.registration.archive(Model, "net", "1", archived=True)
    assert a_model(assets, "a").version == "2"
    assets.registration.archive(Model, "net", None, archived=True)
    assert all(model.is_archived for model in assets.store.versions(Model))
    assets.registration.archive(Model, "net", "1", archived=False)
    assert assets.store.get(Model, "net").version == "1"
    with pytest.raises(NotFound):
        assets.registration.archive(Model, "absent", None, archived=True)


def test_models_without_a_name_are_shared_by_content(assets: Assets) -> None:
    one, other = (assets.write(f"{name}/model/weights", "same").parent for name in ("one", "other"))
    made = [assets.registration.model(parse(InlineModel, Document(value={"path": str(p)}))) for p in (one, other)]
    assert made[0] == made[1]
    assert made[0].is_anonymous
    assert made[0].name == f"anonymous-{made[0].content_hash[:12]}"


def test_a_model_can_be_made_of_what_a_store_or_a_job_holds(assets: Assets) -> None:
    assets.write("home/datastores/workspaceblobstore/kept/weights")
    assets.write("home/jobs/done/outputs/kept/weights")
    for path in ("azureml://datastores/workspaceblobstore/paths/kept", "azureml://jobs/done/outputs/score/paths/kept"):
        made = assets.registration.model(parse(ModelSpec, Document(value={"name": "net", "path": path})))
        assert made.version == "1"
        assert (Path(made.path) / "kept" / "weights").read_text() == "x"


def test_what_show_prints_can_be_created_again(assets: Assets) -> None:
    made = a_model(assets, "a")
    again = assets.registration.model(parse(ModelSpec, Document(value={"name": "net", "path": made.path})))
    assert again == made


def test_local_data_is_copied_and_other_data_is_pointed_at(assets: Assets) -> None:
    source = assets.write("images/a.png").parent
    copied = a_data(assets, source)
    assert copied.path == (f"azureml://datastores/workspaceblobstore/paths/LocalUpload/{copied.content_hash}/images")
    (source / "a.png").write_text("changed")
    assert (assets.references.path(copied.path) / "a.png").read_text() == "x"
    assert a_data(assets, source).version == "2"
    assets.write("home/datastores/workspaceblobstore/there/b")
    pointed = a_data(assets, "azureml://datastores/workspaceblobstore/paths/there/")
    assert (pointed.path, pointed.version) == ("azureml://datastores/workspaceblobstore/paths/there", "3")
    assert a_data(assets, "https://host/x.csv", type="uri_file").path == "https://host/x.csv"


def test_data_goes_into_the_datastore_that_was_named(assets: Assets) -> None:
    (assets.folder / "elsewhere").mkdir()
    assets.datastores.put(Datastore(name="plant", path=str(assets.folder / "elsewhere")))
    made = a_data(assets, assets.write("x.csv"), type="uri_file", datastore="azureml:plant")
    assert made.path.startswith("azureml://datastores/plant/paths/LocalUpload/")
    assert (assets.folder / "elsewhere" / "LocalUpload" / made.content_hash / "x.csv").is_file()
    with pytest.raises(NotFound, match="there is no datastore named absent"):
        a_data(assets, assets.write("x.csv"), type="uri_file", datastore="absent")


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("absent", "uri_folder", "path: there is no file or folder"),
        ("file.csv", "uri_folder", "is a file; its type is uri_file"),
        ("folder", "uri_file", "is a folder; its type is uri_folder"),
        ("folder", "mltable", "holds no file MLTable"),
        ("file.csv", "mltable", "is a file; its type is uri_file"),
    ],
)
def test_data_must_be_what_its_type_says(assets: Assets, path: str, kind: str, reason: str) -> None:
    assets.write("file.csv")
    assets.write("folder/a.csv")
    with pytest.raises(InvalidInput, match=reason):
        a_data(assets, assets.folder / path, type=kind)
    assert assets.store.versions(DataAsset) == []


def test_a_table_of_files_is_taken_with_its_description(assets: Assets) -> None:
    assert a_data(assets, assets.write("t/MLTable").parent, type="mltable").type is DataType.MLTABLE


def test_environments_are_the_same_where_they_install_the_same(assets: Assets) -> None:
    def register(**keys: object):
        kind = EnvironmentSpec if "name" in keys else InlineEnvironment
        return assets.registration.environment(parse(kind, Document(value=keys)))

    first = register(name="torch", image="python:3.12", conda_file=CONDA, description="d")
    assert register(name="torch", image="python:3.12", conda_file=CONDA).version == first.version == "1"
    for version, keys in (
        ("2", {"image": "python:3.13", "conda_file": CONDA}),
        ("3", {"image": "python:3.13", "conda_file": {"dependencies": ["python=3.11"]}}),
        ("4", {"image": "python:3.13"}),
        ("5", {"image": "python:3.13", "os_type": "windows"}),
    ):
        assert register(name="torch", **keys).version == version
    context = assets.write("docker/Dockerfile", "FROM python:3.12").parent
    built = register(name="built", build={"path": str(context)})
    assert built.build is not None
    assert (Path(built.build.path) / "Dockerfile").read_text() == "FROM python:3.12"
    one, other = (register(image="python:3.12", conda_file=CONDA, description=d) for d in ("this", "that"))
    assert (one.name, one.version) == (ANONYMOUS_ENVIRONMENT, first.content_hash[:32])
    assert other.version == one.version
    with pytest.raises(InvalidInput, match=r"build.dockerfile_path: there is no file Other"):
        register(name="built", build={"path": str(context), "dockerfile_path": "Other"})
