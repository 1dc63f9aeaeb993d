"""Pipelines and their steps as YAML; components in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.errors import InvalidInput
from scoring.specs.component import CommandComponentSpec
from scoring.specs.document import body_document, load_document, read_document
from scoring.specs.pipeline import (
    MAX_FILES_DEEP,
    CommandStep,
    ComponentStep,
    ParallelStep,
    PipelineComponentSpec,
    parse_component,
    parse_inline,
)

PIPELINE = """\
name: whole
type: pipeline
display_name: Whole
inputs:
  data: {type: uri_folder}
  rate: {type: number, default: 0.5}
outputs:
  rows: {type: uri_folder}
jobs:
  prepare:
    command: prep ${{inputs.data}} ${{inputs.text}} ${{inputs.number}} ${{inputs.flag}} > ${{outputs.made}}/x
    code: src
    environment: azureml:env:1
    environment_variables: {A: 1}
    inputs:
      data: ${{parent.inputs.data}}
      text: hello
      number: 5
      flag: true
    outputs:
      made:
    compute: azureml:cpu
    limits: {timeout: 60}
    comment: cuts
    services: {x: {}}
    identity: {type: user_identity}
    resources: {instance_count: 1}
  score:
    type: parallel
    inputs:
      images: {type: uri_folder, path: "${{parent.jobs.prepare.outputs.made}}", mode: direct}
      rate: ${{parent.inputs.rate}}
    outputs:
      rows: {type: uri_folder, path: "${{parent.outputs.rows}}", mode: upload}
    input_data: ${{inputs.images}}
    mini_batch_size: "10"
    task:
      type: run_function
      code: src
      entry_script: score.py
      program_arguments: --rate ${{inputs.rate}}
      append_row_to: ${{outputs.rows}}
  check:
    type: command
    component: azureml:check_rows@latest
    inputs: {rows: "${{parent.jobs.score.outputs.rows}}", least: 5}
    outputs: {report: {path: "azureml://datastores/d/paths/${{name}}/report", name: report, version: 3}}
    compute: serverless
"""


def parsed(text: str) -> PipelineComponentSpec:
    spec = parse_component(load_document(text.encode(), file="p.yml", folder=Path("/folder/in")))
    assert isinstance(spec, PipelineComponentSpec)
    return spec


def refused(text: str) -> str:
    with pytest.raises(InvalidInput) as refusal:
        parsed(text)
    return str(refusal.value)


def test_every_key_of_a_step_is_read() -> None:
    prepare, score, check = parsed(PIPELINE).jobs.values()
    assert isinstance(prepare, CommandStep)
    assert (prepare.code, prepare.compute, prepare.limits.timeout) == ("/folder/in/src", "cpu", 60)
    assert prepare.outputs["made"].target().path is None
    assert isinstance(score, ParallelStep)
    assert score.outputs["rows"].target().parent_output == "rows"
    assert isinstance(check, ComponentStep)
    assert (check.component, check.compute) == ("azureml:check_rows@latest", "local")
    target = check.outputs["report"].target()
    assert (target.path, target.name, target.version) == (
        "azureml://datastores/d/paths/${{name}}/report",
        "report",
        "3",
    )


def test_the_body_of_a_request_says_the_same() -> None:
    spec = parsed(PIPELINE)
    body: dict[str, Any] = spec.model_dump(mode="json", exclude_none=True)
    assert parse_component(body_document(body)) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("data: ${{parent.inputs.data}}", "data: ${{parent.inputs.dta}}"),
            "p.yml:16: jobs.prepare.inputs.data: found",
        ),
        (("data: ${{parent.inputs.data}}", "data: ${{inputs.data}}"), "did you mean ${{parent.inputs.data}}?"),
        (("data: ${{parent.inputs.data}}", "data: x${{parent.inputs.data}}"), "an expression is the whole value"),
        (("text: hello", "text: [a]"), "p.yml:17: jobs.prepare.inputs.text: found a list, wanted a text"),
        (("jobs.prepare.outputs.made", "jobs.prepre.outputs.made"), "there is no such step; there are: check, prepare"),
        (("jobs.prepare.outputs.made", "jobs.prepare.outputs.mde"), "that step has no such output; it has: made"),
        (("jobs.prepare.outputs.made", "jobs.score.outputs.rows"), "an output of the step itself"),
        (
            ("data: ${{parent.inputs.data}}", 'data: "${{parent.jobs.score.outputs.rows}}"'),
            "the steps wait for each ot",
        ),
        (('path: "${{parent.outputs.rows}}"', 'path: "${{parent.outputs.rws}}"'), "the pipeline has no such output"),
        (('path: "${{parent.outputs.rows}}", ', ""), "p.yml:8: outputs.rows: no step writes it; bind an output of a"),
        (
            ("prep ${{inputs.data}}", "prep ${{inputs.dta}}"),
            "p.yml:11: jobs.prepare.command: found ${{inputs.dta}}, but",
        ),
        (
            ("  score:\n    type: parallel", "  score:\n    type: sweep"),
            "p.yml:29: jobs.score.type: found 'sweep', which",
        ),
        (
            ("  score:\n    type: parallel", "  score:\n    type: pipeline"),
            "jobs.score.component: missing; a step of type",
        ),
        (
            ("component: azureml:check_rows@latest", "component: azureml:check@prod"),
            "jobs.check.component: found the la",
        ),
        (
            ("component: azureml:check_rows@latest", "component: 5"),
            "jobs.check.component: found the number 5; wanted a",
        ),
        (
            ("type: command\n    component", "mini_batch_size: x\n    component"),
            "jobs.check.mini_batch_size: found 'x'",
        ),
        (
            ("type: command\n    component", "type: command\n    mini_batch_size: 5\n    component"),
            "only a parallel com",
        ),
        (("compute: azureml:cpu", "compute: a b"), "jobs.prepare.compute: found 'a b'; a name has 2 to 64"),
        (("limits: {timeout: 60}", "limits: {timeout: 0}"), "jobs.prepare.limits.timeout: found the number 0, must be"),
        (("comment: cuts", "coment: cuts"), "p.yml:24: jobs.prepare.coment: unknown key; did you mean 'comment'?"),
        (("paths/${{name}}/report", "paths/${{user}}/report"), "outputs.report.path: found the expression '${{user}}'"),
        (
            (", name: report, version: 3", ", version: 3"),
            "outputs.report.version: only an output with a name has a ver",
        ),
        (
            ('"azureml://datastores/d/paths/${{name}}/report"', "https://x/y"),
            "an output goes to a folder of this machine",
        ),
        (("  prepare:\n", "  pre pare:\n"), "found 'pre pare'; a name has up to 128 letters"),
        (
            ("input_data: ${{inputs.images}}", "input_data: ${{inputs.rate}}"),
            "jobs.score.input_data: input rate is of ty",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(change: tuple[str, str], message: str) -> None:
    assert change[0] in PIPELINE
    assert message in refused(PIPELINE.replace(*change))


def test_a_pipeline_has_steps() -> None:
    assert "p.yml:1: jobs: missing; it is required" in refused("name: whole\ntype: pipeline\n")
    assert "p.yml:3: jobs: found no step; a pipeline has one at least" in refused("name: w\ntype: pipeline\njobs: {}\n")
    many = "".join(f"  s{number}: {{command: 'true'}}\n" for number in range(501))
    assert "jobs: " in refused(f"name: w\ntype: pipeline\njobs:\n{many}")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


TRAIN = """\
name: train
command: train ${{inputs.x}} ${{outputs.y}}
code: ./src
inputs: {x: {type: uri_file}}
outputs: {y: }
"""
OUTER = """\
type: pipeline
inputs: {d: {type: uri_file}}
jobs:
  one:
    component: %s
    inputs: {x: '${{parent.inputs.d}}'}
"""
HELLO = """\
type: pipeline
jobs:
  hello:
    component:
      command: echo hello
      environment: azureml:e@latest
"""


@pytest.mark.parametrize("written", ["../parts/train.yml", "file:../parts/train.yml", "{path}"])
def test_a_components_file_is_read_and_its_paths_are_relative_to_itself(tmp_path: Path, written: str) -> None:
    train = write(tmp_path, "parts/train.yml", "$schema: x\n" + TRAIN + "environment: {conda_file: ../conda.yml}\n")
    write(tmp_path, "conda.yml", "dependencies: [python=3.12]\n")
    outer = write(tmp_path, "pipelines/whole.yml", OUTER % written.replace("{path}", str(train)))
    spec = parse_inline(read_document(outer))
    assert isinstance(spec, PipelineComponentSpec)
    (step,) = spec.jobs.values()
    assert isinstance(step, ComponentStep)
    assert isinstance(step.component, CommandComponentSpec)
    assert step.component.code == str(tmp_path / "parts" / "src")
    assert parse_inline(body_document(spec.model_dump(mode="json", exclude_none=True))) == spec


def test_what_is_wrong_in_a_components_file_names_both_files(tmp_path: Path) -> None:
    write(tmp_path, "train.yml", TRAIN.replace("code:", "cod:"))
    outer = write(tmp_path, "whole.yml", OUTER % "train.yml")
    with pytest.raises(InvalidInput) as refusal:
        parse_inline(read_document(outer))
    inner = f"{tmp_path}/train.yml:3: cod: unknown key; did you mean 'code'?"
    assert f"{outer}:5: jobs.one.component: {inner}" in str(refusal.value)


def test_a_step_is_checked_against_the_components_file(tmp_path: Path) -> None:
    write(tmp_path, "train.yml", TRAIN)
    text = OUTER % "train.yml"
    for change, message in (
        (("{x: '", "{z: '"), "jobs.one.inputs.z: the component has no such input; it has: x"),
        ((" '${{parent.inputs.d}}'", " 5"), "jobs.one.inputs.x: found 5, wanted data of type uri_file"),
        (("    component", "    type: parallel\n    component"), "found 'parallel', but the component is of type com"),
        (("train.yml", "other.yml"), "jobs.one.component: " + str(tmp_path / "other.yml") + ": no such file"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            parse_inline(read_document(write(tmp_path, "whole.yml", text.replace(*change))))
        assert message in str(refusal.value)


def test_files_that_hold_each_other_are_refused(tmp_path: Path) -> None:
    step = "    type: pipeline\n    component: %s\n"
    one = write(tmp_path, "one.yml", "type: pipeline\njobs:\n  s:\n" + step % "two.yml")
    write(tmp_path, "two.yml", "type: pipeline\njobs:\n  s:\n" + step % "one.yml")
    with pytest.raises(InvalidInput, match=r"found 'one.yml', a file that holds this one"):
        parse_inline(read_document(one))


def test_files_are_not_read_without_end(tmp_path: Path) -> None:
    for number in range(MAX_FILES_DEEP + 2):
        step = f"  s: {{component: {number + 1}.yml}}\n"
        write(tmp_path, f"{number}.yml", "type: pipeline\njobs:\n" + step)
    with pytest.raises(InvalidInput, match="one file too many; at most 8 files within each other"):
        parse_inline(read_document(tmp_path / "0.yml"))
    wide = "".join(f"  s{number}: {{component: leaf.yml}}\n" for number in range(100))
    write(tmp_path, "leaf.yml", "command: 'true'\n")
    write(tmp_path, "wide.yml", "type: pipeline\njobs:\n" + wide)
    write(tmp_path, "wider.yml", "type: pipeline\njobs:\n" + wide.replace("leaf", "wide"))
    with pytest.raises(InvalidInput, match="300 files in all"):
        parse_inline(read_document(tmp_path / "wider.yml"))


def test_a_request_names_no_file() -> None:
    body = {"type": "pipeline", "jobs": {"s": {"component": "./train.yml"}}}
    with pytest.raises(InvalidInput, match=r"jobs.s.component: .*a request holds the component itself, not its path"):
        parse_inline(body_document(body))


def test_hello_has_a_component_without_name_type_and_inputs() -> None:
    spec = parse_inline(load_document(HELLO.encode(), file="hello.yml"))
    assert isinstance(spec, PipelineComponentSpec)
    (step,) = spec.jobs.values()
    assert isinstance(step, ComponentStep)
    assert isinstance(step.component, CommandComponentSpec)
    assert step.component.command == "echo hello"
