from __future__ import annotations

from pathlib import Path

import pytest

from scoring.errors import InvalidInput
from scoring.specs.document import (
    MAX_BYTES,
    MAX_VALUES,
    WrittenFloat,
    body_document,
    empty_document,
    load_document,
    read_document,
    shown_path,
)


def load(text: str) -> dict:
    return dict(load_document(text.encode(), file="x.yml").value)


def refused(text: str | bytes) -> str:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InvalidInput) as caught:
        load_document(content, file="x.yml")
    return str(caught.value)


def test_plain_scalars_mean_what_yaml_1_2_says() -> None:
    text = (
        "a: on\nb: no\nc: True\nd: false\ne: ~\nf:\ng: 12\nh: 0x1F\ni: 0o17\nj: 1.5\nk: 2026-01-31\nl: '12'\nm: 1_000"
    )
    expected = {
        "a": "on", "b": "no", "c": True, "d": False, "e": None, "f": None, "g": 12, "h": 31, "i": 15, "j": 1.5,
        "k": "2026-01-31", "l": "12", "m": "1_000",
    }  # fmt: skip
    assert load(text) == expected


def test_numbers_remember_how_they_were_written() -> None:
    version = load("version: 1.10")["version"]
    assert isinstance(version, WrittenFloat)
    assert version.written == "1.10"
    assert load("version: 010")["version"].written == "010"


def test_every_path_knows_its_line() -> None:
    document = load_document(b"a: 1\nb:\n  c:\n    - x\n    - y: 2\n", file="x.yml")
    assert document.place(("a",)) == "x.yml:1"
    assert document.place(("b", "c")) == "x.yml:3"
    assert document.place(("b", "c", 1, "y")) == "x.yml:5"
    # what is missing has its parent's line
    assert document.place(("b", "absent")) == "x.yml:2"
    assert document.place(("b", "c", 0, "absent", "deeper")) == "x.yml:4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.yml:1: the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("- a\n- b", "x.yml:1: the file holds a list"),
        ("just text", "the file holds 'just text'"),
        ("a: 1\na: 2", "x.yml:2: a: the key is given twice, first in line 1"),
        ("a: &x 1\nb: *x", "x.yml:1: a: anchors (&) and aliases (*) are not allowed"),
        ("a: [1, *x]", "anchors"),
        ("a: !!python/object:os.system x", "x.yml:1: a: tags are not allowed"),
        ("a: !custom x", "tags are not allowed, found !custom"),
        ("a: 1\n---\nb: 2", "a second document begins here"),
        ("a: 1\n? [x, y]\n: 2", "x.yml:2: a key must be a plain word"),
        ("a:\n\t- b", "x.yml:2: a: not YAML"),
        ("a: 1\nb: {c: 1\n", "x.yml:"),
        ("a: b: c", "x.yml:1: a: not YAML: mapping values are not allowed in this context"),
        ("a: 1\nb: \x07", "x.yml:2: not YAML: control characters are not allowed"),
        (b"a: 1\nb: \xff", "x.yml:2: the file is not UTF-8 text"),
        ('a: "x\\0y"', "the character U+0000 is not allowed"),
        ("a: " + "9" * 5000, "x.yml:1: a: the number is too long"),
        ("a:\n" + "\n".join(" " * i + "- " for i in range(1, 40)), "nested deeper than 32 levels"),
        ("a: " + "[" * 500, "nested deeper than 32 levels"),
    ],
)
def test_refusals_name_the_line(text: str | bytes, said: str) -> None:
    message = refused(text)
    assert said in message
    assert message.startswith("x.yml:")


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x, x, x]\n" + "".join(
        f"{n}: &{n} [*{m}, *{m}, *{m}]\n" for m, n in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "x.yml:1" in refused(bomb)


def test_a_file_larger_than_a_megabyte_is_not_read(tmp_path: Path) -> None:
    big = tmp_path / "big.yml"
    big.write_text("a: " + "x" * MAX_BYTES)
    with pytest.raises(InvalidInput, match="larger than 1000000 bytes"):
        read_document(big)


def test_a_missing_file_a_folder_and_a_fifo_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file"):
        read_document(tmp_path / "absent.yml")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_document(tmp_path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_document("with\0nul")


def test_set_beats_the_file_and_is_named_in_refusals() -> None:
    document = load_document(b"a: {b: 1}\n", file="x.yml").with_settings(["a.b=2", "c.d.e=x=y"])
    assert document.value == {"a": {"b": "2"}, "c": {"d": {"e": "x=y"}}}
    assert document.place(("a", "b")) == "--set a.b=2"
    assert document.place(("a",)) == "x.yml:1"
    assert document.place(("c", "d", "e", "missing")) == "--set c.d.e=x=y"


@pytest.mark.parametrize("assignment", ["a", "=x", "a..b=1", ".=1", "a.b"])
def test_a_set_that_is_no_assignment_is_refused(assignment: str) -> None:
    with pytest.raises(InvalidInput, match="--set"):
        empty_document().with_settings([assignment])


def test_set_does_not_descend_into_what_is_no_mapping() -> None:
    with pytest.raises(InvalidInput, match=r"--set a.b=1: b: its parent is the number 1"):
        load_document(b"a: 1", file="x.yml").with_settings(["a.b=1"])


@pytest.mark.parametrize("body", [[], "x", None, {"a": "\0"}, {"a": ["\ud800"]}, {"\0": 1}])
def test_bodies_that_no_store_could_keep_are_refused(body: object) -> None:
    with pytest.raises(InvalidInput):
        body_document(body)


def test_a_deep_body_is_refused() -> None:
    body: dict = {}
    for _ in range(40):
        body = {"a": body}
    with pytest.raises(InvalidInput, match="deeper than 32"):
        body_document(body)


def test_paths_are_shown_as_people_write_them() -> None:
    assert shown_path(("a", "b", 0, "c")) == "a.b[0].c"


def test_a_million_small_values_are_refused_as_one_large_one_is() -> None:
    for text in ("a: [" + "1," * MAX_VALUES + "1]", "".join(f"k{n}: 1\n" for n in range(MAX_VALUES + 1))):
        with pytest.raises(InvalidInput, match=r"f.yml:\d+: the file holds more than 20,000 values"):
            load_document(text.encode(), file="f.yml")
    for body in ({"a": [1] * MAX_VALUES}, {str(n): 1 for n in range(MAX_VALUES + 1)}):
        with pytest.raises(InvalidInput, match="the body holds more than 20,000 values"):
            body_document(body)
    assert body_document({"a": [1] * 1000})
