"""Definitions of a home: stored whole, checked against each other, found again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infra.settings import Settings
from infra.stream_definitions import StreamDefinitions, content_of
from ingestion.errors import InvalidInput
from scoring import errors as scoring_errors
from tests.streams import SMALL


@pytest.fixture
def definitions(tmp_path: Path) -> StreamDefinitions:
    return StreamDefinitions(Settings(home=tmp_path / "home", readings_topic="here"))


def a_file(folder: Path, **changes: object) -> Path:
    path = folder / "given.yml"
    path.write_text(yaml.safe_dump(SMALL | changes))
    return path


def test_a_definition_is_stored_found_and_taken_away(definitions: StreamDefinitions, tmp_path: Path) -> None:
    assert definitions.names() == []
    file = a_file(tmp_path)
    found = definitions.read(file)
    assert found.topic == "here"
    assert definitions.store(found, content_of(file))
    assert not definitions.store(found, content_of(file))
    assert definitions.names() == ["small"]
    assert definitions.get("small") == found
    assert [path.name for path in definitions.path("small").parent.iterdir()] == ["small.yml"]
    assert definitions.remove("small") == file.read_bytes()
    with pytest.raises(InvalidInput, match="there is no stream 'small'; defined are none"):
        definitions.get("small")
    with pytest.raises(InvalidInput, match="there is no stream 'small'"):
        definitions.remove("small")


def test_two_streams_with_one_table_are_refused(definitions: StreamDefinitions, tmp_path: Path) -> None:
    file = a_file(tmp_path)
    definitions.store(definitions.read(file), content_of(file))
    assert definitions.read(file).name == "small"
    other = a_file(tmp_path, name="other", sink={"table": "small"})
    with pytest.raises(InvalidInput, match=r"sink\.table: table small is that of the stream small; name another"):
        definitions.read(other)


def test_a_file_that_is_wrong_is_listed_with_its_problem(definitions: StreamDefinitions, tmp_path: Path) -> None:
    folder = definitions.path("x").parent
    folder.mkdir(parents=True)
    (folder / "wrong.yml").write_text("name: wrong\nkey: 3\n")
    (folder / "torn.yml").write_text("name: [")
    (folder / "moved.yml").write_text(yaml.safe_dump(SMALL))
    found = {stored.name: stored for stored in definitions.all()}
    assert "wrong.yml:2: key: found the number 3" in str(found["wrong"].problem)
    assert "not YAML" in str(found["torn"].problem)
    assert "found 'small' in a file named moved.yml; they must be the same" in str(found["moved"].problem)
    assert all(stored.definition is None for stored in found.values())


def test_what_cannot_be_a_definition_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        content_of(tmp_path / "none.yml")
    (tmp_path / "big.yml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(InvalidInput, match="larger than 1000000 bytes"):
        content_of(tmp_path / "big.yml")
    (tmp_path / "bomb.yml").write_text("a: &a [x]\nb: *a\n")
    with pytest.raises(scoring_errors.InvalidInput, match="anchors"):
        content_of(tmp_path / "bomb.yml")
