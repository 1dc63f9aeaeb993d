"""Jobs of pipelines and commands as YAML, and what `--set` changes in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.components.binding import DataReference, LiteralValue
from scoring.components.declared import ValueType
from scoring.errors import InvalidInput
from scoring.specs.bound import job_values, targets
from scoring.specs.document import body_document, load_document
from scoring.specs.pipeline_job import CommandJobSpec, PipelineJobSpec, parse_job
from scoring.specs.validation import without_effect

PIPELINE = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
name: job-1
experiment_name: trials
display_name: First
description: d
tags: {a: 1}
properties: {b: 2}
inputs:
  data: {type: uri_folder, path: ./data, mode: ro_mount}
  named: {type: uri_file, path: azureml:images@latest}
  count: 5
  rate: {type: number, default: "0.5"}
  flag: true
  left_out:
outputs:
  rows: {type: uri_file, mode: rw_mount, path: "azureml://datastores/${{default_datastore}}/paths/x/${{name}}/"}
  log:
settings:
  default_compute: azureml:cpu
  default_datastore: azureml:plant
  continue_on_step_failure: true
  force_rerun: true
compute: azureml:other
services: {x: {}}
identity: {type: user_identity}
jobs:
  a:
    command: work ${{inputs.data}} ${{inputs.count}} ${{outputs.rows}} ${{outputs.log}}
    inputs: {data: "${{parent.inputs.data}}", count: "${{parent.inputs.count}}"}
    outputs: {rows: "${{parent.outputs.rows}}", log: "${{parent.outputs.log}}"}
"""
COMMAND = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
name: job-2
display_name: Second
description: d
tags: {a: 1}
properties: {b: 2}
experiment_name: trials
command: python x.py --data ${{inputs.data}} --n ${{inputs.n}} --out ${{outputs.out}}
code: src
environment: azureml:e@latest
environment_variables: {A: 1}
inputs:
  data: {type: uri_file, path: data/x.csv}
  n: 3
outputs:
  out:
compute: azureml:cpu
resources: {instance_count: 1}
distribution: {type: tensorflow}
limits: {timeout: 60}
queue_settings: {job_tier: standard}
services: {x: {}}
identity: {type: managed}
"""


def parsed(text: str, *sets: str) -> PipelineJobSpec | CommandJobSpec:
    return parse_job(load_document(text.encode(), file="j.yml", folder=Path("/folder/in")).with_settings(sets))


def refused(text: str, *sets: str) -> str:
    with pytest.raises(InvalidInput) as refusal:
        parsed(text, *sets)
    return str(refusal.value)


def test_every_key_of_a_pipelines_job_is_read() -> None:
    spec = parsed(PIPELINE)
    assert isinstance(spec, PipelineJobSpec)
    assert job_values(spec.inputs) == {
        "data": DataReference(path="/folder/in/data", type=ValueType.URI_FOLDER, mode="ro_mount"),
        "named": DataReference(path="azureml:images@latest", type=ValueType.URI_FILE),
        "count": LiteralValue(value=5),
        "rate": LiteralValue(value=0.5),
        "flag": LiteralValue(value=True),
    }
    rows = targets(spec.outputs)["rows"]
    assert rows.path == "azureml://datastores/${{default_datastore}}/paths/x/${{name}}/"
    settings = spec.settings.settings(continues=False, compute=spec.compute)
    assert (settings.default_compute, settings.default_datastore) == ("cpu", "plant")
    assert (settings.continue_on_step_failure, settings.force_rerun) == (True, True)
    assert without_effect(spec) == ["identity", "services"]


def test_every_key_of_a_command_job_is_read() -> None:
    spec = parsed(COMMAND)
    assert isinstance(spec, CommandJobSpec)
    assert (spec.type, spec.code, spec.compute, spec.limits.timeout) == ("command", "/folder/in/src", "cpu", 60)
    assert job_values(spec.inputs)["data"] == DataReference(path="/folder/in/data/x.csv", type=ValueType.URI_FILE)
    assert without_effect(spec) == ["distribution", "identity", "queue_settings", "services"]


@pytest.mark.parametrize("text", [PIPELINE, COMMAND])
def test_the_body_of_a_request_says_the_same(text: str) -> None:
    spec = parsed(text)
    body: dict[str, Any] = spec.model_dump(mode="json", exclude_none=True)
    assert parse_job(body_document(body)) == spec


def test_the_jobs_compute_is_that_of_steps_where_settings_name_none() -> None:
    spec = parsed(PIPELINE.replace("  default_compute: azureml:cpu\n", ""))
    assert isinstance(spec, PipelineJobSpec)
    settings = spec.settings.settings(continues=False, compute=spec.compute)
    assert settings.default_compute == "other"


def test_a_set_path_is_relative_to_the_files_folder_and_values_are_cast() -> None:
    spec = parsed(PIPELINE, "inputs.data.path=elsewhere/data", "inputs.rate.default=2", "settings.force_rerun=false")
    assert isinstance(spec, PipelineJobSpec)
    values = job_values(spec.inputs)
    assert values["data"] == DataReference(path="/folder/in/elsewhere/data", type=ValueType.URI_FOLDER, mode="ro_mount")
    assert values["rate"] == LiteralValue(value=2.0)
    assert not spec.settings.force_rerun
    assert "--set inputs.data.typ=uri_file: inputs.data.typ: unknown key" in refused(
        PIPELINE, "inputs.data.typ=uri_file"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("type: pipeline", "type: spark"),
            "j.yml:2: type: found 'spark', which cannot be run here: there is no Spark",
        ),
        (("type: pipeline", "type: parallel"), "j.yml:2: type: found 'parallel'; write it as a step of a pipeline"),
        (("type: pipeline", "type: pipelin"), "j.yml:2: type: found 'pipelin', allowed: command, pipeline"),
        (
            ("  count: 5", "  count: ${{parent.inputs.x}}"),
            "inputs.count: found the expression '${{parent.inputs.x}}'; a",
        ),
        (('default: "0.5"', "default: x"), "j.yml:13: inputs.rate.default: found 'x', wanted a number"),
        (('{type: number, default: "0.5"}', "{type: number}"), "inputs.rate.value: missing; it is required"),
        (
            ('{type: number, default: "0.5"}', "{default: 5}"),
            "inputs.rate.default: only literals have it; give the type",
        ),
        (
            ('{type: number, default: "0.5"}', "{type: number, path: x}"),
            "inputs.rate.path: an input of type number has",
        ),
        (("path: ./data, ", ""), "inputs.data.path: missing; it is required"),
        (("path: ./data", "path: wasbs://c@a/x"), "inputs.data.path: found 'wasbs://c@a/x', a store of a cloud that"),
        (
            ("default_compute: azureml:cpu", "default_comput: x"),
            "j.yml:20: settings.default_comput: unknown key; did y",
        ),
        (("force_rerun: true", "force_rerun: 5"), "settings.force_rerun: found the number 5, wanted true or false"),
        (
            ("  log:\n", "  log: ${{parent.outputs.x}}\n"),
            "outputs.log.path: found the expression '${{parent.outputs.x}}'",
        ),
        (("  log:\n", ""), "jobs.a.outputs.log: found ${{parent.outputs.log}}, but the pipeline has no such output"),
        (("  count: 5\n", ""), "jobs.a.inputs.count: found ${{parent.inputs.count}}, but the pipeline has no such inp"),
        (("jobs:\n", "component: azureml:whole:1\njobs:\n"), "component: jobs are given, too; a pipeline has steps"),
        (("name: job-1", "name: a b"), "j.yml:3: name: found 'a b'; a name has up to 128"),
    ],
)
def test_what_is_wrong_in_a_pipelines_job_is_refused(change: tuple[str, str], message: str) -> None:
    assert change[0] in PIPELINE
    assert message in refused(PIPELINE.replace(*change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("--n ${{inputs.n}}", "--n ${{inputs.m}}"),
            "j.yml:8: command: found ${{inputs.m}}, but there is no such input",
        ),
        (("command: python", "comand: python"), "j.yml:8: comand: unknown key; did you mean 'command'?"),
        (("type: tensorflow", "type: mpi"), "distribution.type: found 'mpi': there is no MPI here"),
        (
            ("instance_count: 1", "instance_count: 2"),
            "resources.instance_count: found 2; a command runs as one process",
        ),
        (("limits: {timeout: 60}", "limits: {timeout: soon}"), "limits.timeout: found 'soon', wanted an integer"),
        (("  n: 3", "  n: {type: integer, value: x}"), "inputs.n.value: found 'x', wanted an integer"),
    ],
)
def test_what_is_wrong_in_a_command_job_is_refused(change: tuple[str, str], message: str) -> None:
    assert change[0] in COMMAND
    assert message in refused(COMMAND.replace(*change))


COMPONENT = """\
type: pipeline
inputs: {d: {type: uri_folder}, n: {type: integer, default: 1}}
outputs: {o: {type: uri_folder}}
jobs:
  s:
    command: x ${{outputs.o}}
    outputs: {o: "${{parent.outputs.o}}"}
"""


def test_a_job_may_have_a_component_in_place_of_steps(tmp_path: Path) -> None:
    (tmp_path / "whole.yml").write_text(COMPONENT)
    job = "type: pipeline\ncomponent: whole.yml\ninputs: {d: {path: x}, n: 2}\noutputs: {o: }\n"

    def made(text: str) -> object:
        return parse_job(load_document(text.encode(), file="j.yml", folder=tmp_path))

    assert isinstance(made(job), PipelineJobSpec)
    for change, message in (
        (("{path: x}", "5"), "inputs.d: found 5, wanted data of type uri_folder"),
        (("d: {path: x}, ", ""), "inputs.d: missing; it is required, of type uri_folder"),
        (("n: 2", "m: 2"), "inputs.m: there is no such input; there are: d, n"),
        (("n: 2", "n: x"), "inputs.n: found 'x', wanted an integer"),
        (("{o: }", "{p: }"), "outputs.p: the component has no such output; it has: o"),
        (
            ("component: whole.yml", "component: {command: x}"),
            "component: found a component of type command, wanted one",
        ),
        (("component: whole.yml\n", ""), "jobs: missing; give the steps, or a component"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            made(job.replace(*change))
        assert message in str(refusal.value)
