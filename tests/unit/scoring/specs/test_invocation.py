"""Files of `invoke -f`: one input and one output under any names, references, expressions, what may be overridden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.errors import InvalidInput
from scoring.invoke import Invocation
from scoring.job import JobInputType, JobOutput
from scoring.specs.document import load_document
from scoring.specs.invocation import InvocationSpec
from scoring.specs.validation import parse


def read(text: str, *sets: str) -> Invocation:
    document = load_document(text.encode(), file="f.yml", folder=Path("/here"))
    return parse(InvocationSpec, document.with_settings(sets)).invocation()


def test_named_inputs_and_outputs_are_the_one_input_and_output() -> None:
    text = """\
inputs:
  images: {type: uri_folder, path: data, mode: ro_mount}
outputs:
  anything: {type: uri_file, path: "azureml://datastores/workspaceblobstore/paths/out/mine.csv"}
deployment: torch
endpoint: Pump-Health
"""
    made = read(text)
    assert (made.input.type, made.input.path, made.input.is_type_given) == (
        JobInputType.URI_FOLDER,
        "/here/data",
        True,
    )
    assert made.output.path == "azureml://datastores/workspaceblobstore/paths/out"
    assert made.overrides.output_file_name == "mine.csv"


def test_set_builds_and_changes_inputs() -> None:
    made = read("inputs: {a: {path: x}}", "inputs.a.type=uri_file", "inputs.a.path=/data/one.csv")
    assert (made.input.type, made.input.path) == (JobInputType.URI_FILE, "/data/one.csv")
    made = read("deployment: dd", "inputs.b.path=azureml:mnist@latest", "outputs.o.path=out", "mini_batch_size=4")
    assert (made.input.path, made.output.path, made.overrides.mini_batch_size) == (
        "azureml:mnist@latest",
        "/here/out",
        4,
    )


@pytest.mark.parametrize(
    ("output", "path", "file"),
    [
        ("{}", None, None),
        ("null", None, None),
        ("{path: out}", "/here/out", None),
        ("{path: out/}", "/here/out", None),
        ("{type: uri_file, path: out/x.csv}", "/here/out", "x.csv"),
        ("{type: uri_file, path: out/}", "/here/out", None),
        ("{path: 'azureml://datastores/d'}", "azureml://datastores/d/paths", None),
        ("{path: 'azureml://datastores/${{default_datastore}}/paths/a/${{name}}/${{output_name}}/'}",
         "azureml://datastores/workspaceblobstore/paths/a/${{name}}/score", None),
        ("{path: /, file_name: x.csv}", "/", "x.csv"),
    ],
)  # fmt: skip
def test_outputs(output: str, path: str | None, file: str | None) -> None:
    made = read(f"input: {{path: /x}}\noutputs: {{o: {output}}}")
    assert (made.output.path, made.overrides.output_file_name) == (path, file)


def test_older_words_of_the_same_things() -> None:
    text = "input: {path: /x}\ncompute: {instance_count: 3}\noutput_dataset: {datastore_id: %s, path: /a/b/}"
    for store in ("azureml:blob", "blob", "/subscriptions/s/resourceGroups/g/workspaces/w/datastores/blob"):
        made = read(text % store)
        assert made.overrides.instance_count == 3
        assert made.output == JobOutput(path="azureml://datastores/blob/paths/a/b")


def test_the_type_is_open_where_it_is_not_said() -> None:
    assert read("input: {path: azureml:x:1}").input.is_type_given is False
    assert read("input: {path: 'lake://windows'}").input.type is JobInputType.TABLE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inputs: {}", "f.yml:1: input: missing; it is required"),
        ("inputs: {a: 3}", "f.yml:1: inputs.a: found the literal the number 3; a model's deployment takes data alone"),
        (
            "inputs:\n  a:\n    type: string\n    default: x",
            "f.yml:3: inputs.a.type: found 'string'; a model's deployment takes",
        ),
        (
            "inputs: {a: {type: mltable, path: x}}",
            "inputs.a.type: found 'mltable', which a model's deployment does not",
        ),
        ("inputs:\n  a: {path: x}\n  b: {path: y}", "f.yml:3: inputs.b: a model's deployment has exactly one input"),
        ("input: {path: x}\ninputs: {b: {path: y}}", "f.yml:2: inputs: a model's deployment has exactly one input"),
        ("input: {path: x}\noutputs:\n  a: {}\n  b: {}", "f.yml:4: outputs.b: a model's deployment has exactly one"),
        ("input: {path: x, mode: teleport}", "input.mode: found 'teleport', allowed: ro_mount"),
        ("input: {path: 'azureml:'}", "input.path: found 'azureml:'"),
        ("input: {path: x}\noutput: {path: azureml:a:1}", "f.yml:2: output.path: found 'azureml:a:1'; predictions go"),
        ("input: {path: x}\noutput: {path: 'a/${{nmae}}'}", "f.yml:2: output.path: found the expression '${{nmae}}'"),
        ("input: {path: x}\noutput: {path: 'https://h/x'}", "output.path: found 'https://h/x'; predictions go to"),
        (
            "input: {path: x}\noutput: {type: uri_file, path: a/b.csv}\noutput_file_name: c.csv",
            "f.yml:3: output_file_name: found 'c.csv', but the output says 'b.csv'",
        ),
        (
            "input: {path: x}\ninstance_count: 1\ncompute:\n  instance_count: 1",
            "f.yml:4: compute.instance_count: instance_count is given already",
        ),
        ("input: {path: x}\noutput_action: summary_only", "f.yml:2: output_action: cannot be changed for one job"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert said in str(caught.value)


def test_what_is_not_understood_is_never_dropped() -> None:
    with pytest.raises(InvalidInput, match=r"--set outputfilename=x.csv: outputfilename: unknown key"):
        read("input: {path: x}", "outputfilename=x.csv")


def test_text_of_people_goes_with_the_job() -> None:
    text = "input: {path: x}\ndescription: d\ntags: {a: 1}\nproperties: {p: q}"
    made: Any = read(text)
    assert (made.description, made.tags, made.properties) == ("d", {"a": "1"}, {"p": "q"})
