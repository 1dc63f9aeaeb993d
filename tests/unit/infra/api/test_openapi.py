"""The OpenAPI document says of every route what it is for, and docs/rest.md lists them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from infra.api.access import OPEN
from infra.api.azure_management import PREFIX
from infra.api.openapi import EXAMPLES, TAGS
from scoring.specs.deployment import FlatDeploymentSpec, ModelDeploymentSpec, parse_deployment
from scoring.specs.document import body_document
from scoring.specs.schedule import ScheduleSpec, parse_schedule
from scoring.specs.validation import Spec, parse
from tests.unit.infra.api.conftest import Service

PAGE = Path(__file__).resolve().parents[4] / "docs" / "rest.md"


def routes(service: Service) -> dict[tuple[str, str], dict[str, Any]]:
    paths = service.http.get("/openapi.json").json()["paths"]
    return {(method.upper(), path): route for path, methods in paths.items() for method, route in methods.items()}


def test_the_page_lists_every_route_and_no_other(service: Service) -> None:
    listed = set()
    for method, path in re.findall(r"^\| `(GET|POST|PUT|PATCH|DELETE) (\S+)` \|", PAGE.read_text(), re.MULTILINE):
        listed.add((method, path.replace("WS", PREFIX)))
    assert listed - set(routes(service)) == set(), "docs/rest.md names routes that are not there"
    assert set(routes(service)) - listed == set(), "docs/rest.md leaves routes out"


def test_every_route_is_explained(service: Service) -> None:
    for place, route in routes(service).items():
        assert route["summary"], place
        assert len(route["tags"]) == 1, place
        assert route["tags"][0] in TAGS, place
        assert ("401" in route["responses"]) == (place[1] not in OPEN), place


def test_tags_specs_and_access_are_in_the_document(service: Service) -> None:
    document = service.http.get("/openapi.json").json()
    assert [tag["name"] for tag in document["tags"]] == list(TAGS)
    assert all(tag["description"] for tag in document["tags"])
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    schemas = document["components"]["schemas"]
    for spec in EXAMPLES:
        assert schemas[spec.__name__]["title"] == spec.__name__
        assert schemas[spec.__name__]["examples"], spec


@pytest.mark.parametrize("spec", list(EXAMPLES), ids=lambda spec: spec.__name__)
def test_the_examples_are_valid(spec: type[Spec]) -> None:
    document = body_document(EXAMPLES[spec])
    if spec in {FlatDeploymentSpec, ModelDeploymentSpec}:
        parse_deployment(document)
    elif spec is ScheduleSpec:
        parse_schedule(document)
    else:
        parse(spec, document)
