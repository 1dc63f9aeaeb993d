"""Laws of pipelines: the order of steps, what is bound to what, commands, and components as documents."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.components.binding import (
    Binding,
    DataReference,
    LiteralValue,
    OutputTarget,
    ParentInput,
    StepOutput,
    Value,
)
from scoring.components.component import (
    CommandComponent,
    Component,
    ParallelComponent,
    ParallelTask,
    PipelineComponent,
    Step,
)
from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.components.graph import check_pipeline, needs, ordered
from scoring.components.registered import RegisteredComponent, content_hash
from scoring.components.templates import rendered, wrong_use
from scoring.components.values import given_values, step_values
from scoring.deployment import RetrySettings
from scoring.errors import InvalidInput
from scoring.mini_batch_size import MiniBatchSize, SizeUnit
from scoring.model import ModelReference
from scoring.specs.component_values import component_value
from scoring.specs.document import body_document
from scoring.specs.pipeline import parse_inline
from scoring.specs.shown_components import shown_component
from storage.postgres.documents import from_document, to_document

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
PLAIN = TEXT.filter(lambda text: "${{" not in text)
TEXTS = st.dictionaries(NAMES, PLAIN, max_size=2)
FOLDER = InputDeclaration(type=ValueType.URI_FOLDER)


def step(name: str, before: list[str], at_least: int) -> Step:
    """It reads the output of each step before it, or the pipeline's input, and takes a number."""
    bound: dict[str, Binding] = {f"in_{other}": StepOutput(step=other, output="made") for other in before}
    bound = bound or {"in_": ParentInput(name="data")}
    declared = {**dict.fromkeys(bound, FOLDER), "number": InputDeclaration(type=ValueType.INTEGER, min=at_least)}
    component = CommandComponent(
        name="c", version="1", command="true", inputs=declared, outputs={"made": OutputDeclaration()}
    )
    return Step(name=name, component=component, inputs={**bound, "number": LiteralValue(value=str(at_least))})


@st.composite
def graphs(draw: st.DrawFn) -> PipelineComponent:
    """Without cycles, in whatever order the steps were written."""
    names = draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    steps = [
        step(name, draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else [], place)
        for place, name in enumerate(names)
    ]
    written = tuple(draw(st.permutations(steps)))
    return PipelineComponent(name="p", version="1", inputs={"data": FOLDER}, jobs=written)


@given(pipeline=graphs())
def test_every_step_comes_after_those_that_it_needs_once(pipeline: PipelineComponent) -> None:
    check_pipeline(pipeline)
    found = ordered(pipeline.jobs)
    assert sorted(found, key=lambda s: s.name) == sorted(pipeline.jobs, key=lambda s: s.name)
    for place, each in enumerate(found):
        before = {earlier.name for earlier in found[:place]}
        ready = [s for s in pipeline.jobs if s.name not in before and needs(s) <= before]
        assert each == ready[0], "as they were written, where that is a choice"


@given(pipeline=graphs(), data=st.data())
def test_a_way_back_is_found_and_told_as_it_goes(pipeline: PipelineComponent, data: st.DataObject) -> None:
    way = ordered(pipeline.jobs)
    first = data.draw(st.sampled_from(way))
    after = {first.name}
    for each in way:
        if needs(each) & after:
            after.add(each.name)
    last = data.draw(st.sampled_from(sorted(after)))
    component = first.component
    assert isinstance(component, CommandComponent)
    back = replace(
        first,
        component=replace(component, inputs={**component.inputs, "back": FOLDER}),
        inputs={**first.inputs, "back": StepOutput(step=last, output="made")},
    )
    wrong = replace(pipeline, jobs=tuple(back if each is first else each for each in pipeline.jobs))
    with pytest.raises(InvalidInput) as refused:
        check_pipeline(wrong)
    said = str(refused.value)
    if last == first.name:
        assert said.startswith(f"jobs.{last}.inputs.back: found ")
        return
    told = said.partition("wait for each other: ")[2].split(" needs ")
    by_name = {each.name: each for each in wrong.jobs}
    assert told[0] == told[-1]
    assert all(later in needs(by_name[each]) for each, later in pairwise(told))


@given(pipeline=graphs(), data=st.data())
def test_every_input_gets_its_value_in_the_order_of_the_steps(pipeline: PipelineComponent, data: st.DataObject) -> None:
    parent = given_values(pipeline.inputs, {"data": DataReference(path="/data")})
    produced: dict[tuple[str, str], DataReference] = {}
    for place, each in enumerate(ordered(pipeline.jobs)):
        values = step_values(each, parent, produced)
        assert set(values) == set(each.component.inputs)
        for name, bound in each.inputs.items():
            value = values[name]
            if isinstance(bound, StepOutput):
                assert isinstance(value, DataReference)
                assert value.path == produced[bound.step, bound.output].path
            if isinstance(bound, LiteralValue):
                assert value == LiteralValue(value=int(str(bound.value)))
        produced[each.name, "made"] = DataReference(path=f"/{place}", type=ValueType.URI_FOLDER)


PARTS = st.one_of(
    st.tuples(st.just("text"), st.text("ab $-[]{}\n'\"", max_size=6).filter(lambda text: "$[[" not in text)),
    st.tuples(st.just("input"), st.sampled_from(["here", "also"])),
    st.tuples(st.just("output"), st.just("made")),
    st.tuples(st.just("bare"), st.sampled_from(["$[[inputs.here]]", "$[[ x ]]"])),
    st.tuples(st.just("maybe"), st.sampled_from(["here", "gone", "here also", "here gone"])),
)


@given(parts=st.lists(PARTS, max_size=8), here=TEXT, also=TEXT, made=TEXT)
def test_a_command_is_its_parts_with_the_values_in_their_places(
    parts: list[tuple[str, str]], here: str, also: str, made: str
) -> None:
    given_texts, outputs = {"here": here, "also": also}, {"made": made}
    written, wanted = "", ""
    for kind, what in parts:
        if kind in {"text", "bare"}:
            written, wanted = f"{written}|{what}|", f"{wanted}|{what}|"
        elif kind == "maybe":
            names = what.split()
            written += "$[[--x" + "".join(" ${{inputs." + name + "}}" for name in names) + "]]"
            wanted += "--x" + "".join(f" {given_texts[n]}" for n in names) if "gone" not in names else ""
        else:
            written += "${{" + f"{kind}s.{what}" + "}}"
            wanted += given_texts[what] if kind == "input" else outputs[what]
    declared = {
        **dict.fromkeys(given_texts, InputDeclaration(type=ValueType.STRING)),
        "gone": InputDeclaration(type=ValueType.STRING, optional=True),
    }
    assert wrong_use(written, declared, {"made": OutputDeclaration()}) is None
    assert rendered(written, given_texts, outputs) == wanted


@st.composite
def inputs(draw: st.DrawFn) -> InputDeclaration:
    kind = draw(st.sampled_from(ValueType))
    optional, said = draw(st.booleans()), draw(st.none() | PLAIN)
    if not kind.is_literal:
        default = draw(st.none() | st.sampled_from(["azureml:d:1", "/data"]))
        mode = draw(st.none() | st.just("download"))
        return InputDeclaration(type=kind, optional=optional, default=default, mode=mode, description=said)
    values: Any = {
        ValueType.STRING: TEXT,
        ValueType.NUMBER: st.floats(-1e6, 1e6) | st.integers(-9, 9),
        ValueType.INTEGER: st.integers(-(2**53), 2**53),
        ValueType.BOOLEAN: st.booleans(),
    }[kind]
    default = draw(st.none() | values)
    return InputDeclaration(type=kind, optional=optional, default=default, description=said)


SAID = {
    "name": NAMES, "version": st.sampled_from(["1", "v2"]), "is_deterministic": st.booleans(),
    "display_name": st.none() | PLAIN, "tags": TEXTS,
}  # fmt: skip
OUTPUTS = st.dictionaries(
    NAMES, st.builds(OutputDeclaration, type=st.sampled_from(["uri_file", "uri_folder"]).map(ValueType)), max_size=2
)
ENVIRONMENTS = st.none() | st.sampled_from(["azureml:env:1", "azureml:env:2"])
COMMANDS = st.builds(
    CommandComponent, **SAID, command=st.sampled_from(["work", "echo 'a b'"]),
    inputs=st.dictionaries(NAMES, inputs(), max_size=3), outputs=OUTPUTS, code=st.none() | st.just("/kept/code"),
    environment=ENVIRONMENTS, environment_variables=TEXTS,
)  # fmt: skip
RETRIES = st.builds(RetrySettings, max_retries=st.integers(1, 9), timeout=st.integers(1, 99), bisect=st.booleans())
PARALLEL = st.builds(
    ParallelComponent, **SAID, input_data=st.just("cut"),
    task=st.builds(
        ParallelTask, code=st.just("/kept/code"), entry_script=st.just("score.py"), environment=ENVIRONMENTS,
        program_arguments=st.none() | st.just("--x ${{inputs.cut}}"), append_row_to=st.none() | st.just("rows"),
        model=st.none() | st.just(ModelReference(name="m", version="1")),
    ),
    inputs=st.dictionaries(NAMES, inputs(), max_size=2).map(lambda found: {**found, "cut": FOLDER}),
    outputs=OUTPUTS.map(lambda found: {**found, "rows": OutputDeclaration()}),
    mini_batch_size=st.builds(MiniBatchSize, number=st.integers(1, 99), unit=st.sampled_from(SizeUnit)),
    instance_count=st.integers(1, 3), max_concurrency_per_instance=st.integers(1, 3),
    error_threshold=st.integers(-1, 5), retry_settings=RETRIES, environment_variables=TEXTS,
    logging_level=st.sampled_from(["info", "debug"]),
)  # fmt: skip


@st.composite
def pipelines(draw: st.DrawFn, depth: int = 1) -> PipelineComponent:
    """Steps of any kind, each input bound to the pipeline's input of the same type, each output to one of its own."""
    inner: Any = COMMANDS | PARALLEL if not depth else COMMANDS | PARALLEL | pipelines(depth=depth - 1)
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    declared: dict[str, InputDeclaration] = {}
    outputs: dict[str, OutputDeclaration] = {}
    steps = []
    for name in names:
        component: Component = draw(inner)
        bound: dict[str, Binding] = {}
        for port, wanted in component.inputs.items():
            own = f"{name}_{port}"
            declared[own] = wanted
            bound[port] = ParentInput(name=own)
        targets = {}
        for port, made in component.outputs.items():
            own = f"{name}_{port}"
            outputs[own] = made
            targets[port] = OutputTarget(parent_output=own)
        compute, timeout = draw(st.none() | st.just("cpu")), draw(st.none() | st.integers(1, 99))
        steps.append(
            Step(name=name, component=component, inputs=bound, outputs=targets, compute=compute, timeout=timeout)
        )
    said = {field: draw(strategy) for field, strategy in SAID.items()}
    return PipelineComponent(inputs=declared, outputs=outputs, jobs=tuple(steps), **said)  # type: ignore[arg-type]


COMPONENTS: st.SearchStrategy[Component] = st.one_of(COMMANDS, PARALLEL, pipelines())


@given(component=COMPONENTS)
def test_a_component_survives_its_document(component: Component) -> None:
    kept = RegisteredComponent(
        name="n", version="1", content_hash=content_hash(component), definition=component, tags={"a": "b"}
    )
    stored = json.loads(json.dumps(to_document(kept)))
    assert from_document(RegisteredComponent, stored) == kept


@given(component=COMPONENTS, other=COMMANDS)
def test_the_hash_is_of_what_is_done_and_not_of_what_is_said(component: Component, other: CommandComponent) -> None:
    before = content_hash(component)
    assert content_hash(replace(component, name="x", version="9", description="y", tags={"a": "b"})) == before
    turned = dict(reversed(list(component.inputs.items())))
    assert content_hash(replace(component, inputs=turned)) == before
    assert content_hash(replace(component, is_deterministic=not component.is_deterministic)) != before
    if isinstance(component, PipelineComponent):
        first, *rest = component.jobs
        renamed = replace(first.component, name="x", version="9", display_name="z")
        assert content_hash(replace(component, jobs=(replace(first, component=renamed), *rest))) == before
        if content_hash(other) != content_hash(first.component):
            assert content_hash(replace(component, jobs=(replace(first, component=other), *rest))) != before


class Known:
    """Content of what is registered already; components are looked up among those that a pipeline holds."""

    def __init__(self) -> None:
        self.components: dict[str, Component] = {}

    def name(self, component: Component) -> Component:
        """With a name of its own, as a registry would give it, and so for its steps."""
        if isinstance(component, PipelineComponent):
            steps = tuple(replace(each, component=self.name(each.component)) for each in component.jobs)
            component = replace(component, jobs=steps)
        named = replace(component, name=f"c{len(self.components)}", version="1")
        self.components[f"azureml:{named.name}:1"] = named
        return named

    def code(self, folder: str, includes: object, script: str | None, *, place: str) -> str:
        return folder

    def environment(self, written: object, *, place: str) -> str:
        return str(written)

    def model(self, written: object, *, place: str) -> ModelReference:
        _, name, version = str(written).split(":")
        return ModelReference(name=name, version=version)

    def component(self, reference: str, *, place: str) -> Component:
        return self.components[reference]

    def inline(self, component: Component) -> Component:
        return component


@given(component=COMPONENTS)
def test_what_is_shown_of_a_component_is_read_back_as_the_same(component: Component) -> None:
    known = Known()
    named = known.name(component)
    said = {field: getattr(named, field) for field in ("name", "version", "display_name", "description", "tags")}
    shown = json.loads(json.dumps({**shown_component(named), **said, "properties": {}}))
    assert component_value(parse_inline(body_document(shown)), known) == named


@given(declared=st.dictionaries(NAMES, inputs(), max_size=4), data=st.data())
def test_values_are_of_their_types_or_refused_with_their_place(
    declared: dict[str, InputDeclaration], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from([*declared, "unknown"]) if declared else NAMES, max_size=2))
    offered: dict[str, Value] = {
        name: LiteralValue(value=data.draw(TEXT | st.integers() | st.booleans() | st.just("5"))) for name in names
    }
    wrong = None
    try:
        found = given_values(declared, offered)
    except InvalidInput as refused:
        wrong, found = (refused.place or "").removeprefix("inputs."), {}
    if wrong is not None:
        assert wrong in offered or not declared[wrong].may_be_left_out
        return
    assert set(offered) <= set(found) <= set(declared)
    for name, declaration in declared.items():
        assert (name in found) or (declaration.optional and declaration.default is None)
    for name, value in found.items():
        if isinstance(value, LiteralValue):
            again = given_values({name: declared[name]}, {name: value})
            assert again == {name: value}, "a value that fits is not changed again"
