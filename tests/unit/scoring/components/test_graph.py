"""Every fault in a pipeline's bindings is found, and says where it is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from scoring.components.binding import Binding, DataReference, LiteralValue, OutputTarget, ParentInput, StepOutput
from scoring.components.component import CommandComponent, PipelineComponent, Step
from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.components.graph import check_pipeline, needs, ordered
from scoring.errors import InvalidInput

FOLDER = InputDeclaration(type=ValueType.URI_FOLDER)
TEXT = InputDeclaration(type=ValueType.STRING)
COUNT = InputDeclaration(type=ValueType.INTEGER, default=3, min=1, max=9)


def step(
    name: str,
    inputs: Mapping[str, Binding] | None = None,
    outputs: Mapping[str, OutputTarget] | None = None,
    declared: Mapping[str, InputDeclaration] | None = None,
) -> Step:
    component = CommandComponent(
        name="work",
        version="1",
        command="true",
        inputs={"data": FOLDER, "count": COUNT} if declared is None else declared,
        outputs={"made": OutputDeclaration()},
    )
    given = {"data": ParentInput(name="data")} if inputs is None else inputs
    return Step(name=name, component=component, inputs=given, outputs=outputs or {})


def pipeline(
    *steps: Step, inputs: Mapping[str, InputDeclaration] | None = None, outputs: tuple[str, ...] = ()
) -> PipelineComponent:
    declared = {"data": FOLDER} if inputs is None else inputs
    written = {name: OutputDeclaration() for name in outputs}
    return PipelineComponent(name="whole", version="1", jobs=steps, inputs=declared, outputs=written)


def after(*names: str) -> dict[str, Binding]:
    bound: dict[str, Binding] = {f"in{number}": StepOutput(step=n, output="made") for number, n in enumerate(names)}
    return bound


def declared_for(inputs: Mapping[str, object]) -> dict[str, InputDeclaration]:
    return dict.fromkeys(inputs, FOLDER)


RESULT = {"made": OutputTarget(parent_output="result")}
A = step("a")


@pytest.mark.parametrize(
    ("wrong", "place", "message"),
    [
        (pipeline(), "jobs", "found no step; a pipeline has one at least"),
        (pipeline(step("a", {"data": ParentInput(name="dta")})), "jobs.a.inputs.data", "no such input; it has: data"),
        (
            pipeline(step("a", {"data": StepOutput(step="b", output="made")})),
            "jobs.a.inputs.data",
            "there is no such step; there are: a",
        ),
        (
            pipeline(step("a", {"data": StepOutput(step="a", output="made")})),
            "jobs.a.inputs.data",
            "an output of the step itself",
        ),
        (
            pipeline(A, step("b", {"data": StepOutput(step="a", output="mad")})),
            "jobs.b.inputs.data",
            "that step has no such output; it has: made",
        ),
        (
            pipeline(step("a", {"data": ParentInput(name="data"), "mode": LiteralValue(value="x")})),
            "jobs.a.inputs.mode",
            "the component has no such input; it has: count, data",
        ),
        (pipeline(step("a", {})), "jobs.a.inputs.data", "missing; it is required, of type uri_folder"),
        (
            pipeline(step("a", {"data": LiteralValue(value="here")})),
            "jobs.a.inputs.data",
            "found 'here', wanted data of type uri_folder: {type: uri_folder, path: …}",
        ),
        (
            pipeline(step("a", {"data": ParentInput(name="data"), "count": DataReference(path="x")})),
            "jobs.a.inputs.count",
            "found data; the input is a literal of type integer",
        ),
        (
            pipeline(step("a", {"data": ParentInput(name="data"), "count": LiteralValue(value=10)})),
            "jobs.a.inputs.count",
            "found 10, must be at most 9",
        ),
        (
            pipeline(step("a", {"data": ParentInput(name="data"), "count": ParentInput(name="data")})),
            "jobs.a.inputs.count",
            "which is of type uri_folder; the input is of type integer",
        ),
        (
            pipeline(A, step("b", {"data": ParentInput(name="data"), "count": StepOutput(step="a", output="made")})),
            "jobs.b.inputs.count",
            "which is data; the input is a literal of type integer",
        ),
        (
            pipeline(
                step("a", {"text": ParentInput(name="text")}, declared={"text": TEXT}),
                inputs={"text": InputDeclaration(type=ValueType.STRING, optional=True)},
            ),
            "jobs.a.inputs.text",
            "which may be left out, and this input may not",
        ),
        (
            pipeline(step("a", outputs={"mad": OutputTarget()})),
            "jobs.a.outputs.mad",
            "the component has no such output; it has: made",
        ),
        (
            pipeline(step("a", outputs={"made": OutputTarget(parent_output="rsult")}), outputs=()),
            "jobs.a.outputs.made",
            "the pipeline has no such output; it has none",
        ),
        (
            pipeline(step("a", outputs=RESULT), step("b", outputs=RESULT), outputs=("result",)),
            "jobs.b.outputs.made",
            "the pipeline's output result is written already, by step a",
        ),
        (pipeline(A, outputs=("result",)), "outputs.result", "no step writes it"),
        (
            pipeline(
                step("a", after("b"), declared=declared_for(after("b"))),
                step("b", after("a"), declared=declared_for(after("a"))),
            ),
            "jobs.a",
            "the steps wait for each other: a needs b needs a",
        ),
    ],
)
def test_a_fault_says_where_it_is(wrong: PipelineComponent, place: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_pipeline(wrong)
    assert refused.value.place == place
    assert message in str(refused.value)


def test_a_fault_in_a_pipeline_within_a_pipeline_has_the_whole_path() -> None:
    inner = pipeline(step("deep", {}))
    outer = pipeline(Step(name="sub", component=inner, inputs={"data": ParentInput(name="data")}))
    with pytest.raises(InvalidInput) as refused:
        check_pipeline(outer)
    assert refused.value.place == "jobs.sub.component.jobs.deep.inputs.data"


def test_steps_run_after_what_they_need_and_else_as_written() -> None:
    last = step("last", after("first", "second"), declared=declared_for(after("first", "second")))
    first, second = step("first"), step("second")
    assert [s.name for s in ordered((last, second, first))] == ["second", "first", "last"]
    assert needs(last) == {"first", "second"}


def test_a_whole_pipeline_has_no_fault() -> None:
    third = step("b", {"data": StepOutput(step="a", output="made"), "count": LiteralValue(value="4")}, RESULT)
    check_pipeline(pipeline(third, A, outputs=("result",)))
