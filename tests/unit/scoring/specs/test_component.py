"""Components as YAML: every key is read, and what is wrong is refused with its line, its path and the mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.errors import InvalidInput
from scoring.specs.component import CommandComponentSpec, ParallelComponentSpec
from scoring.specs.document import body_document, load_document
from scoring.specs.pipeline import ComponentSpec, parse_component, parse_inline
from scoring.specs.validation import without_effect

COMMAND = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
name: prepare_data
version: 0.10
type: command
display_name: Prepare
description: cuts and scales
tags: {team: 7}
properties: {a: true}
is_deterministic: false
inputs:
  data: {type: uri_folder, mode: download, description: raw}
  model: {type: mlflow_model, default: azureml:net@latest}
  rate: {type: number, default: 0.1, min: 0, max: 1}
  count: {type: integer, default: "3", enum: [1, 3, 5]}
  note: {type: string, optional: true}
outputs:
  made: {type: uri_folder, mode: rw_mount}
  log:
command: >-
  python prep.py --data ${{inputs.data}} --rate ${{inputs.rate}} $[[--note ${{inputs.note}}]] --out ${{outputs.made}}
code: src
additional_includes: [../shared_code, notes.txt]
environment: azureml:env:1
environment_variables: {A: 010, B: yes}
resources: {instance_count: 1, instance_type: Standard_DS3_v2, shm_size: 2g, properties: {x: 1}}
distribution: {type: pytorch, process_count_per_instance: 1}
"""
PARALLEL = """\
name: score
version: 1
type: parallel
inputs:
  images: {type: uri_folder}
  rate: {type: number, default: 1}
outputs:
  rows: {type: uri_file}
input_data: ${{inputs.images}}
mini_batch_size: "10kb"
max_concurrency_per_instance: 3
error_threshold: 5
mini_batch_error_threshold: 2
retry_settings: {max_retries: 4, timeout: 90}
logging_level: DEBUG
resources: {instance_count: 2}
environment_variables: {A: 1}
identity: {type: managed}
task:
  type: run_function
  code: src
  entry_script: batch/score.py
  program_arguments: --rate ${{inputs.rate}}
  environment:
    image: python:3.12
  append_row_to: ${{outputs.rows}}
"""


def parsed(text: str, folder: Path = Path("/folder/in")) -> ComponentSpec:
    return parse_component(load_document(text.encode(), file="c.yml", folder=folder))


def refused(text: str) -> str:
    with pytest.raises(InvalidInput) as refusal:
        parsed(text)
    return str(refusal.value)


def test_every_key_of_a_command_is_read() -> None:
    spec = parsed(COMMAND)
    assert isinstance(spec, CommandComponentSpec)
    assert (spec.name, spec.version, spec.display_name, spec.is_deterministic) == (
        "prepare_data", "0.10", "Prepare", False,
    )  # fmt: skip
    assert spec.code == "/folder/in/src"
    assert spec.additional_includes == ["/folder/shared_code", "/folder/in/notes.txt"]
    assert spec.environment_variables == {"A": "010", "B": "yes"}
    assert spec.inputs["count"].declaration().default == 3
    assert spec.inputs["count"].declaration().enum == (1, 3, 5)
    assert spec.inputs["data"].declaration().mode == "download"
    assert spec.outputs["log"].type == "uri_folder"
    assert without_effect(spec) == [
        "distribution", "resources.instance_type", "resources.properties", "resources.shm_size",
    ]  # fmt: skip


def test_every_key_of_a_parallel_component_is_read() -> None:
    spec = parsed(PARALLEL)
    assert isinstance(spec, ParallelComponentSpec)
    assert (spec.input_data, spec.mini_batch_size) == ("${{inputs.images}}", "10KB")
    assert (spec.max_concurrency_per_instance, spec.error_threshold, spec.mini_batch_error_threshold) == (3, 5, 2)
    assert spec.retry_settings is not None
    assert (spec.retry_settings.max_retries, spec.retry_settings.timeout) == (4, 90)
    assert (spec.logging_level, spec.resources.instance_count) == ("debug", 2)
    assert (spec.task.code, spec.task.entry_script) == ("/folder/in/src", "batch/score.py")
    assert without_effect(spec) == ["identity"]


@pytest.mark.parametrize("text", [COMMAND, PARALLEL])
def test_the_body_of_a_request_says_the_same(text: str) -> None:
    spec = parsed(text)
    body: dict[str, Any] = spec.model_dump(mode="json", exclude_none=True)
    assert parse_component(body_document(body)) == spec


def test_a_command_needs_no_type_and_an_inline_one_no_name() -> None:
    spec = parse_inline(body_document({"command": "echo hello"}))
    assert (spec.type, spec.name) == ("command", None)
    assert parse_inline(body_document({"name": "with-hyphen", "command": "true"})).name == "with-hyphen"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("name: prepare_data", "name: prepare-data"),
            "c.yml:2: name: found 'prepare-data'; a component's name has up",
        ),
        (("name: prepare_data", "name: 9prepare"), "c.yml:2: name: found '9prepare'; a component's name"),
        (("name: prepare_data\n", ""), "c.yml:1: name: missing; it is required"),
        (("type: command", "type: sweep"), "c.yml:4: type: found 'sweep', which cannot be run here: there is no tuner"),
        (("type: command", "type: spark"), "c.yml:4: type: found 'spark', which cannot be run here: there is no Spark"),
        (("type: command", "type: automl"), "found 'automl', which cannot be run here: it is a service of Azure's"),
        (("type: command", "type: import"), "found 'import', which cannot be run here: there are no connections"),
        (("type: command", "type: comand"), "c.yml:4: type: found 'comand', allowed: command, parallel, pipeline"),
        (("code: src", "cod: src"), "c.yml:21: cod: unknown key; did you mean 'code'? allowed: "),
        (("{type: number, default: 0.1", "{type: nmber, default: 0.1"), "inputs.rate.type: found 'nmber', allowed: s"),
        (("default: 0.1, min", "default: 2, min"), "c.yml:13: inputs.rate.default: found 2, must be at most 1"),
        (("min: 0, max: 1", "min: 2, max: 1"), "inputs.rate.min: found a number larger than max"),
        (('default: "3"', "default: 4"), "inputs.count.default: found 4, allowed: 1, 3, 5"),
        (("enum: [1, 3, 5]", "enum: [1, x]"), "inputs.count.enum: found 'x', wanted an integer"),
        (("{type: string, optional: true}", "{type: string, min: 1}"), "inputs.note.min: only numbers and integers"),
        (("{type: string, optional: true}", "{type: string, mode: direct}"), "inputs.note.mode: only data has it"),
        (("mode: download, d", "enum: [a], d"), "inputs.data.enum: only literals have it"),
        (("mode: download", "mode: donwload"), "inputs.data.mode: found 'donwload', allowed: ro_mount"),
        (("  log:", "  log: {type: string}"), "outputs.log.type: found 'string'; an output is a file or a folder"),
        (("  log:", "  a b:"), "outputs.a b: found 'a b'; a name has up to 128 letters"),
        (("${{inputs.rate}}", "${{inputs.rte}}"), "c.yml:19: command: found ${{inputs.rte}}, but there is no such in"),
        (("${{outputs.made}}", "${{outputs.mde}}"), "there is no such output; there are: log, made"),
        (("$[[--note ${{inputs.note}}]]", "${{inputs.note}}"), "command: input note is optional; write $[["),
        (("type: pytorch", "type: mpi"), "c.yml:26: distribution.type: found 'mpi': there is no MPI here"),
        (("type: pytorch", "type: ray"), "distribution.type: found 'ray': there is no Ray cluster"),
        (("process_count_per_instance: 1", "process_count_per_instance: 2"), "found the number 2; a command runs as"),
        (("process_count_per_instance: 1", "processes: 2"), "distribution.processes: unknown key"),
        (
            ("instance_count: 1", "instance_count: 4"),
            "resources.instance_count: found 4; a command runs as one process",
        ),
        (("code: src\n", ""), "additional_includes: they are put beside the files of `code`, which is missing"),
        (("default: azureml:net@latest", "default: azureml:net@prod"), "inputs.model.default: found the label '@prod'"),
        (("code: src", "code: s3://bucket/src"), "code: found 's3://bucket/src', a store of a cloud"),
    ],
)
def test_what_is_wrong_in_a_command_is_refused(change: tuple[str, str], message: str) -> None:
    assert message in refused(COMMAND.replace(*change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("input_data: ${{inputs.images}}", "input_data: ${{inputs.imges}}"),
            "input_data: there is no input imges; th",
        ),
        (
            ("input_data: ${{inputs.images}}", "input_data: ${{inputs.rate}}"),
            "input rate is of type number; wanted data",
        ),
        (
            ("input_data: ${{inputs.images}}", "input_data: images"),
            "input_data: found 'images', wanted ${{inputs.NAME}}",
        ),
        (
            ("append_row_to: ${{outputs.rows}}", "append_row_to: ${{outputs.row}}"),
            "task.append_row_to: there is no outp",
        ),
        (("append_row_to: ${{outputs.rows}}", "append_row_to: ${{inputs.images}}"), "wanted ${{outputs.NAME}}"),
        (('mini_batch_size: "10kb"\n', ""), "mini_batch_size: missing; give it, or partition_keys"),
        (('"10kb"', '"10 apples"'), "mini_batch_size: found '10 apples'; wanted a number of files such as 10"),
        (('"10kb"', '"10"\npartition_keys: [a]'), "partition_keys: mini_batch_size is given, too"),
        (("type: run_function", "type: batch"), "task.type: found 'batch', allowed: run_function, function, model"),
        (("type: run_function", "type: model"), "task.model: missing; a task of type model has one"),
        (("  entry_script: batch/score.py\n", ""), "task.entry_script: missing; it is required"),
        (("  code: src\n", ""), "task.code: missing; it is required"),
        (("batch/score.py", "../score.py"), "task.entry_script: found '../score.py'; wanted a .py file inside"),
        (("--rate ${{inputs.rate}}", "--rate ${{inputs.rte}}"), "task.program_arguments: found ${{inputs.rte}}"),
        (("max_retries: 4", "max_retries: 0"), "retry_settings.max_retries: found the number 0, must be at least 1"),
        (("timeout: 90", "timeout: 999999"), "retry_settings.timeout: found the number 999999, must be at most 259200"),
        (("error_threshold: 5", "error_threshold: -2"), "error_threshold: found the number -2, must be at least -1"),
    ],
)
def test_what_is_wrong_in_a_parallel_component_is_refused(change: tuple[str, str], message: str) -> None:
    assert message in refused(PARALLEL.replace(*change))


def test_partition_keys_take_the_place_of_a_size() -> None:
    spec = parsed(PARALLEL.replace('mini_batch_size: "10kb"', "partition_keys: [site, day]"))
    assert isinstance(spec, ParallelComponentSpec)
    assert (spec.mini_batch_size, spec.partition_keys) == (None, ["site", "day"])


def test_a_model_alone_can_be_the_task() -> None:
    task = "task:\n  type: model\n  model: azureml:net@latest\n  append_row_to: ${{outputs.rows}}\n"
    spec = parsed(PARALLEL[: PARALLEL.index("task:")] + task)
    assert isinstance(spec, ParallelComponentSpec)
    assert (spec.task.model, spec.task.code) == ("azureml:net@latest", None)
    assert "a task of type model has none" in refused(
        PARALLEL[: PARALLEL.index("task:")] + task + "  entry_script: score.py\n"
    )
