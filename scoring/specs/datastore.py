"""A datastore's YAML: a folder of this machine, or one of Azure's types, which is kept as a description."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from scoring.datastore import LOCAL_FOLDER, Datastore
from scoring.specs.document import Document, described
from scoring.specs.fields import AssetName, FreeMap, LocalPath, Text, TextMap, lowered
from scoring.specs.validation import Spec, parse


class _Common(Spec):
    name: AssetName
    description: Text | None = None
    tags: TextMap = Field(default_factory=dict)
    properties: TextMap = Field(default_factory=dict)

    id: Any = None
    is_default: Any = None
    creation_context: Any = None


class LocalFolderSpec(_Common):
    """Ours: `path` is a folder of the service's machine."""

    type: Annotated[Literal["local_folder"], BeforeValidator(lowered)]
    path: LocalPath

    def datastore(self) -> Datastore:
        return Datastore(
            name=self.name,
            type=LOCAL_FOLDER,
            path=self.path,
            description=self.description,
            tags=self.tags,
            properties=self.properties,
        )


class _OfAzure(_Common):
    """Kept so that files written for Azure are taken; credentials are read over and never leave the file."""

    IGNORED: ClassVar[frozenset[str]] = frozenset({"credentials"})

    credentials: dict[str, Any] | None = Field(default=None, exclude=True)

    def datastore(self) -> Datastore:
        known = {*_Common.model_fields, "type", "credentials"}
        settings = {key: getattr(self, key) for key in type(self).model_fields if key not in known}
        return Datastore(
            name=self.name,
            type=str(getattr(self, "type")),  # noqa: B009  # each form has its own literal
            settings={key: value for key, value in settings.items() if value is not None},
            description=self.description,
            tags=self.tags,
            properties=self.properties,
        )


class AzureBlobSpec(_OfAzure):
    type: Annotated[Literal["azure_blob"], BeforeValidator(lowered)]
    account_name: Text
    container_name: Text
    endpoint: Text | None = None
    protocol: Annotated[Literal["http", "https", "wasb", "wasbs"], BeforeValidator(lowered)] = "https"


class AzureFileSpec(_OfAzure):
    type: Annotated[Literal["azure_file"], BeforeValidator(lowered)]
    account_name: Text
    file_share_name: Text
    endpoint: Text | None = None
    protocol: Annotated[Literal["http", "https"], BeforeValidator(lowered)] = "https"


class DataLakeGen1Spec(_OfAzure):
    type: Annotated[Literal["azure_data_lake_gen1"], BeforeValidator(lowered)]
    store_name: Text


class DataLakeGen2Spec(_OfAzure):
    type: Annotated[Literal["azure_data_lake_gen2"], BeforeValidator(lowered)]
    account_name: Text
    filesystem: Text
    endpoint: Text | None = None
    protocol: Annotated[Literal["http", "https", "abfs", "abfss"], BeforeValidator(lowered)] = "https"


class OneLakeSpec(_OfAzure):
    type: Annotated[Literal["one_lake"], BeforeValidator(lowered)]
    one_lake_workspace_name: Text
    artifact: FreeMap
    endpoint: Text | None = None


DatastoreSpec = LocalFolderSpec | AzureBlobSpec | AzureFileSpec | DataLakeGen1Spec | DataLakeGen2Spec | OneLakeSpec

DATASTORE_SPECS: dict[str, type[DatastoreSpec]] = {
    "local_folder": LocalFolderSpec,
    "azure_blob": AzureBlobSpec,
    "azure_file": AzureFileSpec,
    "azure_data_lake_gen1": DataLakeGen1Spec,
    "azure_data_lake_gen2": DataLakeGen2Spec,
    "one_lake": OneLakeSpec,
}


def parse_datastore(document: Document) -> DatastoreSpec:
    """By its `type`. Raises InvalidInput."""
    written = document.value.get("type")
    kind = DATASTORE_SPECS.get(written.lower()) if isinstance(written, str) else None
    if kind is None:
        found = f"found {described(written)}, allowed" if "type" in document.value else "missing; allowed"
        raise document.refusal(("type",), f"{found}: {', '.join(DATASTORE_SPECS)}")
    return parse(kind, document)
