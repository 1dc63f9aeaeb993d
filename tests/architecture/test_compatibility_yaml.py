"""docs/compatibility.md is true of the YAML: each key is taken or refused, and has an effect or none, as it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args, get_origin

import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel, BeforeValidator

from infra.cli.main import root as tidemill
from scoring.components.component import CommandComponent, Component, PipelineComponent, Step
from scoring.errors import InvalidInput
from scoring.model import ModelReference
from scoring.specs import document as loaded
from scoring.specs.bound import OutputTargetSpec, StepInput, bindings, path_alone
from scoring.specs.component import CommandComponentSpec, ParallelComponentSpec
from scoring.specs.component_values import command_job, component_value, pipeline_job
from scoring.specs.compute import ComputeSpec
from scoring.specs.data import DataSpec
from scoring.specs.datastore import DATASTORE_SPECS, parse_datastore
from scoring.specs.declarations import InputDeclarationSpec, OutputDeclarationSpec
from scoring.specs.deployment import ModelDeploymentSpec, parse_deployment
from scoring.specs.document import load_document
from scoring.specs.endpoint import EndpointSpec
from scoring.specs.environment import EnvironmentSpec, InlineEnvironment, RouteSpec
from scoring.specs.invocation import InvocationSpec
from scoring.specs.job_input import InputSpec, OutputSpec
from scoring.specs.model import InlineModel, ModelSpec
from scoring.specs.pipeline import CommandStep, ComponentStep, ParallelStep, PipelineComponentSpec, parse_inline
from scoring.specs.pipeline_deployment import PipelineDeploymentSpec, parse_pipeline_deployment
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec, PipelineSettingsSpec, parse_job
from scoring.specs.schedule import ScheduleSpec, parse_schedule
from scoring.specs.scheduled_job import ChangedJobSpec, InvokedSpec
from scoring.specs.validation import Spec, parse
from tests.architecture.page_tables import Row, codes, tables

Document = dict[str, Any]
ONE_VALUE = {
    ("Compute", "type"),
    *((kind, key) for kind in ("Command component", "Command job") for key in ("type", "resources.instance_count")),
}
"""Keys that may say one thing alone, which is their default."""
SAMPLES: dict[str, Document] = yaml.safe_load((Path(__file__).parent / "compatibility_samples.yml").read_text())
"""By kind: `minimal`, `samples` (a value for each key) and `with` (what a key needs beside it)."""


JOB = """\
type: pipeline
inputs: {K: 1}
outputs: {K: {type: uri_folder}}
jobs: {only: {command: "x > ${{outputs.o}}", outputs: {o: "${{parent.outputs.K}}"}}}
"""


class Places(Spec):
    """Inputs and outputs, as their table has them."""

    SHOWN: ClassVar[bool] = True

    input: InputSpec
    output: OutputSpec


class Declared(Spec):
    """One input and one output of a component."""

    input: InputDeclarationSpec
    output: OutputDeclarationSpec = OutputDeclarationSpec()


class Bound(Spec):
    """One input and one output of a step."""

    input: StepInput
    output: Annotated[OutputTargetSpec, BeforeValidator(path_alone)] = OutputTargetSpec()


class Told:
    """Content of components as it was written; what is named is a command with an input and an output."""

    def code(self, folder: str, includes: Sequence[str], script: str | None, *, place: str) -> str:
        return f"{folder} {includes} {script}"

    def environment(self, written: object, *, place: str) -> str:
        return str(written)

    def model(self, written: object, *, place: str) -> ModelReference:
        return ModelReference(name=str(written), version="1")

    def component(self, reference: str, *, place: str) -> Component:
        step = Step(name="s", component=CommandComponent(name="named", version="1", command=reference))
        if "whole" in reference:
            return PipelineComponent(name="named", version=reference, jobs=(step,))
        return step.component

    def inline(self, component: Component) -> Component:
        return component


def step_of(document: loaded.Document) -> Any:
    before = {"command": "before ${{outputs.o}}", "outputs": {"o": None}}
    jobs = {"before": before, "step": dict(document.value)}
    whole = parse(PipelineComponentSpec, replace(document, value={"type": "pipeline", "jobs": jobs}))
    value = component_value(whole, Told())
    assert isinstance(value, PipelineComponent)
    return value.jobs[1]


def job_of(document: loaded.Document) -> Any:
    return made_of(parse_job(document))


def schedule_of(document: loaded.Document) -> Any:
    spec, schedule = parse_schedule(document)
    said = spec.create_job
    if isinstance(said, InvokedSpec):
        return schedule
    if isinstance(said, ChangedJobSpec) and not isinstance(said.job, str):
        return schedule, said.changed(made_of(said.job))
    return schedule, said if isinstance(said, ChangedJobSpec) else made_of(said)


def made_of(spec: PipelineJobSpec | CommandJobSpec) -> Any:
    return pipeline_job(spec, Told()) if isinstance(spec, PipelineJobSpec) else command_job(spec, Told())


def pipeline_deployment_of(document: loaded.Document) -> Any:
    spec = parse_pipeline_deployment(document)
    whole = None if spec.component is None else spec.component
    component = whole if whole is None or isinstance(whole, str) else component_value(whole, Told())
    said = spec.model_dump(include={"name", "endpoint_name", "description", "tags", "properties", "job_definition"})
    return component, spec.settings.settings(continues=True), said


_INLINE = (InlineModel, InlineEnvironment, CommandComponentSpec, ParallelComponentSpec, PipelineComponentSpec)
_WITHIN = (*_INLINE, ComponentStep, CommandStep, ParallelStep, PipelineJobSpec)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`value` reads a document and gives what is made of it; `specs` are the models that hold its keys."""

    value: Callable[[Any], Any]
    specs: tuple[type[BaseModel], ...]
    apart: tuple[type[BaseModel], ...] = field(default=(InlineModel, InlineEnvironment, InputSpec, OutputSpec))
    """Models that have a table of their own."""


def deployment_of(document: Any) -> Any:
    spec = parse_deployment(document)
    inline = spec.model if isinstance(spec.model, str) else spec.model.model_dump()
    environment = spec.environment if isinstance(spec.environment, (str, type(None))) else "inline"
    code = spec.code_configuration.code if spec.code_configuration else None
    value = spec.deployment(model=ModelReference(name="m", version="1"), code=code, environment=environment)
    return inline, spec.environment, value


KINDS = {
    "Batch endpoint": Kind(value=lambda document: parse(EndpointSpec, document).endpoint(), specs=(EndpointSpec,)),
    "Model deployment": Kind(value=deployment_of, specs=(ModelDeploymentSpec,)),
    "Compute": Kind(value=lambda document: parse(ComputeSpec, document).compute(), specs=(ComputeSpec,)),
    "Model": Kind(value=lambda document: parse(ModelSpec, document), specs=(ModelSpec,)),
    "Data asset": Kind(value=lambda document: parse(DataSpec, document), specs=(DataSpec,)),
    "Environment": Kind(value=lambda document: parse(EnvironmentSpec, document), specs=(EnvironmentSpec,)),
    "Datastore": Kind(
        value=lambda document: parse_datastore(document).datastore(), specs=tuple(DATASTORE_SPECS.values())
    ),
    "Schedule": Kind(
        value=schedule_of,
        specs=(ScheduleSpec,),
        apart=(*_WITHIN, CommandJobSpec, InputSpec, OutputSpec, PipelineSettingsSpec),
    ),
    "Invocation": Kind(
        value=lambda document: (
            parse(InvocationSpec, document).invocation(),
            parse(InvocationSpec, document).model_dump(include={"endpoint", "deployment", "job_name"}),
        ),
        specs=(InvocationSpec,),
    ),
    "Inputs and outputs": Kind(
        value=lambda document: (
            parse(InvocationSpec, document).invocation(),
            parse(InvocationSpec, document).the_output.named_file,
        ),
        specs=(Places,),
        apart=(),
    ),
    "Command component": Kind(
        value=lambda document: component_value(parse_inline(document), Told()),
        specs=(CommandComponentSpec,),
        apart=_INLINE,
    ),
    "Parallel component": Kind(
        value=lambda document: component_value(parse_inline(document), Told()),
        specs=(ParallelComponentSpec,),
        apart=_INLINE,
    ),
    "Pipeline component": Kind(
        value=lambda document: component_value(parse_inline(document), Told()),
        specs=(PipelineComponentSpec,),
        apart=_WITHIN,
    ),
    "Step of a pipeline": Kind(value=step_of, specs=(ComponentStep, CommandStep, ParallelStep), apart=_INLINE),
    "Pipeline job": Kind(value=job_of, specs=(PipelineJobSpec,), apart=_WITHIN),
    "Command job": Kind(value=job_of, specs=(CommandJobSpec,), apart=_INLINE),
    "Pipeline deployment": Kind(value=pipeline_deployment_of, specs=(PipelineDeploymentSpec,), apart=_WITHIN),
    "Inputs and outputs of components": Kind(
        value=lambda document: (
            parse(Declared, document).input.declaration(),
            parse(Declared, document).output.declaration(),
        ),
        specs=(Declared,),
    ),
    "Inputs and outputs of steps and jobs": Kind(
        value=lambda document: (
            bindings({"i": parse(Bound, document).input}),
            parse(Bound, document).output.target(),
        ),
        specs=(Bound,),
    ),
}


@pytest.fixture(scope="module")
def page(root: Path) -> dict[str, list[Row]]:
    return tables(root / "docs" / "compatibility.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What documents name lies here."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "conda.yml").write_text("dependencies: [python=3.12]\n")
    (folder / "prepare.yml").write_text("command: prepare\n")
    (folder / "job.yml").write_text(JOB)
    (folder / "whole.yml").write_text("type: pipeline\njobs: {only: {command: x}}\n")
    return folder


def cases() -> list[Any]:
    """Every row of every kind: its key, its value where the row is about one, its verdict and note."""
    found = tables(Path(__file__).resolve().parents[2] / "docs" / "compatibility.md")
    made = []
    for kind in KINDS:
        for row in found[kind]:
            (written,) = codes(row["key"])
            key, _, value = written.partition(": ")
            made.append(pytest.param(kind, key, value or None, row["verdict"], row["note"], id=f"{kind}-{written}"))
    return made


def with_value(document: Document, key: str, value: Any) -> Document:
    """None takes the key away."""
    head, _, rest = key.partition(".")
    inner = document.get(head)
    if value is None and not rest:
        return {name: given for name, given in document.items() if name != head}
    if rest:
        value = with_value(inner if isinstance(inner, dict) else {}, rest, value)
    return {**document, head: value}


def documents(kind: str, key: str, value: str | None) -> tuple[Document, Document]:
    """One that says nothing of the key but has what it needs, and the same with the key."""
    given = SAMPLES[kind]
    written = f"{key}: {value}"
    bare: Document = given["minimal"]
    for other, needed in (given.get("with", {}).get(written) or given.get("with", {}).get(key) or {}).items():
        bare = with_value(bare, other, needed)
    sample = given["samples"].get(written, value) if value is not None else given["samples"].get(key, "x")
    return bare, with_value(bare, key, sample)


def read(kind: str, document: Document, folder: Path) -> Any:
    return KINDS[kind].value(load_document(yaml.safe_dump(document).encode(), file="f.yml", folder=folder))


@pytest.mark.parametrize(("kind", "key", "value", "verdict", "note"), cases())
def test_each_row_is_true(folder: Path, kind: str, key: str, value: str | None, verdict: str, note: str) -> None:
    assert verdict in {"works", "ignored", "absent"}
    assert verdict == "works" or len(note) > 3, "say why"
    bare, document = documents(kind, key, value)
    if verdict == "absent":
        with pytest.raises(InvalidInput) as refused:
            read(kind, document, folder)
        assert key.split(".")[-1].split(":")[0] in str(refused.value) or "K" in key, "the refusal names the key"
        return
    made = read(kind, document, folder)
    if verdict == "ignored" and "kept" not in note:
        assert is_without_effect(kind, key), f"{key} is said to have no effect"
    elif verdict == "works":
        assert not is_without_effect(kind, key), f"{key} has no effect"
    if value is None and verdict == "works" and (kind, key) not in ONE_VALUE:
        assert key in SAMPLES[kind]["samples"], f"{key} has no sample"
        assert made != or_refused(kind, with_value(bare, key, None) if bare == document else bare, folder), (
            f"{key} changes nothing"
        )


def or_refused(kind: str, document: Document, folder: Path) -> Any:
    """A key that is required makes something of what is refused without it."""
    try:
        return read(kind, document, folder)
    except InvalidInput:
        return None


def test_every_key_that_is_taken_has_a_row(page: dict[str, list[Row]]) -> None:
    missing = []
    for name, kind in KINDS.items():
        rows = {codes(row["key"])[0] for row in page[name]}
        keys = {key for spec in kind.specs for key, _ in keys_of(spec, kind.apart)}
        missing += [
            f"{name}: {key}" for key in keys if not any(row == key or row.startswith(f"{key}.") for row in rows)
        ]
        told = {row.partition(": ")[0] for row in rows}
        unknown = {
            row
            for row in told
            if row not in keys and not any(key.startswith(f"{row}.") or row.startswith(f"{key}.") for key in keys)
        }
        absent = {codes(row["key"])[0] for row in page[name] if row["verdict"] == "absent"}
        missing += [f"{name}: {row} is taken nowhere" for row in unknown - absent]
    assert not missing


def keys_of(spec: type[BaseModel], apart: tuple[type[BaseModel], ...]) -> Iterator[tuple[str, bool]]:
    """Each key with its path, and whether it has no effect: one that nothing looks into."""
    ignored = getattr(spec, "IGNORED", frozenset())
    for name, info in spec.model_fields.items():
        models = list(models_in(info.annotation, info.metadata))
        if get_origin(info.annotation) is dict and models:
            yield f"{name}.K", name in ignored
            continue
        inner = [model for model in models if not issubclass(model, (*apart, RouteSpec))]
        if not inner or name in ignored:
            yield name, info.annotation is Any or name in ignored
            continue
        for model in inner:
            for key, without_effect in keys_of(model, apart):
                yield f"{name}.{key}", without_effect


def models_in(annotation: Any, metadata: Any = ()) -> Iterator[type[BaseModel]]:
    for inner in (annotation, *metadata):
        if isinstance(inner, type) and get_origin(inner) is None and issubclass(inner, BaseModel):
            yield inner
        for deeper in get_args(inner):
            yield from models_in(deeper)


def is_without_effect(kind: str, key: str) -> bool:
    found = [flag for spec in KINDS[kind].specs for name, flag in keys_of(spec, KINDS[kind].apart) if name == key]
    return bool(found) and all(found)


def test_the_flat_form_has_the_keys_of_settings_at_its_root(folder: Path) -> None:
    given = SAMPLES["Model deployment"]
    for key, sample in given["samples"].items():
        if not key.startswith("settings."):
            continue
        flat = {name: value for name, value in given["minimal"].items() if name != "type"}
        for other, needed in {**given["with"].get(key, {}), key: sample}.items():
            flat = with_value(flat, other.removeprefix("settings."), needed)
        nested = documents("Model deployment", key, None)[1]
        assert read("Model deployment", flat, folder) == read("Model deployment", nested, folder), key


def test_jobs_of_other_kinds_are_run_or_refused_by_name(page: dict[str, list[Row]]) -> None:
    rows: Mapping[str, Row] = {codes(row["kind"])[0]: row for row in page["Documents of other kinds"]}
    assert {kind: row["verdict"] for kind, row in rows.items()} == {
        "pipeline": "works",
        "command": "works",
        "parallel": "absent",
        "sweep": "absent",
        "spark": "absent",
    }


@pytest.mark.parametrize("kind", ["parallel", "sweep", "spark"])
def test_a_kind_that_is_absent_is_refused_by_name(page: dict[str, list[Row]], tmp_path: Path, kind: str) -> None:
    rows: Mapping[str, Row] = {codes(row["kind"])[0]: row for row in page["Documents of other kinds"]}
    assert len(rows[kind]["note"]) > 20
    file = tmp_path / "job.yml"
    file.write_text(f"type: {kind}\n")
    for verb in ("create", "validate"):
        refused = CliRunner().invoke(tidemill, ["job", verb, "--file", str(file)])
        assert isinstance(refused.exception, InvalidInput)
        assert f"found '{kind}'" in str(refused.exception)
        assert f"{file}:1" in str(refused.exception) or "job.yml:1" in str(refused.exception)
