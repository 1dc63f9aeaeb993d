from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.cli.invocation import absolute, invocation_document
from scoring.errors import InvalidInput
from scoring.specs.invocation import InvocationSpec
from scoring.specs.validation import parse

FILE = """\
inputs:
  images: {type: uri_folder, path: data}
outputs:
  result: {type: uri_file, path: out/x.csv}
deployment: from-file
mini_batch_size: 5
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "invoke.yml"
    path.write_text(FILE)
    return str(path)


def made(file: str | None = None, *sets: str, **options: Any) -> Any:
    return parse(InvocationSpec, invocation_document(file, sets, **options))


def test_paths_of_a_file_are_relative_to_it_and_paths_of_options_to_where_they_were_typed(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert made(file).the_input.path == str(tmp_path / "data")
    assert made(file, input_path="mine").the_input.path == str(elsewhere / "mine")
    assert made(file, inputs='{"x": {"path": "mine"}}').the_input.path == str(elsewhere / "mine")
    assert made(input_path="./mine/").the_input.path == str(elsewhere / "mine")


def test_options_beat_the_file_and_set_beats_both(file: str) -> None:
    spec = made(file, "mini_batch_size=9", deployment="other", mini_batch_size="7", instance_count="2")
    assert (spec.deployment, spec.mini_batch_size, spec.instance_count) == ("other", 9, 2)
    spec = made(file, input_path="azureml:mnist:1", output_path="azureml://datastores/d/paths/p")
    assert spec.the_input.job_input().path == "azureml:mnist:1"
    # the folder of the option, not the file of the file
    assert (spec.the_output.path, spec.the_output.named_file) == ("azureml://datastores/d/paths/p", None)
    spec = made(file, "output_file_name=y.csv", outputs='{"score": {"path": "azureml://datastores/d/paths/p"}}')
    assert spec.invocation().overrides.output_file_name == "y.csv"


def test_an_input_of_our_own_keeps_what_the_option_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "i.yml"
    path.write_text("input: {type: table, path: lake://windows, join: [sensors], incremental: true}")
    spec = made(str(path), input_path="lake://others")
    assert (spec.the_input.path, spec.the_input.join, spec.the_input.incremental) == (
        "lake://others",
        ("sensors",),
        True,
    )


def test_set_names_inputs_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = made(None, "inputs.a.type=uri_file", "inputs.a.path=x.csv")
    assert (spec.the_input.type, spec.the_input.path) == ("uri_file", str(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"inputs": "{"}, "--inputs: found '{', no JSON"),
        ({"inputs": "[]"}, "--inputs: found '[]', wanted an object by name"),
        ({"input_path": "a", "inputs": "{}"}, "--inputs: --input is given, too; name the input once"),
        ({"output_path": "a", "outputs": "{}"}, "--outputs: --output is given, too"),
        ({"input_path": "a", "input_type": "folder"}, "--input-type: input.type: found 'folder', allowed: uri_folder"),
        ({"input_path": "s3://x"}, "--input: input.path: found 's3://x', a store of a cloud"),
        ({"input_path": "a", "mini_batch_size": "0"}, "--mini-batch-size: mini_batch_size: found '0'"),
        ({"input_path": "a", "output_path": "azureml:x:1"}, "--output-path: output.path: found 'azureml:x:1'"),
        ({"inputs": '{"a": 3}'}, "--inputs: inputs.a: found the literal the number 3"),
    ],
)
def test_refusals_name_the_option(options: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        made(**options)
    assert said in str(caught.value)


def test_references_stay_as_they_are() -> None:
    for text in ("azureml:x@latest", "azureml://datastores/d/paths/p/", "https://h/x", "lake://windows", "file:/x"):
        assert absolute(text) == text
