"""What a step's input gets: a literal, data, the parent's input, or another step's output."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scoring.components.declared import Scalar, ValueType
from scoring.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class LiteralValue:
    """A text, number or boolean, as it was written; the declaration of the input says what it is."""

    value: Scalar
    kind: str = "literal"


@dataclass(frozen=True, kw_only=True)
class DataReference:
    """A file or folder: a path of this machine, or any reference that a job's input takes (`azureml:n:v`, …).

    `type` is None where nobody said it.
    """

    path: str
    type: ValueType | None = None
    mode: str | None = None
    kind: str = "data"


@dataclass(frozen=True, kw_only=True)
class ParentInput:
    """`${{parent.inputs.<name>}}`: what the pipeline itself got."""

    name: str
    type: ValueType | None = None
    mode: str | None = None
    kind: str = "parent_input"

    def __str__(self) -> str:
        return f"${{{{parent.inputs.{self.name}}}}}"


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """`${{parent.jobs.<step>.outputs.<output>}}`: what another step of the same pipeline wrote."""

    step: str
    output: str
    type: ValueType | None = None
    mode: str | None = None
    kind: str = "step_output"

    def __str__(self) -> str:
        return f"${{{{parent.jobs.{self.step}.outputs.{self.output}}}}}"


Value = LiteralValue | DataReference
"""What an input has once its bindings are followed."""

Binding = LiteralValue | DataReference | ParentInput | StepOutput

EXPRESSION = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
_NAME = r"[A-Za-z0-9_][-A-Za-z0-9_]*"
_INPUT = re.compile(rf"parent\.inputs\.({_NAME})")
_STEP_OUTPUT = re.compile(rf"parent\.jobs\.({_NAME})\.outputs\.({_NAME})")
_OUTPUT = re.compile(rf"parent\.outputs\.({_NAME})")


@dataclass(frozen=True, kw_only=True)
class OutputTarget:
    """Where a step's, or a job's, output goes.

    path           a folder of this machine or `azureml://datastores/…`, with `${{name}}` and the like still in it;
                   None is the default place below the job's own outputs
    parent_output  the output of the pipeline that this step's output is: `${{parent.outputs.<name>}}`
    name, version  under which it is to be registered as a data asset when the job has ended well
    """

    path: str | None = None
    parent_output: str | None = None
    type: ValueType | None = None
    mode: str | None = None
    name: str | None = None
    version: str | None = None


def parse_binding(text: str) -> LiteralValue | ParentInput | StepOutput:
    """A text in an input of a step. Raises InvalidInput for an expression that binds nothing."""
    found = EXPRESSION.search(text)
    if found is None:
        return LiteralValue(value=text)
    if found.group() != text.strip():
        raise InvalidInput(f"found '{text[:80]}'; an expression is the whole value, nothing stands beside it")
    if bound := _INPUT.fullmatch(found[1]):
        return ParentInput(name=bound[1])
    if bound := _STEP_OUTPUT.fullmatch(found[1]):
        return StepOutput(step=bound[1], output=bound[2])
    meant = f"; did you mean ${{{{parent.{found[1]}}}}}?" if found[1].startswith(("inputs.", "jobs.")) else ""
    raise InvalidInput(
        f"found the expression '{found.group()[:80]}'{meant or ','} allowed: ${{{{parent.inputs.NAME}}}} and "
        "${{parent.jobs.STEP.outputs.NAME}}"
    )


def parse_output_binding(text: str) -> str | None:
    """The pipeline's output that a text in a step's outputs names; None for a path.

    Raises InvalidInput for another expression of the parent's.
    """
    found = EXPRESSION.search(text)
    if found is None or not found[1].startswith(("parent.", "outputs.", "inputs.", "jobs.")):
        return None
    if found.group() == text.strip() and (bound := _OUTPUT.fullmatch(found[1])):
        return bound[1]
    raise InvalidInput(f"found the expression '{text[:80]}', allowed: ${{{{parent.outputs.NAME}}}}")
