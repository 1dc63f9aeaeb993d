"""Mutated YAML: whatever is done to a valid file, it is taken, or refused with its line; nothing else comes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InvalidInput
from scoring.specs.compute import ComputeSpec
from scoring.specs.data import DataSpec
from scoring.specs.datastore import parse_datastore
from scoring.specs.deployment import parse_deployment
from scoring.specs.document import Document, load_document, shown_path
from scoring.specs.endpoint import EndpointSpec
from scoring.specs.environment import EnvironmentSpec
from scoring.specs.invocation import InvocationSpec
from scoring.specs.model import ModelSpec
from scoring.specs.pipeline import parse_component
from scoring.specs.pipeline_deployment import parse_pipeline_deployment
from scoring.specs.pipeline_job import parse_job
from scoring.specs.schedule import parse_schedule
from scoring.specs.validation import parse
from tests.effort import examples

FILES: dict[str, tuple[str, Callable[[Document], object]]] = {
    "endpoint": (
        "name: pump-health\ndescription: d\ntags: {a: b}\nauth_mode: aad_token\ndefaults:\n  deployment_name: torch\n",
        lambda document: parse(EndpointSpec, document),
    ),
    "compute": (
        "name: cpu\ntype: amlcompute\nmin_instances: 0\nmax_instances: 4\nidle_time_before_scale_down: 120\n"
        "tier: dedicated\n",
        lambda document: parse(ComputeSpec, document),
    ),
    "model": (
        "name: pumps\nversion: 1\npath: ./model\ntype: custom_model\ntags:\n  a: 1\n",
        lambda document: parse(ModelSpec, document),
    ),
    "data": (
        "$schema: x\nname: images\nversion: 1\ntype: uri_folder\npath: azureml://datastores/plant/paths/images\n"
        "description: d\ntags: {a: b}\nproperties:\n  c: d\ndatastore: azureml:plant\n",
        lambda document: parse(DataSpec, document),
    ),
    "environment": (
        "name: torch\nversion: 1\nimage: python:3.12\nconda_file:\n  channels: [conda-forge]\n  dependencies:\n"
        "  - python=3.8.5\n  - pip:\n    - torch\nos_type: linux\ninference_config:\n"
        "  liveness_route: {port: 1, path: /}\n  readiness_route: {port: 1, path: /}\n"
        "  scoring_route: {port: 1, path: /}\ntags: {a: b}\n",
        lambda document: parse(EnvironmentSpec, document),
    ),
    "build": (
        "name: torch\nbuild:\n  path: docker\n  dockerfile_path: Dockerfile\n",
        lambda document: parse(EnvironmentSpec, document),
    ),
    "datastore": ("name: plant\ntype: local_folder\npath: data\ndescription: d\ntags: {a: b}\n", parse_datastore),
    "blob": (
        "name: cloud\ntype: azure_blob\naccount_name: a\ncontainer_name: c\nprotocol: https\ncredentials:\n"
        "  account_key: k\n",
        parse_datastore,
    ),
    "deployment": (
        "type: model\nname: torch\nendpoint_name: pump-health\nmodel: azureml:pumps@latest\ncode_configuration:\n"
        "  code: src\n  scoring_script: score.py\ncompute: azureml:cpu\nresources: {instance_count: 2}\nsettings:\n"
        "  mini_batch_size: 5\n  output_action: append_row\n  retry_settings:\n    max_retries: 3\n    timeout: 30\n"
        "  error_threshold: -1\n  environment_variables: {A: 1}\n",
        parse_deployment,
    ),
    "older deployment": (
        "name: torch\nendpoint_name: pump-health\nmodel:\n  name: pumps\n  path: ../model\n  type: mlflow_model\n"
        "environment:\n  name: env\n  image: base:latest\n"
        "  conda_file: {dependencies: [python=3.8.5, {pip: [torch]}]}\n"
        "compute: local\nmini_batch_size: 7\noutput_action: summary_only\nretry_settings: {timeout: 5}\n"
        "error_threshold: 3\nlogging_level: debug\n",
        parse_deployment,
    ),
    "named invocation": (
        "inputs:\n  images:\n    type: uri_file\n    path: azureml://datastores/d/paths/p\n    mode: ro_mount\n"
        "outputs:\n  score: {type: uri_file, path: 'azureml://datastores/d/paths/${{name}}/x.csv'}\n"
        "endpoint: pump-health\ndeployment: torch\nretry_settings: {max_retries: 1}\ncompute: {instance_count: 2}\n"
        "tags: {a: 1}\n",
        lambda document: parse(InvocationSpec, document),
    ),
    "invocation": (
        "input:\n  type: table\n  path: lake://windows\n"
        "  join: [sensors, machines]\n  pivot:\n"
        "    index: [machine_id]\n"
        "    columns: quantity\n    values: [mean]\n  incremental: true\n"
        "output: {predictions: true}\nmini_batch_size: 4\n",
        lambda document: parse(InvocationSpec, document),
    ),
    "schedule": (
        "name: often\ntrigger:\n  type: recurrence\n  frequency: day\n  interval: 2\n"
        "  schedule: {hours: [1], minutes: 5}\n"
        "  start_time: 2026-01-01T00:00:00\n  time_zone: UTC\n"
        "create_job:\n  type: batch_endpoint\n  endpoint: pump-health\n"
        "  input: {type: uri_folder, path: data}\n",
        parse_schedule,
    ),
    "cron": (
        "name: often\ntrigger: {type: cron, expression: '*/5 * * * *', end_time: 2030-01-01T00:00:00Z}\ncreate_job:\n"
        "  type: batch_endpoint\n  endpoint: pump-health\n  input: {type: uri_file, path: /data/x}\n",
        parse_schedule,
    ),
    "schedule of a job": (
        "name: often\ntrigger: {type: cron, expression: '0 3 * * *'}\ncreate_job:\n  type: pipeline\n"
        "  job: azureml:before\n  inputs:\n    text: run ${{name}}\n    data: {type: uri_folder, path: images}\n"
        "  outputs: {made: {type: uri_folder, path: out}}\n  settings: {force_rerun: true}\n  compute: azureml:small\n"
        "  tags: {a: 1}\n",
        parse_schedule,
    ),
}

FILES |= {
    "component": (
        "$schema: x\nname: prepare\nversion: 1\ntype: command\ncode: src\nadditional_includes: [../more]\n"
        "environment: {image: python:3.12}\nenvironment_variables: {A: 1}\nresources: {instance_count: 1}\n"
        "distribution: {type: pytorch}\ninputs:\n  data: {type: uri_folder, mode: download}\n"
        "  rate: {type: number, default: 0.5, min: 0, max: 1}\n  note:\n    type: string\n    optional: true\n"
        "outputs:\n  made: {type: uri_folder}\n  log:\n"
        "command: run ${{inputs.data}} ${{inputs.rate}} $[[--n ${{inputs.note}}]] ${{outputs.made}}\n",
        parse_component,
    ),
    "parallel component": (
        "name: score\ntype: parallel\ninputs:\n  images: {type: uri_folder}\noutputs:\n  rows: {type: uri_file}\n"
        "input_data: ${{inputs.images}}\nmini_batch_size: '10kb'\nerror_threshold: 5\n"
        "retry_settings: {max_retries: 2, timeout: 60}\nlogging_level: INFO\ntask:\n  type: run_function\n  code: src\n"
        "  entry_script: score.py\n  program_arguments: --x ${{inputs.images}}\n  append_row_to: ${{outputs.rows}}\n",
        parse_component,
    ),
    "pipeline component": (
        "name: whole\ntype: pipeline\ninputs:\n  data: {type: uri_folder}\noutputs:\n  rows: {type: uri_folder}\n"
        "jobs:\n  prepare:\n    component: azureml:prepare@latest\n    inputs:\n      data: ${{parent.inputs.data}}\n"
        "      rate: 5\n    outputs:\n      made:\n    limits: {timeout: 5}\n  score:\n    type: command\n"
        "    command: score ${{inputs.images}} ${{outputs.rows}}\n    compute: azureml:cpu\n    inputs:\n"
        "      images:\n        type: uri_folder\n        path: ${{parent.jobs.prepare.outputs.made}}\n"
        "    outputs:\n      rows: ${{parent.outputs.rows}}\n",
        parse_component,
    ),
    "pipeline job": (
        "type: pipeline\nname: job-1\nexperiment_name: e\ninputs:\n  data: {type: uri_folder, path: data}\n"
        "  n: 5\n  rate: {type: number, value: 0.5}\noutputs:\n  rows: {type: uri_folder, path: 'out/${{name}}'}\n"
        "settings:\n  default_compute: azureml:cpu\n  force_rerun: true\njobs:\n  a:\n    command: x ${{inputs.n}}"
        " ${{outputs.o}}\n    inputs: {n: '${{parent.inputs.n}}'}\n    outputs: {o: '${{parent.outputs.rows}}'}\n  b:\n"
        "    component: {command: y, inputs: {d: {type: uri_folder}}}\n"
        "    inputs: {d: '${{parent.jobs.a.outputs.o}}'}\n",
        parse_job,
    ),
    "command job": (
        "command: x ${{inputs.data}} ${{inputs.n}} > ${{outputs.o}}\ncode: src\nenvironment: azureml:e@latest\n"
        "environment_variables: {A: 1}\ninputs:\n  data: {type: uri_file, path: a.csv}\n  n: 3\noutputs:\n  o:\n"
        "compute: cpu\nlimits: {timeout: 60}\nqueue_settings: {job_tier: x}\ntags: {a: 1}\n",
        parse_job,
    ),
    "pipeline deployment": (
        "name: whole\nendpoint_name: pump-health\ntype: pipeline\ncomponent:\n  type: pipeline\n  jobs:\n    a:\n"
        "      component: azureml:a:1\nsettings:\n  default_compute: cpu\n  continue_on_step_failure: false\n"
        "tags: {a: 1}\n",
        parse_pipeline_deployment,
    ),
}

KEYS = {
    name: {
        *load_document(text.encode(), file="f.yml").value,
        *("image", "build", "input", "settings"),
        *("name", "jobs", "command", "component", "outputs", "mini_batch_size", "input_data", "task"),
    }
    for name, (text, _) in FILES.items()
}
"""Keys of the whole file, and those that a refusal may miss."""

SCALARS = st.sampled_from(
    [
        "", "~", "null", "true", "on", "-1", "0", "1", "1.5", "1e400", ".nan", ".inf", "0x10", "99999999999999999999",
        "'x'", '"\\0"', '"\\u00e9"', "a b", "&a x", "*a", "!!int 3", "!x y", "[]", "[1, 2]", "{}", "{a: 1}", "[[[]]]",
        "azureml:a:1", "azureml:", "lake://windows", "../..", "/", "file:", "2026-13-45", "'* * *'", "|\n"
        "  text", "'", '"',
        "?", ": ", "- x", "%", "@", "`", "\t", "\u2028", "\ufeff", "\U0001f600", "---", "...",
    ]
)  # fmt: skip
NOISE = st.text(st.characters(codec="utf-8"), max_size=6)


@st.composite
def mutated(draw: st.DrawFn, text: str) -> bytes:
    lines = text.split("\n")[:-1]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1)) if lines else 0
        how = draw(st.sampled_from(["value", "key", "drop", "double", "indent", "noise", "swap", "join"]))
        if not lines:
            break
        line = lines[at]
        key, colon, _ = line.partition(":")
        if how == "value" and colon:
            lines[at] = f"{key}: {draw(SCALARS)}"
        elif how == "key" and colon:
            lines[at] = line.replace(key.strip(), draw(st.one_of(SCALARS, NOISE, st.just(key.strip() + "s"))), 1)
        elif how == "drop":
            del lines[at]
        elif how == "double":
            lines.insert(at, line)
        elif how == "indent":
            lines[at] = " " * draw(st.integers(0, 6)) + line.lstrip()
        elif how == "noise":
            cut = draw(st.integers(0, len(line)))
            lines[at] = line[:cut] + draw(st.one_of(NOISE, SCALARS)) + line[cut:]
        elif how == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif how == "join":
            lines[at] = (
                line + " " + lines.pop((at + 1) % len(lines)) if len(lines) > 1 and at + 1 < len(lines) else line
            )
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        cut = draw(st.integers(0, len(content)))
        content = content[:cut] + draw(st.binary(max_size=4)) + content[cut:]
    return content


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_valid_before_they_are_mutated(name: str) -> None:
    text, read = FILES[name]
    read(load_document(text.encode(), file="f.yml", folder=Path("/folder")))


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=examples(220), deadline=None)
@given(data=st.data())
def test_a_mutated_file_is_taken_or_refused_with_its_line_and_path(name: str, data: st.DataObject) -> None:
    text, read = FILES[name]
    content = data.draw(mutated(text))
    keys: set[str] = set(KEYS[name])
    is_yaml = False
    try:
        document = load_document(content, file="f.yml", folder=Path("/folder"))
        keys |= set(document.value)
        is_yaml = True
        read(document)
    except InvalidInput as refusal:
        message = str(refusal)
        found = re.match(r"f\.yml:(\d+): (\S.*)", message)
        assert found, message
        lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", content.decode("utf-8", "replace"))
        assert 1 <= int(found[1]) <= len(lines), message
        assert "\n" not in message
        if is_yaml:
            # a field: one that is there, or one that should be
            assert any(found[2].startswith(shown_path((key,))) for key in keys), message


@pytest.mark.parametrize(
    ("name", "old", "new", "at"),
    [
        ("cron", "create_job:\n", "create_job: |\n", "f.yml:3: create_job.job: "),
        ("schedule of a job", "job: azureml:before", "job: |\n    a\n    b", "f.yml:5: create_job.job: "),
        (
            "pipeline component",
            "component: azureml:prepare@latest",
            "component: |\n      ./a\n      b.yml",
            "f.yml:9: jobs.prepare.component: ",
        ),
        ("model", "path: ./model", "path: |\n  ./model", "f.yml:3: path: "),
    ],
)
def test_a_text_of_several_lines_is_no_path(name: str, old: str, new: str, at: str) -> None:
    text, read = FILES[name]
    assert old in text
    document = load_document(text.replace(old, new, 1).encode(), file="f.yml", folder=Path("/folder"))
    with pytest.raises(InvalidInput) as refused:
        read(document)
    said = str(refused.value)
    assert said.startswith(at), said
    assert "\n" not in said
    assert "on one line" in said


@settings(max_examples=examples(150), deadline=None)
@given(
    content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")))
)
def test_any_bytes_are_a_document_or_refused(content: bytes) -> None:
    try:
        load_document(content, file="f.yml")
    except InvalidInput as refusal:
        said = str(refusal)
    else:
        said = "f.yml:1: fine"
    assert re.match(r"f\.yml:\d+: \S", said)


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_any_set_is_taken_or_refused(data: st.DataObject) -> None:
    text, read = FILES["deployment"]
    path = data.draw(
        st.one_of(st.sampled_from(["name", "settings.mini_batch_size", "settings", "tags.a", "model.path"]), NOISE)
    )
    value = data.draw(st.one_of(SCALARS, NOISE))
    document = load_document(text.encode(), file="f.yml", folder=Path("/folder"))
    try:
        read(document.with_settings([f"{path}={value}"]))
    except InvalidInput as refusal:
        said = str(refusal)
    else:
        said = "--set fine"
    assert re.match(r"(f\.yml:\d+|--set)", said)
