"""Whatever is sent as a body of Azure's, or changed by --set, --add and --remove: it is read, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InvalidInput
from scoring.specs.azure_invocation import azure_invocation, is_azure_body
from scoring.specs.azure_resources import deployment_document, endpoint_document
from scoring.specs.changes import Change, changed
from scoring.specs.deployment import parse_deployment
from scoring.specs.document import Document, body_document
from scoring.specs.endpoint import EndpointSpec
from scoring.specs.invocation import InvocationSpec
from scoring.specs.validation import parse
from tests.effort import examples

WORDS = st.sampled_from(
    [
        "InputData", "inputdata", "OutputData", "dataset", "outputDataset", "outputFileName", "miniBatchSize",
        "compute",
        "retrySettings", "properties", "name", "tags", "JobInputType", "Uri", "Value", "mode", "dataInputType", "Path",
        "datasetName", "datasetVersion", "datastoreId", "maxRetries", "timeout", "instanceCount", "experimentName",
        "model", "assetId", "referenceType", "codeConfiguration", "codeId", "scoringScript", "resources",
        "outputAction",
        "authMode", "defaults", "deploymentName", "environmentId", "errorThreshold", "description", "a", "",
    ]
)  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**12), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from(
        ["UriFolder", "Literal", "MLTable", "DataUrl", "DataId", "DataVersion", "/data", "azureml:x:1", "PT30S", "P",
         "azureml://datastores/d/paths/p", "AppendRow", "AADToken", "3", "PT1H1M1S", "lake://windows", "https://h/x"]
    ),
)  # fmt: skip
BODIES = st.recursive(
    VALUES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(WORDS, BODIES, max_size=6)


def refusal_of(act: Callable[[], object]) -> InvalidInput | None:
    """What was refused; any other exception is a defect."""
    try:
        act()
    except InvalidInput as refusal:
        return refusal
    return None


def read(document: Document) -> None:
    if is_azure_body(document):
        parse(InvocationSpec, azure_invocation(document)).invocation()


@settings(max_examples=examples(400), deadline=None)
@given(properties=OBJECTS, root=st.dictionaries(st.sampled_from(["tags", "name", "id"]), BODIES, max_size=2))
def test_an_invocation_in_azures_words_is_read_or_refused(properties: dict[str, Any], root: dict[str, Any]) -> None:
    said = refusal_of(lambda: read(body_document({**root, "properties": properties})))
    assert said is None or (said.place and "\n" not in str(said))


@settings(max_examples=examples(300), deadline=None)
@given(properties=BODIES, root=OBJECTS)
def test_resources_in_azures_words_are_read_or_refused(properties: Any, root: dict[str, Any]) -> None:
    body = {**root, "properties": properties}
    for make in (
        lambda document: parse(EndpointSpec, endpoint_document(document, "pumps")),
        lambda document: parse_deployment(deployment_document(document, "pumps", "torch")),
    ):
        said = refusal_of(lambda make=make: make(body_document(body)))  # type: ignore[misc]
        assert said is None or str(said)


PATHS = st.one_of(
    st.sampled_from(
        ["tags", "tags.a", "list[0]", "list[9]", "list[0].b", "name", "defaults.deployment_name", 'tags."a.b"']
    ),
    st.text(alphabet='abc.[]0"=', max_size=8),
)  # fmt: skip


KINDS = st.sampled_from(["set", "add", "remove"])
TEXTS = st.one_of(st.text(max_size=6), BODIES.map(json.dumps))


@settings(max_examples=examples(400), deadline=None)
@given(asked=st.lists(st.tuples(KINDS, PATHS, TEXTS), max_size=4), force=st.booleans())
def test_any_change_is_made_or_refused_and_leaves_what_was_there(
    asked: list[tuple[Any, str, str]], force: bool
) -> None:
    shown = {"name": "x", "tags": {"a": "1"}, "list": [{"b": 1}], "defaults": {"deployment_name": None}}
    before = json.dumps(shown)
    changes = [
        Change(kind=kind, values=(f"{path}={value}",) if kind == "set" else (path, value) if value else (path,))
        for kind, path, value in asked
    ]
    said = refusal_of(lambda: changed(Document(value=shown), changes, force_string=force))
    assert said is None or str(said).startswith("--")
    assert json.dumps(shown) == before
