"""The nearest Python."""

from __future__ import annotations

import pytest

from scoring.environments.interpreters import Interpreter, asked_minor, check, nearest
from scoring.errors import InvalidInput


def python(text: str) -> Interpreter:
    major, minor, patch = (int(part) for part in text.split("."))
    return Interpreter(version=(major, minor, patch), path=f"/python{text}")


OWN = python("3.11.7")
HERE = [python(text) for text in ("3.6.15", "3.8.18", "3.9.18", "3.9.2", "3.13.0")]


@pytest.mark.parametrize(
    ("wanted", "taken", "words"),
    [
        (None, "3.11.7", None),
        ("3.11", "3.11.7", None),
        ("3.11.7", "3.11.7", None),
        ("3.11.2", "3.11.7", "the same minor version"),
        (">=3.8", "3.11.7", None),
        ("3.8.5", "3.8.18", "the same minor version"),
        ("3.9.3", "3.9.2", "the same minor version"),
        ("3.9", "3.9.18", None),
        ("~=3.9.1", "3.9.18", None),
        (">=3.9,<3.10", "3.9.18", None),
        ("3.7", "3.8.18", "the nearest"),
        ("3.6", "3.8.18", "the nearest"),
        ("2.7", "3.8.18", "the nearest"),
        ("3.10", "3.11.7", "the nearest"),
        ("3.12", "3.13.0", "the nearest"),
        ("<3.7", "3.11.7", "the nearest"),
        ("3", "3.11.7", None),
    ],
)
def test_the_nearest_is_taken(wanted: str | None, taken: str, words: str | None) -> None:
    choice = nearest(wanted, HERE, OWN)
    assert choice.interpreter.text == taken
    assert (choice.moved is None) if words is None else (choice.moved is not None and words in choice.moved)


def test_without_others_it_is_the_own_one() -> None:
    assert nearest("3.8", [], OWN).interpreter is OWN


@pytest.mark.parametrize("wanted", ["three", "3.x.y", ">=", "py38"])
def test_no_version(wanted: str) -> None:
    with pytest.raises(InvalidInput, match=r"wanted a version such as 3\.11"):
        check(wanted, "python")


def test_the_minor_that_is_asked_for() -> None:
    assert asked_minor("3.8.5") == (3, 8)
    assert asked_minor(">=3.8") is None
    assert asked_minor(None) is None
