"""Texts in a step's inputs and outputs."""

from __future__ import annotations

import pytest

from scoring.components.binding import LiteralValue, ParentInput, StepOutput, parse_binding, parse_output_binding
from scoring.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("plain", LiteralValue(value="plain")),
        ("", LiteralValue(value="")),
        ("${HOME} {{x}}", LiteralValue(value="${HOME} {{x}}")),
        ("${{parent.inputs.data}}", ParentInput(name="data")),
        (" ${{ parent.inputs.data-2 }} ", ParentInput(name="data-2")),
        ("${{parent.jobs.prep_1.outputs.made}}", StepOutput(step="prep_1", output="made")),
    ],
)
def test_a_text_is_a_literal_or_a_binding(text: str, bound: object) -> None:
    assert parse_binding(text) == bound


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${{inputs.data}}", "did you mean ${{parent.inputs.data}}?"),
        ("${{jobs.a.outputs.b}}", "did you mean ${{parent.jobs.a.outputs.b}}?"),
        ("${{parent.outputs.x}}", "allowed: ${{parent.inputs.NAME}} and ${{parent.jobs.STEP.outputs.NAME}}"),
        ("${{parent.jobs.a}}", "allowed: ${{parent.inputs.NAME}}"),
        ("a${{parent.inputs.x}}", "an expression is the whole value"),
        ("${{parent.inputs.x}}${{parent.inputs.y}}", "an expression is the whole value"),
    ],
)
def test_an_expression_that_binds_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_binding(text)
    assert message in str(refused.value)


def test_an_output_is_bound_to_the_pipelines_or_goes_to_a_path() -> None:
    assert parse_output_binding("${{parent.outputs.scores}}") == "scores"
    assert parse_output_binding("azureml://datastores/d/paths/${{name}}") is None
    assert parse_output_binding("/tmp/out") is None
    for wrong in (
        "${{parent.inputs.x}}",
        "${{outputs.x}}",
        "${{parent.outputs.x}}/more",
        "${{parent.jobs.a.outputs.b}}",
    ):
        with pytest.raises(InvalidInput, match=r"allowed: \$\{\{parent.outputs.NAME\}\}"):
            parse_output_binding(wrong)
