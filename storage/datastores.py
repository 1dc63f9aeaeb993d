"""Datastores: those that every installation has, those that users named, and where their paths lie on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scoring.datastore import DEFAULT_DATASTORE, LOCAL_FOLDER, Datastore
from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.ports import AssetStore
from scoring.specs.references import DatastorePath

BUILT_IN = (DEFAULT_DATASTORE, "workspaceartifactstore", "workspacefilestore", "workspaceworkingdirectory")
"""What an Azure workspace is born with; here each is a folder below the home."""


class Datastores:
    """`root` is the folder of the built-in ones. Only datastores of type local_folder can be read."""

    def __init__(self, root: Path, store: AssetStore) -> None:
        self._root = root
        self._store = store

    def get(self, name: str) -> Datastore:
        """Raises NotFound naming what exists."""
        if name in BUILT_IN:
            return self._built_in(name)
        try:
            return self._store.datastore(name)
        except NotFound:
            known = ", ".join(datastore.name for datastore in self.all())
            raise NotFound(f"there is no datastore named {name}; there are: {known}") from None

    def all(self) -> Sequence[Datastore]:
        """The built-in ones first."""
        return [*map(self._built_in, BUILT_IN), *self._store.datastores()]

    def put(self, datastore: Datastore) -> Datastore:
        """Name a datastore, or change one. Raises InvalidInput for a folder that is not there, Conflict for a built-in
        one."""
        self._refuse_built_in(datastore.name, "changed")
        if datastore.type == LOCAL_FOLDER and not Path(datastore.path or "").is_dir():
            raise InvalidInput(f"there is no folder {datastore.path} on the service's machine", place="path")
        self._store.put(datastore)
        return self._store.datastore(datastore.name)

    def delete(self, name: str) -> None:
        """The name only; its files stay. Deleting what is not there is done."""
        self._refuse_built_in(name, "deleted")
        self._store.delete(Datastore(name=name))

    def folder(self, name: str, *, place: str) -> Path:
        """The folder of a datastore. Raises InvalidInput, naming `place`, for one that needs Azure."""
        datastore = self.get(name)
        if datastore.type != LOCAL_FOLDER or datastore.path is None:
            raise InvalidInput(
                f"datastore {name} is of type {datastore.type}, which needs Azure; only datastores of type "
                f"{LOCAL_FOLDER} can be read and written here: copy its files into a folder and name that",
                place=place,
            )
        folder = Path(datastore.path)
        if datastore.name in BUILT_IN:
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def local_path(self, location: DatastorePath, *, place: str) -> Path:
        """Where it lies, whether or not something is there. Raises NotFound, and InvalidInput as `folder` does.

        A link that leads out of the datastore is refused: whoever may name a datastore's path may not read the machine.
        """
        folder = self.folder(location.datastore, place=place)
        path = folder / location.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InvalidInput(f"{location} leads out of its datastore, by a link", place=place)
        return path

    def _built_in(self, name: str) -> Datastore:
        return Datastore(
            name=name,
            path=str(self._root / name),
            description="a folder below the home",
            is_default=name == DEFAULT_DATASTORE,
        )

    def _refuse_built_in(self, name: str, what: str) -> None:
        if name in BUILT_IN:
            raise Conflict(f"datastore {name} belongs to the installation and cannot be {what}; choose another name")
