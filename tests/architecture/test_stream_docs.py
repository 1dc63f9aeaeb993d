"""docs/streams.md tells every key and function of a stream's definition, and its examples are sound."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from infra.stream_definitions import read, read_all
from ingestion.aggregates.functions import FUNCTIONS
from ingestion.declaration import Stream
from ingestion.definition_document import KEYS, definition_of
from scoring.specs.document import load_document
from storage.inputs.static_tables import JOINABLE
from storage.preparation.statement import bind

YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/streams.md").read_text()


def test_every_key_and_function_is_told(page: str) -> None:
    keys = set(re.findall(r"^\| `([a-z_]+)(?:\.[a-z_]+)?` \|", page, re.MULTILINE))
    assert set(KEYS) <= keys
    told = set(re.findall(r"`([a-z0-9_]+)`", page))
    assert set(FUNCTIONS) <= told
    assert set(JOINABLE) <= told


def test_the_example_of_the_page_is_a_definition(page: str) -> None:
    blocks = YAML.findall(page)
    assert blocks
    for block in blocks:
        document = load_document(block.encode(), file="docs/streams.md")
        definition_of(document.value, document, bind=bind)


def test_the_python_of_the_page_declares_streams(page: str, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / "minutes.py"
    file.write_text(program)
    found = [one.definition for one in read_all(file, readings_topic="t")]
    assert [one.name for one in found] == ["flow_minutes", "vibration_minutes"]
    told = page.partition("| in YAML |")[2]
    assert all(field.name in told for field in fields(Stream) if field.init)


def test_the_examples_are_definitions_named_as_their_files(root: Path) -> None:
    files = sorted((root / "examples/streams").glob("*.yml"))
    found = [read(file, readings_topic="sensor-readings") for file in files]
    assert [one.name for one in found] == [file.stem for file in files]
    assert {type(one.window).__name__ for one in found} == {"TumblingWindow", "HoppingWindow", "SessionWindow"}
