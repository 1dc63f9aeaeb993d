from __future__ import annotations

from pathlib import Path

import pytest

from scoring.deployment import OutputAction, RetrySettings
from scoring.errors import InvalidInput
from scoring.model import ModelReference
from scoring.specs.deployment import FlatDeploymentSpec, parse_deployment
from scoring.specs.document import body_document, load_document
from scoring.specs.model import InlineModel
from scoring.specs.shown import to_document
from scoring.specs.validation import without_effect

NESTED = """\
$schema: https://azuremlschemas.azureedge.net/latest/modelBatchDeployment.schema.json
type: model
name: torch-dpl
endpoint_name: Pump-Health
description: scores pumps
tags: {team: 7}
properties: {a: true}
model: azureml:pumps@latest
code_configuration:
  code: src
  scoring_script: batch/score.py
environment: azureml:env:1
compute: azureml:batch-cluster
resources: {instance_count: 2, instance_type: Standard_DS3_v2}
settings:
  max_concurrency_per_instance: 3
  mini_batch_size: 5
  output_action: append_row
  output_file_name: rows.csv
  retry_settings: {max_retries: 4, timeout: 60}
  error_threshold: 9
  logging_level: DEBUG
  environment_variables: {A: 010, B: 1.10, C: yes, D: false}
"""

FLAT = """\
name: torch-dpl
endpoint_name: pump-health
model: {path: ../model, name: pumps, version: 3}
code_configuration: {code: /abs/src, scoring_script: score.py}
compute: batch-cluster
mini_batch_size: 7
max_concurrency_per_instance: 2
error_threshold: 1
output_action: summary_only
retry_settings: {timeout: 5}
"""


def parsed(text: str, *sets: str) -> FlatDeploymentSpec:
    return parse_deployment(
        load_document(text.encode(), file="d.yml", folder=Path("/work-folder/in")).with_settings(sets)
    )


def refused(text: str, *sets: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        parsed(text, *sets)
    return str(caught.value)


def test_every_key_of_the_nested_form_reaches_the_value() -> None:
    spec = parsed(NESTED)
    deployment = spec.deployment(
        model=ModelReference(name="pumps", version="4"), code="/registry/code/x", environment="azureml:env:1"
    )
    assert (deployment.name, deployment.endpoint_name) == ("torch-dpl", "pump-health")
    assert deployment.description == "scores pumps"
    assert deployment.tags == {"team": "7"}
    assert deployment.properties == {"a": "true"}
    assert str(deployment.model) == "azureml:pumps:4"
    assert deployment.code_configuration.code == "/registry/code/x"
    assert deployment.code_configuration.scoring_script == "batch/score.py"
    assert deployment.environment == "azureml:env:1"
    assert deployment.compute == "batch-cluster"
    assert (deployment.instance_count, deployment.max_concurrency_per_instance) == (2, 3)
    assert deployment.mini_batch_size == 5
    assert deployment.output_action is OutputAction.APPEND_ROW
    assert deployment.output_file_name == "rows.csv"
    assert deployment.retry_settings == RetrySettings(max_retries=4, timeout=60)
    assert deployment.error_threshold == 9
    assert deployment.logging_level == "debug"
    assert deployment.environment_variables == {"A": "010", "B": "1.10", "C": "yes", "D": "false"}
    assert spec.code_configuration.code == "/work-folder/in/src"
    assert without_effect(spec) == ["resources.instance_type"]


def test_every_key_of_the_flat_form_reaches_the_value() -> None:
    spec = parsed(FLAT)
    assert isinstance(spec.model, InlineModel)
    assert (spec.model.path, spec.model.name, spec.model.version) == ("/work-folder/model", "pumps", "3")
    deployment = spec.deployment(model=ModelReference(name="pumps", version="3"), code="/c")
    assert spec.code_configuration.code == "/abs/src"
    assert (deployment.mini_batch_size, deployment.max_concurrency_per_instance) == (7, 2)
    assert deployment.error_threshold == 1
    assert deployment.output_action is OutputAction.SUMMARY_ONLY
    assert deployment.retry_settings == RetrySettings(max_retries=3, timeout=5)


def test_defaults_are_azures() -> None:
    text = """\
type: model
name: aa
endpoint_name: eee
model: m
code_configuration: {code: s, scoring_script: s.py}
compute: cc
"""
    deployment = parsed(text).deployment(model=ModelReference(name="m", version="1"), code="/c")
    assert deployment.mini_batch_size == 10
    assert deployment.error_threshold == -1
    assert deployment.output_file_name == "predictions.csv"
    assert deployment.retry_settings == RetrySettings(max_retries=3, timeout=30)
    assert (deployment.instance_count, deployment.max_concurrency_per_instance) == (1, 1)
    assert deployment.logging_level == "info"


def test_what_is_shown_can_be_created_again() -> None:
    for text in (NESTED, FLAT):
        reference = ModelReference(name="pumps", version="4")
        deployment = parsed(text).deployment(model=reference, code="/c")
        again = parse_deployment(body_document(to_document(deployment)))
        assert again.deployment(model=reference, code="/c") == deployment


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "mini_batch_size: 5",
            "mini_batchsize: 5",
            "d.yml:17: settings.mini_batchsize: unknown key; did you mean 'mini_batch_size'?",
        ),
        (
            "mini_batch_size: 5",
            "mini_batch_size: five",
            "d.yml:17: settings.mini_batch_size: found 'five'; wanted a number of files such as 10",
        ),
        ("mini_batch_size: 5", "mini_batch_size: true", "settings.mini_batch_size: found true, wanted an integer"),
        (
            "mini_batch_size: 5",
            "mini_batch_size: 1.5",
            "settings.mini_batch_size: found the number 1.5, wanted an integer",
        ),
        ("mini_batch_size: 5", "mini_batch_size: 0", "found the number 0, must be at least 1"),
        (
            "max_retries: 4",
            "max_retries: 0",
            "settings.retry_settings.max_retries: found the number 0, must be at least 1",
        ),
        ("timeout: 60", "tmeout: 60", "settings.retry_settings.tmeout: unknown key; did you mean 'timeout'?"),
        ("error_threshold: 9", "error_threshold: -2", "must be at least -1"),
        ("logging_level: DEBUG", "logging_level: loud", "found 'loud', allowed: info, warning, debug"),
        ("output_action: append_row", "output_action: rows", "allowed: append_row, summary_only"),
        ("output_action: append_row", "output_action: summary_only", "output_file_name has no meaning"),
        ("output_file_name: rows.csv", "output_file_name: ../rows.csv", "wanted a plain file name"),
        ("scoring_script: batch/score.py", "scoring_script: ../score.py", "wanted a .py file inside the code folder"),
        (
            "code: src",
            "code: https://x/y",
            "code_configuration.code: found 'https://x/y'; allowed: a path of this machine",
        ),
        ("model: azureml:pumps@latest", "model: azureml:pumps@newest", "the only label is @latest"),
        ("model: azureml:pumps@latest", "model: ./pumps", "model: {path: …}"),
        ("model: azureml:pumps@latest", "model: [a]", "d.yml:8: model: found a list"),
        ("model: azureml:pumps@latest", "model: {pth: x}", "d.yml:8: model.pth: unknown key; did you mean 'path'?"),
        (
            "environment: azureml:env:1",
            "environment: {os_type: linux}",
            "d.yml:12: environment.image: nothing says what is in it",
        ),
        ("type: model", "type: pipeline", "d.yml:2: type: found 'pipeline'"),
        ("type: model", "type: modle", "d.yml:2: type: found 'modle', allowed: model"),
        ("type: model\n", "", "settings: only a document with `type: model` has it"),
        ("endpoint_name: Pump-Health", "endpoint_name: a", "d.yml:4: endpoint_name: found 'a'; an endpoint's name"),
        ("name: torch-dpl", "name: [x]", "d.yml:3: name: found a list, wanted text"),
        ("tags: {team: 7}", "tags: [x]", "d.yml:6: tags: found a list, wanted keys and values"),
        ("tags: {team: 7}", "tags: {team: [x]}", "d.yml:6: tags.team: found a list, wanted text"),
        ("compute: azureml:batch-cluster\n", "", "d.yml:1: compute: missing; it is required"),
        (
            "resources: {instance_count: 2,",
            "resources: {instance_count: 2, instances: 3,",
            "resources.instances: unknown key",
        ),
        ("  mini_batch_size: 5", "  mini_batch_size: 5\n  instance_count: 2", "instance_count is given twice"),
    ],
)
def test_refusals_name_line_path_found_and_allowed(old: str, new: str, said: str) -> None:
    assert old in NESTED
    message = refused(NESTED.replace(old, new))
    assert said in message
    assert message.startswith("d.yml:")


def test_set_is_cast_by_the_schema_and_named_when_wrong() -> None:
    assert parsed(NESTED, "settings.mini_batch_size=8").mini_batch_size == 8
    assert "--set settings.mini_batch_size=x" in refused(NESTED, "settings.mini_batch_size=x")


def test_several_errors_are_counted() -> None:
    message = refused(NESTED.replace("mini_batch_size: 5", "mini_batch_size: x").replace("timeout: 60", "timeout: y"))
    assert message.endswith("(1 more after this one)")


def test_a_body_may_not_hold_relative_paths() -> None:
    with pytest.raises(InvalidInput, match="a path in a request must be absolute"):
        parse_deployment(
            body_document(
                {
                    "name": "aa",
                    "endpoint_name": "eee",
                    "model": "m",
                    "compute": "cc",
                    "code_configuration": {"code": "src", "scoring_script": "s.py"},
                }
            )
        )


def test_long_forms_of_references_and_inline_objects_are_taken() -> None:
    workspace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
    for model in (
        "azureml://registries/r/models/pumps/versions/4",
        "azureml://registries/r/models/pumps/labels/latest",
        f"azureml:{workspace}/models/pumps/versions/4",
        f"{workspace}/models/pumps/versions/4",
        "azureml:pumps:4",
        "pumps",
    ):
        assert parsed(NESTED.replace("azureml:pumps@latest", model)).model == model
    for compute in (f"{workspace}/computes/cpu", f"azureml:{workspace}/computes/cpu", "azureml:cpu", "cpu"):
        assert parsed(NESTED.replace("azureml:batch-cluster", compute)).compute == "cpu"
    inline = "environment:\n  name: torch-batch\n  image: base:latest\n  conda_file: {dependencies: [python=3.8.5]}"
    environment = parsed(NESTED.replace("environment: azureml:env:1", inline)).environment
    assert not isinstance(environment, str)
    assert environment is not None
    assert (environment.name, environment.conda_file) == ("torch-batch", {"dependencies": ["python=3.8.5"]})


def test_an_mlflow_model_needs_neither_script_nor_environment() -> None:
    text = "type: model\nname: dp\nendpoint_name: heart\nmodel: azureml:heart@latest\ncompute: local\n"
    deployment = parsed(text).deployment(model=ModelReference(name="heart", version="1"), code=None)
    assert deployment.code_configuration is None
    assert deployment.environment is None


def test_enumerations_are_compared_without_case() -> None:
    text = NESTED.replace("type: model", "type: MODEL").replace("append_row", "Append_Row").replace("DEBUG", "Warning")
    assert parsed(text).logging_level == "warning"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: azureml:pumps@latest", "model: azureml:pumps@prod", "model: found the label '@prod'; the only label"),
        ("model: azureml:pumps@latest", "model: 'azureml://registries/r/data/x/versions/1'", "names one of data"),
        ("model: azureml:pumps@latest", "model: ./pumps", "to register a folder or file with the deployment write"),
        ("environment: azureml:env:1", "environment: [x]", "environment: found a list; wanted a reference"),
        ("environment: azureml:env:1", "environment: {imagge: x}", "environment.imagge: unknown key; did you mean"),
        ("output_action: append_row", "output_action: summary_only", "settings.output_file_name: output_file_name has"),
        ("settings:\n", "error_threshold: 3\nsettings:\n", "settings.error_threshold: given at the"),
    ],
)
def test_refusals_inside_references_and_settings(old: str, new: str, said: str) -> None:
    assert old in NESTED
    assert said in refused(NESTED.replace(old, new))
