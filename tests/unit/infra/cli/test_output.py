from __future__ import annotations

import io
import json
from typing import Any

import pytest

from infra.cli.output import Tabled, compiled, show
from scoring.errors import InvalidInput


def printed(result: Any, form: str, query: str | None = None) -> str:
    out = io.StringIO()
    show(compiled(query)(result), form, out)
    return out.getvalue()


def test_json_is_sorted_indented_and_keeps_other_scripts() -> None:
    text = printed({"b": "Pümpe", "a": [1, {"d": None, "c": True}]}, "json")
    assert text == '{\n  "a": [\n    1,\n    {\n      "c": true,\n      "d": null\n    }\n  ],\n  "b": "Pümpe"\n}\n'
    # off a terminal no colours
    assert printed({"a": 1}, "jsonc") == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("text", "text\n"),
        (3, "3\n"),
        (True, "true\n"),
        (False, "false\n"),
        (None, ""),
        ([], ""),
        (["a", "b"], "a\nb\n"),
        ([1, None, True], "1\nNone\ntrue\n"),
        ({"b": 1, "a": "x"}, "1\tx\n"),
        ({"a": None, "b": {"x": 1}, "c": [1, 2, 3], "d": True}, "None\t\t3\tTrue\n"),
        ([["a", 1], ["b", None]], "a\t1\nb\tNone\n"),
        ([{"n": "x", "m": []}, {"n": "y", "m": {}}], "x\t0\ny\t\n"),
        ("", "\n"),
    ],
)
def test_tsv(result: Any, expected: str) -> None:
    assert printed(result, "tsv") == expected


def test_null_prints_nothing_in_any_format() -> None:
    for form in ("json", "jsonc", "yaml", "yamlc", "table", "tsv", "none"):
        assert printed(None, form) == ""
        assert printed({"a": 1}, form, "b") == ""


def test_none_prints_nothing() -> None:
    assert printed({"a": 1}, "none") == ""


def test_yaml() -> None:
    assert printed({"b": "ü", "a": [1]}, "yaml") == "a:\n- 1\nb: ü\n"
    assert printed("bare", "yaml") == "bare\n"


def test_table_drops_null_and_nested_columns() -> None:
    rows = [
        {"id": "/x", "name": "first", "status": "Running", "tags": {}, "error": None},
        {"id": "/y", "name": "second-longer", "status": None, "tags": {"a": 1}, "error": None, "more": 3},
    ]
    assert printed(rows, "table").splitlines() == [
        "Name           Status   More",
        "-------------  -------  ----",
        "first          Running",
        "second-longer           3",
    ]
    assert printed(["a", "b"], "table").splitlines() == ["Result", "------", "a", "b"]
    assert printed([], "table") == ""
    # a cell stays one line
    assert printed([{"name": "a\nb\tc"}], "table").splitlines()[-1] == "a b c"


def test_query_goes_before_the_format() -> None:
    jobs = [{"name": "a", "status": "Failed"}, {"name": "b", "status": "Completed"}]
    assert printed(jobs, "tsv", "[].name") == "a\nb\n"
    assert printed(jobs, "tsv", "[?status=='Failed'].name") == "a\n"
    assert printed({"defaults": {"deployment_name": "x"}}, "tsv", "defaults.deployment_name") == "x\n"
    assert json.loads(printed(jobs, "json", "[0].{N:name}")) == {"N": "a"}
    # the order of a multi-select is the order of its cells
    assert printed(jobs, "tsv", "[].{s:status, n:name}") == "Failed\ta\nCompleted\tb\n"


def test_a_wrong_query_is_refused_before_anything_is_done() -> None:
    with pytest.raises(InvalidInput, match="--query: found '\\[', no JMESPath"):
        compiled("[")
    with pytest.raises(InvalidInput, match="does not fit the result"):
        compiled("sort(@)")({"a": 1})


def test_functions_of_a_query_take_lists_that_know_their_table() -> None:
    rows = Tabled([{"a": 1}, {"a": 2}], lambda row: {"twice": row["a"] * 2})
    assert printed(rows, "tsv", "length(@)") == "2\n"
    assert printed(rows, "yaml") == "- a: 1\n- a: 2\n"
    assert printed(rows, "table").splitlines() == ["Twice", "-----", "2", "4"]
    with pytest.raises(InvalidInput) as caught:
        compiled("length(a)")({"a": 1, "b": "x" * 5000})
    assert len(str(caught.value)) < 300
