"""A datastore's YAML: our folder, and Azure's types."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.datastore import Datastore
from scoring.errors import InvalidInput
from scoring.specs.datastore import parse_datastore
from scoring.specs.document import load_document
from scoring.specs.validation import without_effect


def read(text: str):
    return parse_datastore(load_document(text.encode(), file="d.yml", folder=Path("/folder")))


def test_a_folder_lies_beside_the_file() -> None:
    spec = read("$schema: x\nname: plant\ntype: local_folder\npath: data\ndescription: d\ntags: {a: b}\n")
    assert spec.datastore() == Datastore(name="plant", path="/folder/data", description="d", tags={"a": "b"})


@pytest.mark.parametrize(
    ("own", "settings"),
    [
        (
            "type: azure_blob\naccount_name: a\ncontainer_name: c\nprotocol: WASBS\nendpoint: e\n",
            {"account_name": "a", "container_name": "c", "protocol": "wasbs", "endpoint": "e"},
        ),
        (
            "type: azure_file\naccount_name: a\nfile_share_name: f\n",
            {"account_name": "a", "file_share_name": "f", "protocol": "https"},
        ),
        ("type: azure_data_lake_gen1\nstore_name: s\n", {"store_name": "s"}),
        (
            "type: azure_data_lake_gen2\naccount_name: a\nfilesystem: f\n",
            {"account_name": "a", "filesystem": "f", "protocol": "https"},
        ),
        (
            "type: one_lake\none_lake_workspace_name: w\nartifact: {type: lake_house, name: n}\n",
            {"one_lake_workspace_name": "w", "artifact": {"type": "lake_house", "name": "n"}},
        ),
    ],
)
def test_azures_types_are_taken_and_their_credentials_are_not(own: str, settings: dict[str, object]) -> None:
    spec = read(f"name: cloud\n{own}credentials:\n  account_key: SECRET\n")
    assert spec.datastore().settings == settings
    assert "SECRET" not in str(spec.model_dump()) + str(spec.datastore())
    assert without_effect(spec) == ["credentials"]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("name: plant\n", "d.yml:1: type: missing; allowed: local_folder, azure_blob"),
        ("name: plant\ntype: s3\n", "d.yml:2: type: found 's3', allowed: local_folder, azure_blob"),
        ("name: plant\ntype: [a]\n", "d.yml:2: type: found a list, allowed"),
        ("name: plant\ntype: local_folder\n", "d.yml:1: path: missing; it is required"),
        ("name: plant\ntype: local_folder\npath: https://x/y\n", "d.yml:3: path: found 'https://x/y'"),
        ("name: plant\ntype: azure_blob\naccount_name: a\n", "d.yml:1: container_name: missing"),
        ("name: plant\ntype: azure_blob\naccount_name: a\ncontainer: c\n", "d.yml:4: container: unknown key"),
        ("name: -d\ntype: local_folder\npath: p\n", "d.yml:1: name: found '-d'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, refusal: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(text)
    assert refusal in str(refused.value)
