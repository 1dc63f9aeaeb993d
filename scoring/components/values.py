"""What the inputs of a pipeline, a job or a step are, once what they are bound to is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scoring.components.binding import Binding, DataReference, LiteralValue, ParentInput, StepOutput, Value
from scoring.components.component import Step
from scoring.components.declared import InputDeclaration
from scoring.errors import InvalidInput

Produced = Mapping[tuple[str, str], DataReference]
"""By (step, output): where what a step has written lies."""


def given_values(
    declared: Mapping[str, InputDeclaration], given: Mapping[str, Value], *, place: str = "inputs"
) -> dict[str, Value]:
    """The values of all inputs that have one: literals of their type, defaults filled in, data with its type.

    Raises InvalidInput for an input that does not exist, is missing, or has a value that does not fit.
    """
    for name in given:
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise InvalidInput(f"there is no such input; there are: {known}", place=f"{place}.{name}")
    found: dict[str, Value] = {}
    for name, declaration in declared.items():
        try:
            value = _value(declaration, given.get(name))
        except InvalidInput as error:
            raise InvalidInput(str(error), place=f"{place}.{name}") from None
        if value is not None:
            found[name] = value
    return found


def step_values(step: Step, parent: Mapping[str, Value], produced: Produced) -> dict[str, Value]:
    """The values of a step's inputs; `parent` are the pipeline's own, as `given_values` made them.

    Raises InvalidInput as `given_values`. Every step that this one needs is in `produced`, with all its outputs.
    """
    bound = {name: _followed(binding, parent, produced) for name, binding in step.inputs.items()}
    known = {name: value for name, value in bound.items() if value is not None}
    return given_values(step.component.inputs, known, place=f"jobs.{step.name}.inputs")


def _followed(binding: Binding, parent: Mapping[str, Value], produced: Produced) -> Value | None:
    if isinstance(binding, ParentInput):
        value: Value | None = parent.get(binding.name)
    elif isinstance(binding, StepOutput):
        value = produced[binding.step, binding.output]
    else:
        return binding
    if isinstance(value, DataReference):
        return replace(value, type=binding.type or value.type, mode=binding.mode or value.mode)
    return value


def _value(declared: InputDeclaration, given: Value | None) -> Value | None:
    if given is None and declared.default is not None:
        default = declared.default
        given = LiteralValue(value=default) if declared.type.is_literal else DataReference(path=str(default))
    if given is None:
        if not declared.optional:
            raise InvalidInput(f"missing; it is required, of type {declared.type}")
        return None
    if isinstance(given, LiteralValue):
        return LiteralValue(value=declared.literal(given.value))
    if declared.type.is_literal:
        raise InvalidInput(f"found data, wanted a literal of type {declared.type}")
    return replace(given, type=given.type or declared.type, mode=given.mode or declared.mode)
