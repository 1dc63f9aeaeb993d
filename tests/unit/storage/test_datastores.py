"""Datastores: those that are always there, those that users name, and those that need Azure."""

from __future__ import annotations

import pytest

from scoring.datastore import Datastore
from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.specs.references import DatastorePath
from storage.datastores import BUILT_IN
from tests.unit.storage.conftest import Assets


def test_the_built_in_ones_are_folders_of_the_home(assets: Assets) -> None:
    assert [datastore.name for datastore in assets.datastores.all()] == list(BUILT_IN)
    assert [d.name for d in assets.datastores.all() if d.is_default] == ["workspaceblobstore"]
    folder = assets.datastores.folder("workspaceblobstore", place="path")
    assert folder == assets.folder / "home" / "datastores" / "workspaceblobstore"
    assert folder.is_dir()
    with pytest.raises(Conflict, match="cannot be changed"):
        assets.datastores.put(Datastore(name="workspaceblobstore", path=str(assets.folder)))
    with pytest.raises(Conflict, match="cannot be deleted"):
        assets.datastores.delete("workspaceblobstore")


def test_a_folder_gets_a_name_and_loses_it_again(assets: Assets) -> None:
    (assets.folder / "plant").mkdir()
    made = assets.datastores.put(Datastore(name="plant", path=str(assets.folder / "plant")))
    assert made.created_at is not None
    kept = assets.write("plant/a")
    assert assets.datastores.local_path(DatastorePath(datastore="plant", path="a"), place="path") == kept
    assets.datastores.delete("plant")
    assert kept.exists()
    with pytest.raises(NotFound, match="there are: workspaceblobstore"):
        assets.datastores.get("plant")


def test_a_folder_must_be_there(assets: Assets) -> None:
    with pytest.raises(InvalidInput, match="path: there is no folder"):
        assets.datastores.put(Datastore(name="plant", path=str(assets.folder / "absent")))
    assert len(assets.datastores.all()) == len(BUILT_IN)


def test_what_needs_azure_is_kept_and_not_used(assets: Assets) -> None:
    assets.datastores.put(Datastore(name="cloud", type="azure_blob", settings={"account_name": "a"}))
    assert assets.datastores.get("cloud").settings == {"account_name": "a"}
    with pytest.raises(InvalidInput, match="input: datastore cloud is of type azure_blob, which needs Azure"):
        assets.datastores.local_path(DatastorePath(datastore="cloud", path="a"), place="input")


def test_a_link_does_not_lead_out(assets: Assets) -> None:
    folder = assets.datastores.folder("workspaceblobstore", place="path")
    assets.write("secret")
    (folder / "out").symlink_to(assets.folder)
    (folder / "in").symlink_to(folder)
    with pytest.raises(InvalidInput, match="leads out of its datastore"):
        assets.datastores.local_path(DatastorePath(datastore="workspaceblobstore", path="out/secret"), place="path")
    assert assets.datastores.local_path(DatastorePath(datastore="workspaceblobstore", path="in/x"), place="path")
