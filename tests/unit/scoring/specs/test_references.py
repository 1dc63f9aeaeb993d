"""Every form in which documents name things and places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import InvalidInput
from scoring.specs.references import (
    DatastorePath,
    JobOutputPath,
    LakeTable,
    NamedKind,
    Reference,
    WebAddress,
    WrittenPath,
    bare_name,
    parse_location,
    parse_reference,
)

ARM = "/subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W"


@pytest.mark.parametrize(
    ("text", "name", "version", "kind"),
    [
        ("azureml:net:3", "net", "3", None),
        ("azureml:net@latest", "net", None, None),
        ("azureml:net", "net", None, None),
        ("net:1.0", "net", "1.0", None),
        ("AzureML-sklearn-1.0-ubuntu20.04-py38-cpu@latest", "AzureML-sklearn-1.0-ubuntu20.04-py38-cpu", None, None),
        ("azureml://registries/azureml/models/net/versions/4", "net", "4", NamedKind.MODEL),
        ("azureml://registries/azureml/models/net/labels/latest", "net", None, NamedKind.MODEL),
        ("azureml://subscriptions/s/resourcegroups/g/workspaces/w/data/d/versions/1", "d", "1", NamedKind.DATA),
        ("azureml://locations/l/workspaces/w/data/d/versions/labels/latest", "d", None, NamedKind.DATA),
        ("azureml://locations/l/workspaces/w/data/d/versions/7", "d", "7", NamedKind.DATA),
        (f"{ARM}/environments/e/versions/2", "e", "2", NamedKind.ENVIRONMENT),
        (f"azureml:{ARM}/environments/e/versions/2", "e", "2", NamedKind.ENVIRONMENT),
        (f"{ARM.lower()}/Models/net/Versions/2", "net", "2", NamedKind.MODEL),
    ],
)
def test_a_named_thing_in_every_form(text: str, name: str, version: str | None, kind: NamedKind | None) -> None:
    assert parse_reference(text) == Reference(name=name, version=version, kind=kind)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "wanted azureml:NAME:VERSION"),
        ("azureml:", "wanted azureml:NAME:VERSION"),
        ("azureml:a b:1", "wanted azureml:NAME:VERSION"),
        ("azureml:net@stable", "the only label is @latest"),
        ("azureml://registries/r/models/net/labels/prod", "the only label is @latest"),
        ("azureml://datastores/d/paths/p", "wanted azureml:NAME:VERSION"),
        ("azureml:net:1\n", "wanted azureml:NAME:VERSION"),
    ],
)
def test_what_names_nothing_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_reference(text)


def test_a_long_form_says_of_what_kind_it_is() -> None:
    with pytest.raises(InvalidInput, match="names one of data; wanted one of models"):
        parse_reference(f"{ARM}/data/d/versions/1", NamedKind.MODEL)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("azureml://datastores/d/paths/a/b", DatastorePath(datastore="d", path="a/b")),
        ("azureml://datastores/d/paths/a//b/./", DatastorePath(datastore="d", path="a/b")),
        ("azureml://datastores/d/paths/", DatastorePath(datastore="d")),
        ("azureml://datastores/d", DatastorePath(datastore="d")),
        (
            "azureml://subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W/"
            "dataStores/d/Paths/a b/ü",
            DatastorePath(datastore="d", path="a b/ü"),
        ),
        (f"{ARM}/datastores/d/paths/a", DatastorePath(datastore="d", path="a")),
        (f"azureml:{ARM}/datastores/d/paths/a", DatastorePath(datastore="d", path="a")),
        ("azureml://jobs/j/outputs/score/paths/a", JobOutputPath(job="j", output="score", path="a")),
        ("azureml://jobs/j/outputs/score", JobOutputPath(job="j", output="score")),
        ("azureml:d:1", Reference(name="d", version="1")),
        (f"{ARM}/data/d/versions/1", Reference(name="d", version="1", kind=NamedKind.DATA)),
        ("https://a.blob.core.windows.net/c/p?sv=1", WebAddress(url="https://a.blob.core.windows.net/c/p?sv=1")),
        ("lake://windows", LakeTable(table="windows")),
        ("file:///a/b", WrittenPath(path="/a/b")),
        ("file://localhost/a", WrittenPath(path="/a")),
        ("file:/a", WrittenPath(path="/a")),
        ("file:a/b", WrittenPath(path="a/b")),
        ("file://./a", WrittenPath(path="./a")),
        ("a/b", WrittenPath(path="a/b")),
        ("./name:1", WrittenPath(path="./name:1")),
        ("../x", WrittenPath(path="../x")),
        ("/subscriptions-of-mine/x", WrittenPath(path="/subscriptions-of-mine/x")),
    ],
)
def test_a_place_in_every_form(text: str, location: object) -> None:
    assert parse_location(text) == location


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "wanted a path"),
        ("azureml://datastores/d/paths/../../etc", "must not hold '..'"),
        ("azureml://jobs/j/outputs/o/paths/a/../../b", "must not hold '..'"),
        ("azureml://nonsense", "wanted azureml://datastores/NAME/paths/PATH"),
        ("wasbs://c@a.blob.core.windows.net/p", "a store of a cloud"),
        ("abfss://f@a.dfs.core.windows.net/p", "a store of a cloud"),
        ("ftp://x/y", "wanted a path, a URL"),
        ("file://elsewhere/a", "on another machine"),
        ("azureml:d@prod", "the only label is @latest"),
    ],
)
def test_a_place_that_cannot_be_reached_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_location(text)


@pytest.mark.parametrize("text", ["cpu", "azureml:cpu", f"{ARM}/computes/cpu", f"azureml:{ARM}/computes/cpu"])
def test_a_compute_is_named_in_three_ways(text: str) -> None:
    assert bare_name(text) == "cpu"


@given(st.text(max_size=60) | st.from_regex(r"(azureml:|azureml://|file:|/subscriptions/)[a-z/.:@]{0,40}"))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    for parse in (parse_reference, parse_location):
        try:
            found = parse(text)
        except InvalidInput:
            continue
        if isinstance(found, (DatastorePath, JobOutputPath)):
            assert ".." not in found.path.split("/")
            assert parse_location(str(found)) == found
