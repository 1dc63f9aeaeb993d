"""A data asset's YAML, and what a model's has in common with it: where content may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.errors import InvalidInput
from scoring.specs.data import DataSpec
from scoring.specs.document import body_document, load_document
from scoring.specs.model import InlineModel, ModelSpec
from scoring.specs.validation import parse, without_effect

LONG = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/p"


def read(kind, text: str):
    return parse(kind, load_document(text.encode(), file="f.yml", folder=Path("/folder")))


def test_every_key_of_data_is_taken() -> None:
    spec = read(
        DataSpec,
        "$schema: x\nname: images\nversion: 007\ntype: URI_FOLDER\npath: ./images\ndescription: d\ntags: {a: 1}\n"
        "properties: {b: c}\ndatastore: azureml:plant\nauto_delete_setting: {condition: created_greater_than}\n",
    )
    assert (spec.version, spec.type, spec.path, spec.datastore) == ("007", "uri_folder", "/folder/images", "plant")
    assert without_effect(spec) == ["auto_delete_setting"]


def test_every_key_of_a_model_is_taken() -> None:
    spec = read(
        ModelSpec,
        "name: net\nversion: 1\ntype: mlflow_model\npath: m\ndescription: d\ntags: {a: b}\nproperties: {c: d}\n"
        "stage: Production\nflavors: {python_function: {python_version: 3.10}}\ndatastore: azureml:d\n"
        "system_metadata: {a: b}\ndefault_deployment_template: x\nallowed_deployment_templates: [x]\n"
        "id: x\njob_name: j\nlatest_version: 2\ncreation_context: {}\n",
    )
    assert (spec.version, spec.stage, spec.properties) == ("1", "Production", {"c": "d"})
    assert without_effect(spec) == [
        "allowed_deployment_templates",
        "datastore",
        "default_deployment_template",
        "system_metadata",
    ]


@pytest.mark.parametrize("kind", [DataSpec, ModelSpec, InlineModel])
@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("a/b", "/folder/a/b"),
        ("../b", "/b"),
        ("file:a", "/folder/a"),
        ("file:///a", "/a"),
        ("azureml://datastores/d/paths/p/", "azureml://datastores/d/paths/p"),
        (LONG, "azureml://datastores/d/paths/p"),
        ("azureml://jobs/j/outputs/o/paths/p", "azureml://jobs/j/outputs/o/paths/p"),
    ],
)
def test_where_content_may_lie(kind, written: str, path: str) -> None:
    assert read(kind, f"name: n\npath: {written}\n").path == path


def test_data_may_lie_in_the_web_and_a_model_may_not() -> None:
    text = "name: n\npath: https://host/a.csv\n"
    assert read(DataSpec, text).path == "https://host/a.csv"
    with pytest.raises(
        InvalidInput, match=r"f.yml:2: path: found 'https://host/a.csv'; allowed: a path of this machine"
    ):
        read(ModelSpec, text)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("name: n\n", "f.yml:1: path: missing; it is required"),
        ("path: ''\n", "f.yml:1: path: found nothing, wanted a path"),
        ("path: azureml:other:1\n", "path: found 'azureml:other:1'; allowed"),
        ("path: lake://windows\n", "path: found 'lake://windows'; allowed"),
        ("path: wasbs://c@a/p\n", "path: found 'wasbs://c@a/p', a store of a cloud"),
        ("path: a\ntype: table\n", "f.yml:2: type: found 'table', allowed: uri_folder, uri_file, mltable"),
        ("path: a\nversions: 1\n", "f.yml:2: versions: unknown key; did you mean 'version'?"),
        ("path: a\nname: a b\n", "f.yml:2: name: found 'a b'"),
        ("path: a\ntags: [a]\n", "f.yml:2: tags: found a list, wanted keys and values"),
        ("path: a\ntags: {a: [b]}\n", "tags.a: found a list, wanted text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, refusal: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(DataSpec, text)
    assert refusal in str(refused.value)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e999"])
def test_numbers_that_json_does_not_have_are_refused(number: str) -> None:
    with pytest.raises(InvalidInput, match=r"f.yml:3: flavors: found the number"):
        read(ModelSpec, f"name: n\npath: p\nflavors:\n  a: {{b: [{number}]}}\n")


def test_a_path_in_a_request_is_absolute() -> None:
    with pytest.raises(InvalidInput, match="path: found 'a'; a path in a request must be absolute"):
        parse(DataSpec, body_document({"path": "a"}))
