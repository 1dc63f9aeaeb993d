"""Bodies of invocations in Azure's words become documents of our own: every kind of data, in each generation."""

from __future__ import annotations

from typing import Any

import pytest

from scoring.specs.azure_invocation import azure_invocation, is_azure_body
from scoring.specs.document import Document
from scoring.specs.invocation import InvocationSpec
from scoring.specs.validation import parse

ARM = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/data/images/versions/3"
)


def read(properties: dict[str, Any]) -> InvocationSpec:
    return parse(InvocationSpec, azure_invocation(Document(value={"properties": properties})))


@pytest.mark.parametrize(
    ("dataset", "path"),
    [
        ({"dataInputType": "DataUrl", "Path": "/data/images"}, "/data/images"),
        ({"DataInputType": "dataurl", "url": "https://example.org/x"}, "https://example.org/x"),
        ({"Path": "/data/images"}, "/data/images"),
        ({"dataInputType": "DataVersion", "DataName": "images", "DataVersion": "3"}, "azureml:images:3"),
        ({"dataInputType": "DataVersion", "datasetName": "images", "datasetVersion": 3}, "azureml:images:3"),
        ({"dataInputType": "DataId", "dataId": ARM}, ARM),
        ({"dataInputType": "DataId", "datasetId": "azureml:images:3"}, "azureml:images:3"),
    ],
)
def test_the_older_words_for_data(dataset: dict[str, Any], path: str) -> None:
    assert read({"dataset": dataset}).the_input.path == path


@pytest.mark.parametrize(
    ("kind", "type_"), [("UriFolder", "uri_folder"), ("uri_file", "uri_file"), ("URIFILE", "uri_file")]
)
def test_the_words_of_today_for_data(kind: str, type_: str) -> None:
    spec = read({"InputData": {"x": {"JobInputType": kind, "Uri": "azureml:images@latest", "mode": "ReadOnlyMount"}}})
    assert (spec.the_input.type, spec.the_input.path, spec.the_input.mode) == (
        type_,
        "azureml:images@latest",
        "ro_mount",
    )


def test_only_azures_bodies_hold_everything_in_properties() -> None:
    assert is_azure_body(Document(value={"Properties": {}, "tags": {}}))
    assert not is_azure_body(Document(value={"input": {}, "properties": {}}))
    assert not is_azure_body(Document(value={"properties": "x"}))
