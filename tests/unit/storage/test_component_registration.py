"""Components get versions, their code and environments are kept, and jobs are made of them whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scoring.components.binding import DataReference, LiteralValue, StepOutput
from scoring.components.component import CommandComponent, ParallelComponent, PipelineComponent
from scoring.components.declared import ValueType
from scoring.components.registered import ANONYMOUS_COMPONENT, RegisteredComponent
from scoring.environment import Environment
from scoring.errors import Conflict, InvalidInput, NotFound
from scoring.specs.document import body_document
from scoring.specs.environment import EnvironmentSpec
from scoring.specs.pipeline import parse_component, parse_inline
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec, parse_job
from scoring.specs.shown_assets import shown_asset
from scoring.specs.validation import parse
from storage.component_registration import ComponentRegistration
from tests.unit.storage.conftest import Assets


@pytest.fixture
def components(assets: Assets) -> ComponentRegistration:
    assets.write("src/prep.py", "print(1)")
    assets.write("src/score.py", "def run(batch): return batch")
    assets.registration.environment(parse(EnvironmentSpec, body_document({"name": "env", "image": "python:3.12"})))
    return ComponentRegistration(assets.registration, assets.registry, assets.references)


def a_command(assets: Assets, **keys: Any) -> dict[str, Any]:
    return {
        "name": "prepare",
        "command": "python prep.py ${{inputs.data}} ${{inputs.rate}} ${{outputs.made}}",
        "code": str(assets.folder / "src"),
        "environment": "azureml:env@latest",
        "inputs": {"data": {"type": "uri_folder"}, "rate": {"type": "number", "default": 0.5}},
        "outputs": {"made": {"type": "uri_folder"}},
        **keys,
    }


def a_task(assets: Assets, **keys: Any) -> dict[str, Any]:
    return {
        "name": "score",
        "type": "parallel",
        "inputs": {"images": {"type": "uri_folder"}},
        "outputs": {"rows": {"type": "uri_file"}},
        "input_data": "${{inputs.images}}",
        "mini_batch_size": "10",
        "task": {
            "type": "run_function",
            "code": str(assets.folder / "src"),
            "entry_script": "score.py",
            "append_row_to": "${{outputs.rows}}",
        },
        **keys,
    }


def register(components: ComponentRegistration, document: Mapping[str, Any]) -> RegisteredComponent:
    return components.component(parse_component(body_document(dict(document))))


def test_content_makes_the_version(assets: Assets, components: ComponentRegistration) -> None:
    first = register(components, a_command(assets))
    assert (first.version, register(components, a_command(assets, description="said")).version) == ("1", "1")
    assert assets.store.get(RegisteredComponent, "prepare").description == "said"
    assert register(components, a_command(assets, command="python prep.py")).version == "2"
    assets.write("src/prep.py", "print(2)")
    assert register(components, a_command(assets, command="python prep.py")).version == "3"
    assert register(components, a_command(assets, version="7")).version == "7"
    with pytest.raises(Conflict, match="version 7 of prepare exists already with other content"):
        register(components, a_command(assets, version=7, command="false"))


def test_code_and_environment_are_what_was_registered(assets: Assets, components: ComponentRegistration) -> None:
    made = register(components, a_command(assets)).component
    assert isinstance(made, CommandComponent)
    assert made.environment == "azureml:env:1"
    assert made.code is not None
    assert Path(made.code).parent.name == "code"
    assert (Path(made.code) / "prep.py").read_text() == "print(1)"


def test_an_inline_environment_is_shared_by_content(assets: Assets, components: ComponentRegistration) -> None:
    inline = {"conda_file": {"dependencies": ["python=3.12"]}}
    both = [register(components, a_command(assets, name=name, environment=inline)).component for name in ("one", "two")]
    assert len({made.environment for made in both if isinstance(made, CommandComponent)}) == 1
    assert len(assets.store.versions(Environment)) == 2


def test_files_are_put_beside_the_code(assets: Assets, components: ComponentRegistration) -> None:
    assets.write("more/words/a.txt", "a")
    notes = assets.write("notes.txt", "n")
    beside = [str(assets.folder / "more" / "words"), str(notes)]
    made = register(components, a_command(assets, additional_includes=beside)).component
    assert isinstance(made, CommandComponent)
    found = {path.relative_to(made.code or "").as_posix() for path in Path(made.code or "").rglob("*.*")}
    assert found == {"prep.py", "score.py", "words/a.txt", "notes.txt"}
    with pytest.raises(InvalidInput, match=r"additional_includes\[0\]: .*holds prep.py, which is in"):
        register(components, a_command(assets, additional_includes=[str(assets.write("other/prep.py"))]))


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ({"code": "/absent"}, "code", "there is no folder /absent"),
        ({"environment": "azureml:other:1"}, None, "there is no other"),
        (
            {"environment": {"build": {"path": "/absent"}}},
            "environment.build.path",
            "there is no folder /absent",
        ),
        (
            {"environment": {"conda_file": {"dependencies": ["=="]}}},
            "environment.conda_file: dependencies[0]",
            "dependencies",
        ),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_made(
    assets: Assets, components: ComponentRegistration, keys: dict[str, Any], place: str | None, message: str
) -> None:
    with pytest.raises((InvalidInput, NotFound), match=message) as refused:
        register(components, a_command(assets, **keys))
    if place is not None:
        assert isinstance(refused.value, InvalidInput)
        assert refused.value.place == place
    assert assets.store.versions(RegisteredComponent) == []
    assert not (assets.folder / "home" / "registry" / "code").exists()


def test_a_task_names_a_script_of_its_code(assets: Assets, components: ComponentRegistration) -> None:
    made = register(components, a_task(assets)).component
    assert isinstance(made, ParallelComponent)
    assert (made.input_data, made.task.append_row_to) == ("images", "rows")
    task = {**a_task(assets)["task"], "entry_script": "absent.py"}
    with pytest.raises(InvalidInput, match=r"task.entry_script: there is no file absent.py in .*; it holds prep.py"):
        register(components, a_task(assets, task=task))


def a_pipeline(assets: Assets, **keys: Any) -> dict[str, Any]:
    return {
        "name": "whole",
        "type": "pipeline",
        "inputs": {"data": {"type": "uri_folder"}},
        "outputs": {"rows": {"type": "uri_file"}},
        "jobs": {
            "prepare": {
                "component": "azureml:prepare@latest",
                "inputs": {"data": "${{parent.inputs.data}}", "rate": 2},
            },
            "score": {
                "component": a_task(assets),
                "mini_batch_size": "3",
                "retry_settings": {"max_retries": 5},
                "resources": {"instance_count": 2},
                "inputs": {"images": "${{parent.jobs.prepare.outputs.made}}"},
                "outputs": {"rows": "${{parent.outputs.rows}}"},
            },
            "show": {
                "command": "ls ${{inputs.rows}} > ${{outputs.list}}/x",
                "environment_variables": {"A": "1"},
                "inputs": {"rows": "${{parent.jobs.score.outputs.rows}}"},
                "outputs": {"list": None},
                "limits": {"timeout": 9},
            },
        },
        **keys,
    }


def test_a_pipeline_holds_its_components_whole(assets: Assets, components: ComponentRegistration) -> None:
    register(components, a_command(assets))
    whole = register(components, a_pipeline(assets)).component
    assert isinstance(whole, PipelineComponent)
    prepare, score, show = whole.jobs
    assert (prepare.component.name, prepare.component.version) == ("prepare", "1")
    assert isinstance(score.component, ParallelComponent)
    assert score.component.name == ANONYMOUS_COMPONENT
    assert score.component.display_name == "score"
    assert str(score.component.mini_batch_size) == "3"
    assert (score.component.retry_settings.max_retries, score.component.instance_count) == (5, 2)
    assert isinstance(show.component, CommandComponent)
    assert show.component.inputs["rows"].type is ValueType.URI_FILE
    assert (show.component.environment_variables, show.environment_variables, show.timeout) == ({"A": "1"}, {}, 9)
    register(components, a_command(assets, command="false"))
    again = assets.store.get(RegisteredComponent, "whole", "1").component
    assert again == whole, "a newer version of a component changes no pipeline"
    assert register(components, a_pipeline(assets)).version == "2", "@latest is another one now"


def test_components_of_steps_are_registered_without_a_name(assets: Assets, components: ComponentRegistration) -> None:
    register(components, a_command(assets))
    register(components, a_pipeline(assets))
    anonymous = assets.store.versions(RegisteredComponent, ANONYMOUS_COMPONENT)
    assert len(anonymous) == 2
    assert all(each.is_anonymous and each.content_hash.startswith(each.version) for each in anonymous)


def test_what_is_shown_can_be_registered_again_as_the_same(assets: Assets, components: ComponentRegistration) -> None:
    register(components, a_command(assets))
    for document in (a_command(assets), a_task(assets), a_pipeline(assets)):
        made = register(components, document)
        shown = shown_asset(made)
        assert register(components, shown) == made
        del shown["version"]
        assert register(components, shown).version == made.version


def test_bindings_to_registered_components_are_checked(assets: Assets, components: ComponentRegistration) -> None:
    register(components, a_command(assets))
    pipeline = a_pipeline(assets)
    pipeline["jobs"]["prepare"]["inputs"]["colour"] = "red"
    with pytest.raises(InvalidInput, match=r"jobs.prepare.inputs.colour: the component has no such input"):
        register(components, pipeline)
    pipeline = a_pipeline(assets)
    pipeline["jobs"]["prepare"]["mini_batch_size"] = "5"
    with pytest.raises(InvalidInput, match=r"jobs.prepare.mini_batch_size: only a parallel component has it"):
        register(components, pipeline)
    with pytest.raises(NotFound, match="there is no absent"):
        register(components, a_pipeline(assets, outputs={}, jobs={"x": {"component": "azureml:absent:1"}}))
    assert len(assets.store.versions(RegisteredComponent)) == 1


def test_a_deployments_pipeline_gets_its_name_if_it_may_have_it(
    assets: Assets, components: ComponentRegistration
) -> None:
    register(components, a_command(assets))
    named = components.pipeline(parse_inline(body_document(a_pipeline(assets))))
    assert (named.name, named.version) == ("whole", "1")
    loose = components.pipeline(parse_inline(body_document(a_pipeline(assets, name="Loose-Name"))))
    assert (loose.name, loose.display_name) == (ANONYMOUS_COMPONENT, "Loose-Name")
    assert components.pipeline("azureml:whole@latest") == named
    with pytest.raises(InvalidInput, match="found a component of type command, wanted one of type pipeline"):
        components.pipeline("azureml:prepare:1")


def test_a_pipelines_job_is_made_whole(assets: Assets, components: ComponentRegistration) -> None:
    register(components, a_command(assets))
    document = {
        "type": "pipeline",
        "compute": "cpu",
        "inputs": {"data": {"type": "uri_folder", "path": "azureml:d:1"}, "count": "5"},
        "outputs": {"rows": None, "other": {"type": "uri_folder"}},
        "jobs": {
            **a_pipeline(assets)["jobs"],
            "more": {
                "command": "x ${{inputs.count}} ${{outputs.o}}",
                "inputs": {"count": "${{parent.inputs.count}}"},
                "outputs": {"o": "${{parent.outputs.other}}"},
            },
        },
    }
    spec = parse_job(body_document(document))
    assert isinstance(spec, PipelineJobSpec)
    job = components.pipeline_job(spec)
    assert job.component.outputs["rows"].type is ValueType.URI_FILE, "as the step that writes it"
    assert job.component.outputs["other"].type is ValueType.URI_FOLDER
    assert job.inputs["count"] == LiteralValue(value="5")
    assert job.settings.default_compute == "cpu"
    assert not job.settings.continue_on_step_failure
    assert job.component.jobs[1].inputs["images"] == StepOutput(step="prepare", output="made")


def test_a_job_of_a_registered_pipeline_gives_it_values(assets: Assets, components: ComponentRegistration) -> None:
    register(components, a_command(assets))
    register(components, a_pipeline(assets))
    document: dict[str, Any] = {
        "type": "pipeline",
        "component": "azureml:whole@latest",
        "inputs": {"data": {"path": "/data"}},
    }
    spec = parse_job(body_document(document))
    assert isinstance(spec, PipelineJobSpec)
    job = components.pipeline_job(spec)
    assert job.inputs == {"data": DataReference(path="/data", type=ValueType.URI_FOLDER)}
    for keys, message in (
        ({"inputs": {}}, r"inputs.data: missing; it is required"),
        ({"outputs": {"x": None}}, r"outputs.x: the component has no such output; it has: rows"),
        ({"component": "azureml:prepare:1"}, r"component: found a component of type command"),
    ):
        wrong = parse_job(body_document(document | keys))
        assert isinstance(wrong, PipelineJobSpec)
        with pytest.raises(InvalidInput, match=message):
            components.pipeline_job(wrong)


def test_a_command_job_is_made_whole(assets: Assets, components: ComponentRegistration) -> None:
    document = {
        "command": "python prep.py ${{inputs.n}} ${{outputs.o}}",
        "code": str(assets.folder / "src"),
        "environment": "azureml:env:1",
        "environment_variables": {"A": 1},
        "inputs": {"n": 5},
        "outputs": {"o": {"type": "uri_file"}},
        "compute": "cpu",
        "limits": {"timeout": 9},
        "name": "job-1",
    }
    spec = parse_job(body_document(document))
    assert isinstance(spec, CommandJobSpec)
    job = components.command_job(spec)
    assert (job.name, job.compute, job.timeout) == ("job-1", "cpu", 9)
    assert job.component.name == ANONYMOUS_COMPONENT
    assert job.component.outputs["o"].type is ValueType.URI_FILE
    assert job.inputs == {"n": LiteralValue(value=5)}
    kept = assets.store.get(RegisteredComponent, ANONYMOUS_COMPONENT, job.component.version)
    assert replace(job.component, display_name=None) == kept.component
