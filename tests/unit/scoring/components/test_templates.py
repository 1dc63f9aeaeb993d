"""Commands and output paths with expressions in them."""

from __future__ import annotations

import pytest

from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.components.templates import expanded_path, rendered, wrong_in_path, wrong_use
from scoring.errors import InvalidInput

TEXT = InputDeclaration(type=ValueType.STRING)
OPTIONAL = InputDeclaration(type=ValueType.STRING, optional=True)


@pytest.mark.parametrize(
    ("template", "inputs", "line"),
    [
        ("run ${{inputs.a}} > ${{outputs.o}}/x", {"a": "1"}, "run 1 > OUT/x"),
        ("run ${{ inputs.a }}${{inputs.a}}", {"a": "1"}, "run 11"),
        ("run $[[--b ${{inputs.b}}]] end", {}, "run  end"),
        ("run $[[--b ${{inputs.b}}]] end", {"b": "2"}, "run --b 2 end"),
        ("run $[[--a ${{inputs.a}} --b ${{inputs.b}}]]", {"a": "1"}, "run "),
        ("run $[[--a ${{inputs.a}}]] $[[--b ${{inputs.b}}]]", {"b": "2"}, "run  --b 2"),
        ("run $[[--o ${{outputs.o}}]]", {}, "run --o OUT"),
        ("run --rate $[[inputs.rate]]", {}, "run --rate $[[inputs.rate]]"),
        ("x=(1 2); [[ $x == 1 ]] && echo ${x[0]}", {}, "x=(1 2); [[ $x == 1 ]] && echo ${x[0]}"),
        ("run $[[inputs.a]] $[[--b ${{inputs.b}}]]", {"b": "2"}, "run $[[inputs.a]] --b 2"),
        ("a\n$[[\n --b ${{inputs.b}}\n]]", {"b": "2"}, "a\n\n --b 2\n"),
        ("run ${{inputs.a}}", {"a": "${{inputs.b}} $[[x]] \\1"}, "run ${{inputs.b}} $[[x]] \\1"),
    ],
)
def test_a_command_is_filled_in(template: str, inputs: dict[str, str], line: str) -> None:
    assert rendered(template, inputs, {"o": "OUT"}) == line


def test_an_input_without_a_value_outside_of_brackets_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"\$\{\{inputs.a\}\} has no value"):
        rendered("run ${{inputs.a}}", {}, {})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("run ${{inputs.x}}", "there is no such input; there are: a, b"),
        ("run ${{outputs.x}}", "there is no such output; there are: o"),
        ("run ${{parent.inputs.a}}", "allowed: ${{inputs.NAME}} and ${{outputs.NAME}}"),
        ("run ${{search_space.rate}}", "allowed: ${{inputs.NAME}} and ${{outputs.NAME}}"),
        ("run ${{inputs.b}}", "input b is optional; write $[[ … ${{inputs.b}} … ]]"),
    ],
)
def test_a_wrong_expression_is_named(template: str, message: str) -> None:
    assert message in str(wrong_use(template, {"a": TEXT, "b": OPTIONAL}, {"o": OutputDeclaration()}))


@pytest.mark.parametrize("template", ["run ${{inputs.a}} $[[${{inputs.b}}]]", "$[[inputs.x]]", ""])
def test_a_right_expression_is_let_through(template: str) -> None:
    assert wrong_use(template, {"a": TEXT, "b": OPTIONAL}, {}) is None


def test_an_outputs_path_knows_job_output_and_datastore() -> None:
    path = "azureml://datastores/${{default_datastore}}/paths/azureml/${{name}}/${{output_name}}/"
    known = expanded_path(path, name="job-1", output_name="scores", default_datastore="store")
    assert known == "azureml://datastores/store/paths/azureml/job-1/scores/"
    assert wrong_in_path(path) is None
    assert "allowed: ${{default_datastore}}, ${{name}}, ${{output_name}}" in str(wrong_in_path("x/${{user}}"))
    with pytest.raises(InvalidInput, match="user"):
        expanded_path("x/${{user}}", name="", output_name="", default_datastore="")
