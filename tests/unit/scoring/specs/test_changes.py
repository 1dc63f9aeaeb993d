from __future__ import annotations

from typing import Any

import pytest

from scoring.errors import InvalidInput
from scoring.specs.changes import Change, changed
from scoring.specs.document import Document

SHOWN: dict[str, Any] = {
    "name": "x",
    "description": None,
    "tags": {"a": "1", "b.c": "2"},
    "defaults": {"deployment_name": "old"},
    "identities": [{"id": "one"}, {"id": "two"}],
}


def after(kind: Any, *values: str, force_string: bool = False) -> dict[str, Any]:
    return dict(changed(Document(value=SHOWN), [Change(kind=kind, values=values)], force_string=force_string).value)


@pytest.mark.parametrize(
    ("kind", "values", "path", "expected"),
    [
        ("set", ["defaults.deployment_name=new"], "defaults", {"deployment_name": "new"}),
        ("set", ["description=a = b"], "description", "a = b"),
        ("set", ["description.en=text"], "description", {"en": "text"}),
        ("set", ['tags={"z": 1}'], "tags", {"z": 1}),
        ("set", ['tags."b.c"=3'], "tags", {"a": "1", "b.c": 3}),
        ("set", ["tags.a=[1"], "tags", {"a": "[1", "b.c": "2"}),
        ("set", ["tags.a=NaN"], "tags", {"a": "NaN", "b.c": "2"}),
        ("set", ["description=null"], "description", None),
        ("set", ["identities[1].id=three"], "identities", [{"id": "one"}, {"id": "three"}]),
        ("add", ["tags", "d=4"], "tags", {"a": "1", "b.c": "2", "d": 4}),
        ("add", ["identities", "id=three"], "identities", [{"id": "one"}, {"id": "two"}, {"id": "three"}]),
        ("add", ["new.list", "1", "text"], "new", {"list": [1, "text"]}),
        ("remove", ["tags.a"], "tags", {"b.c": "2"}),
        ("remove", ["identities", "0"], "identities", [{"id": "two"}]),
        ("remove", ["identities[1].id"], "identities", [{"id": "one"}, {}]),
    ],
)
def test_changes(kind: str, values: list[str], path: str, expected: Any) -> None:
    assert after(kind, *values)[path] == expected
    assert SHOWN["tags"] == {"a": "1", "b.c": "2"}


def test_force_string_keeps_text() -> None:
    assert after("set", "tags.a=1", force_string=True)["tags"]["a"] == "1"
    assert after("add", "tags", "d=true", force_string=True)["tags"]["d"] == "true"


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("set", ["tags"], "--set: found 'tags', wanted PATH=VALUE"),
        ("set", ["=1"], "--set: found the path ''"),
        ("set", ["a..b=1"], "--set: found the path 'a..b'"),
        ("set", ["name.x=1"], "name.x: its parent is 'x', not a mapping"),
        ("set", ["identities[2].id=1"], "identities has 2 elements, and none with number 2"),
        ("set", ["tags[0]=1"], "tags is a mapping, not a list"),
        ("set", [".".join("a" * 40) + "=1"], "deeper than 32"),
        ("set", ["name=\0"], "U\\+0000 is not allowed"),
        ("add", ["tags"], "--add: wanted a path and what to add"),
        ("add", ["tags", "x"], "tags is a mapping; wanted NAME=VALUE, found 'x'"),
        ("add", ["name", "x=1"], "name is 'x'; only lists and mappings"),
        ("remove", ["tags.z"], "there is no tags.z; there are: a, b.c"),
        ("remove", ["identities", "x"], "found 'x', wanted the number"),
        ("remove", ["identities", "7"], "none with number 7"),
        ("remove", ["a", "b", "c"], "--remove: wanted a path"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(kind: str, values: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("[", "\\[")):
        after(kind, *values)


def test_what_validation_refuses_later_names_the_option() -> None:
    document = changed(Document(value=SHOWN), [Change(kind="set", values=("tags.a=1", "name=1"))])
    assert document.place(("name",)) == "--set tags.a=1 name=1"
    assert document.place(("description",)) is None
