"""Models, data assets, environments, components and datastores as the JSON objects that `show` and `list` print."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scoring.components.registered import RegisteredComponent
from scoring.data_asset import DataAsset
from scoring.datastore import LOCAL_FOLDER, Datastore
from scoring.environment import Environment
from scoring.model import Model
from scoring.ports import Asset
from scoring.specs.shown_components import shown_component

Shown = dict[str, Any]


def shown_asset(asset: Asset) -> Shown:
    """The keys of every kind; its own ones are added."""
    return {
        "id": f"azureml:{asset.name}:{asset.version}",
        "name": asset.name,
        "version": asset.version,
        **_own(asset),
        "description": asset.description,
        "tags": dict(asset.tags),
        "properties": dict(asset.properties),
        "content_hash": asset.content_hash,
        "is_archived": asset.is_archived,
        "creation_context": _created(asset.created_at),
    }


def shown_datastore(datastore: Datastore) -> Shown:
    """Azure's types show their own keys, never a credential."""
    place = {"path": datastore.path} if datastore.type == LOCAL_FOLDER else dict(datastore.settings)
    return {
        "id": f"azureml://datastores/{datastore.name}",
        "name": datastore.name,
        "type": datastore.type,
        **place,
        "description": datastore.description,
        "tags": dict(datastore.tags),
        "properties": dict(datastore.properties),
        "is_default": datastore.is_default,
        "creation_context": _created(datastore.created_at),
    }


def _own(asset: Asset) -> Shown:
    if isinstance(asset, Model):
        return _of_model(asset)
    if isinstance(asset, DataAsset):
        return _of_data(asset)
    if isinstance(asset, RegisteredComponent):
        return {"display_name": asset.display_name, **shown_component(asset.component)}
    return _of_environment(asset)


def _of_model(model: Model) -> Shown:
    return {"type": model.type, "path": model.path, "stage": model.stage, "flavors": dict(model.flavors)}


def _of_data(data: DataAsset) -> Shown:
    return {"type": data.type.value, "path": data.path}


def _of_environment(environment: Environment) -> Shown:
    build = environment.build
    return {
        "image": environment.image,
        "conda_file": None if environment.conda_file is None else dict(environment.conda_file),
        "build": None if build is None else {"path": build.path, "dockerfile_path": build.dockerfile_path},
        "os_type": environment.os_type,
        "inference_config": None if environment.inference_config is None else dict(environment.inference_config),
    }


def _created(moment: datetime | None) -> Shown:
    return {"created_at": None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")}
