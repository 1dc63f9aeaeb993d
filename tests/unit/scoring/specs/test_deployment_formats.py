"""Keys of ours: how large a mini-batch is, what `run` gets, how the output file is written, what a failure costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.deployment import Deployment, InputFormat, OutputFormat
from scoring.errors import InvalidInput
from scoring.mini_batch_size import MiniBatchSize
from scoring.model import ModelReference
from scoring.specs.deployment import parse_deployment
from scoring.specs.document import load_document
from scoring.specs.invocation import InvocationSpec
from scoring.specs.shown import to_document
from scoring.specs.validation import parse

YAML = """\
type: model
name: blue
endpoint_name: pumps
model: azureml:net:1
code_configuration: {code: src, scoring_script: score.py}
compute: cluster
settings:
"""


def made(*settings: str) -> Deployment:
    text = YAML + "".join(f"  {line}\n" for line in settings or ("logging_level: info",))
    spec = parse_deployment(load_document(text.encode(), file="d.yml", folder=Path("/here")))
    return spec.deployment(model=ModelReference(name="net", version="1"), code="/code", environment=None)


def test_without_them_all_is_as_on_azure() -> None:
    found = made()
    assert (found.batch_size.written, found.input_format, found.output_format) == (
        10, InputFormat.FILES, OutputFormat.APPEND_ROW,
    )  # fmt: skip
    assert (found.output_source, found.retry_settings.bisect) == (False, False)


@pytest.mark.parametrize(
    ("written", "size"),
    [("3", "3"), ('"3"', "3"), ("10MB", "10MB"), ("64kb", "64KB"), ("5000 rows", "5000 rows")],
)
def test_a_mini_batch_is_so_many_files_bytes_or_rows(written: str, size: str) -> None:
    found = made(f"mini_batch_size: {written}", "input_format: dataframe")
    assert found.batch_size == MiniBatchSize.parse(size)
    assert to_document(found)["mini_batch_size"] == found.batch_size.written


def test_slices_and_frames_have_a_size_of_their_own_where_none_is_given() -> None:
    assert str(made("input_format: slices").batch_size) == "10MB"
    assert str(made("input_format: DataFrame").batch_size) == "10MB"


@pytest.mark.parametrize(
    ("kind", "name"), [("csv", "predictions.csv"), ("jsonl", "predictions.jsonl"), ("parquet", "predictions.parquet")]
)
def test_the_output_file_is_named_for_what_it_is(kind: str, name: str) -> None:
    found = made(f"output_format: {kind}", "output_source: true", "retry_settings: {bisect: true}")
    assert (found.output_file_name, found.output_source, found.retry_settings.bisect) == (name, True, True)
    assert made(f"output_format: {kind}", "output_file_name: mine").output_file_name == "mine"


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("output_format: csv", "output_header: false", "input_format: slices", "input_header: false"),
        ("mini_batch_size: 5 rows", "input_format: dataframe", "output_format: parquet", "output_source: true"),
    ],
)
def test_what_is_shown_can_be_given_back(settings: tuple[str, ...]) -> None:
    first = made(*settings)
    shown: dict[str, Any] = {key: value for key, value in to_document(first).items() if value is not None}
    ours = {key: value for key, value in shown.items() if key.startswith(("input_", "output_", "mini_"))}
    second = made(
        *[f"{key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in ours.items()]
    )
    assert second == first


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ("mini_batch_size: 10 files",),
            "d.yml:8: settings.mini_batch_size: found '10 files'; wanted a number of files",
        ),
        (("mini_batch_size: [10MB]",), "settings.mini_batch_size: found a list"),
        (("mini_batch_size: 2000GB",), "settings.mini_batch_size: found '2000GB'; allowed are 1 to 1024GB"),
        (
            ("input_format: pandas",),
            "d.yml:8: settings.input_format: found 'pandas', allowed: files, slices, dataframe",
        ),
        (("input_header: false",), "input_header is for input_format slices or dataframe"),
        (("output_format: xml",), "settings.output_format: found 'xml', allowed: append_row, csv, jsonl, parquet"),
        (("output_header: true",), "output_header is for output_format csv; this one is append_row"),
        (("output_source: true",), "output_source needs columns; write output_format csv, jsonl or parquet"),
        (("output_action: summary_only", "output_format: csv"), "output_format has no meaning with output_action"),
        (("retry_settings: {bisect: 3}",), "settings.retry_settings.bisect: found the number 3"),
    ],
)
def test_what_cannot_be_is_refused_with_the_mend(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        made(*settings)
    assert said in str(caught.value)


def test_a_model_without_a_script_reads_files_itself() -> None:
    text = (
        YAML.replace("code_configuration: {code: src, scoring_script: score.py}\n", "") + "  input_format: dataframe\n"
    )
    with pytest.raises(InvalidInput, match=r"settings\.input_format: dataframe is for scoring scripts"):
        parse_deployment(load_document(text.encode(), file="d.yml", folder=Path("/here")))


def test_an_invocation_has_a_size_of_its_own_and_may_replace_the_output() -> None:
    text = "input: {path: x}\nmini_batch_size: 2MB\noverwrite: true"
    spec = parse(InvocationSpec, load_document(text.encode(), file="f.yml", folder=Path("/here")))
    invocation = spec.invocation()
    assert invocation.output.overwrite
    changed = invocation.overrides.applied(made("mini_batch_size: 7"))
    assert str(changed.batch_size) == "2MB"
    assert str(type(invocation.overrides)(mini_batch_size=4).applied(changed).batch_size) == "4"
    assert str(type(invocation.overrides)().applied(changed).batch_size) == "2MB"
