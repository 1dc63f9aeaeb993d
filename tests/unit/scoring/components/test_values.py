"""What a step gets, once the pipeline's values and other steps' outputs are known."""

from __future__ import annotations

import pytest

from scoring.components.binding import DataReference, LiteralValue, ParentInput, StepOutput, Value
from scoring.components.component import CommandComponent, Step
from scoring.components.declared import InputDeclaration, Scalar, ValueType
from scoring.components.values import given_values, step_values
from scoring.errors import InvalidInput

FOLDER = InputDeclaration(type=ValueType.URI_FOLDER, mode="download")
RATE = InputDeclaration(type=ValueType.NUMBER, default=0.1, min=0, max=1)
NOTE = InputDeclaration(type=ValueType.STRING, optional=True)


def test_defaults_types_and_modes_are_filled_in() -> None:
    model = InputDeclaration(type=ValueType.MLFLOW_MODEL, default="azureml:model:1")
    given = {"data": DataReference(path="azureml:data:1"), "rate": LiteralValue(value="0.5")}
    assert given_values({"data": FOLDER, "rate": RATE, "note": NOTE, "model": model}, given) == {
        "data": DataReference(path="azureml:data:1", type=ValueType.URI_FOLDER, mode="download"),
        "rate": LiteralValue(value=0.5),
        "model": DataReference(path="azureml:model:1", type=ValueType.MLFLOW_MODEL),
    }


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (ValueType.INTEGER, "7", 7),
        (ValueType.INTEGER, 7.0, 7),
        (ValueType.NUMBER, "1e-3", 0.001),
        (ValueType.NUMBER, 2, 2),
        (ValueType.BOOLEAN, "False", False),
        (ValueType.BOOLEAN, True, True),
        (ValueType.STRING, 5, "5"),
        (ValueType.STRING, "", ""),
        (ValueType.STRING, True, "True"),
    ],
)
def test_a_literal_is_of_its_type(kind: ValueType, written: Scalar, value: Scalar) -> None:
    (found,) = given_values({"x": InputDeclaration(type=kind)}, {"x": LiteralValue(value=written)}).values()
    assert isinstance(found, LiteralValue)
    assert (found.value, type(found.value)) == (value, type(value))


@pytest.mark.parametrize(
    ("declared", "written", "message"),
    [
        (InputDeclaration(type=ValueType.INTEGER), "7.5", "found '7.5', wanted an integer"),
        (InputDeclaration(type=ValueType.INTEGER), True, "found True, wanted an integer"),
        (InputDeclaration(type=ValueType.NUMBER), "nan", "found 'nan', wanted a number"),
        (InputDeclaration(type=ValueType.BOOLEAN), 1, "found 1, wanted true or false"),
        (InputDeclaration(type=ValueType.INTEGER, min=2), 1, "found 1, must be at least 2"),
        (InputDeclaration(type=ValueType.NUMBER, max=0.5), 1, "found 1, must be at most 0.5"),
        (InputDeclaration(type=ValueType.STRING, enum=("a", "b")), "c", "found 'c', allowed: a, b"),
        (FOLDER, "here", "wanted data of type uri_folder"),
    ],
)
def test_a_literal_that_does_not_fit_is_refused(declared: InputDeclaration, written: Scalar, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        given_values({"x": declared}, {"x": LiteralValue(value=written)})
    assert refused.value.place == "inputs.x"


def test_missing_unknown_and_data_for_a_literal_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"inputs.data: missing; it is required, of type uri_folder"):
        given_values({"data": FOLDER}, {})
    with pytest.raises(InvalidInput, match=r"inputs.dta: there is no such input; there are: data"):
        given_values({"data": FOLDER}, {"dta": DataReference(path="x")})
    with pytest.raises(InvalidInput, match=r"inputs.rate: found data, wanted a literal of type number"):
        given_values({"rate": RATE}, {"rate": DataReference(path="x")})


def test_bindings_are_followed() -> None:
    component = CommandComponent(
        name="c", version="1", command="x", inputs={"data": FOLDER, "model": FOLDER, "rate": RATE, "note": NOTE}
    )
    step = Step(
        name="score",
        component=component,
        inputs={
            "data": ParentInput(name="raw", mode="direct"),
            "model": StepOutput(step="train", output="model"),
            "rate": ParentInput(name="rate"),
            "note": ParentInput(name="note"),
        },
    )
    parent: dict[str, Value] = {"raw": DataReference(path="raw"), "rate": LiteralValue(value=1)}
    produced = {("train", "model"): DataReference(path="made", type=ValueType.URI_FILE)}
    assert step_values(step, parent, produced) == {
        "data": DataReference(path="raw", type=ValueType.URI_FOLDER, mode="direct"),
        "model": DataReference(path="made", type=ValueType.URI_FILE, mode="download"),
        "rate": LiteralValue(value=1),
    }


@pytest.mark.parametrize(
    ("kind", "default"),
    [(ValueType.INTEGER, 0), (ValueType.BOOLEAN, False), (ValueType.STRING, ""), (ValueType.NUMBER, 0.0)],
)
def test_a_default_of_nothing_much_is_a_default(kind: ValueType, default: Scalar) -> None:
    declared = {"x": InputDeclaration(type=kind, default=default)}
    assert given_values(declared, {}) == {"x": LiteralValue(value=default)}
