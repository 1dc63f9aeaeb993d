"""Deployments of pipelines as YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.errors import InvalidInput
from scoring.specs.component import CommandComponentSpec
from scoring.specs.document import body_document, read_document
from scoring.specs.pipeline import ComponentStep, PipelineComponentSpec
from scoring.specs.pipeline_deployment import PipelineDeploymentSpec, parse_pipeline_deployment
from scoring.specs.pipeline_job import PipelineJobSpec

DEPLOYMENT = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponentBatchDeployment.schema.json
name: whole
endpoint_name: Pump-Health
type: pipeline
description: d
tags: {a: 1}
properties: {b: 2}
component: pipelines/whole.yml
settings:
  default_compute: batch-cluster
  continue_on_step_failure: false
  force_rerun: true
  default_datastore: plant
"""
PIPELINE = "name: any-Name\ntype: pipeline\njobs:\n  a: {component: ../parts/a.yml}\n"
PART = "command: 'true'\ncode: src\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("d.yml", DEPLOYMENT), ("pipelines/whole.yml", PIPELINE), ("parts/a.yml", PART)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def parsed(folder: Path, *changes: tuple[str, str]) -> PipelineDeploymentSpec:
    text = DEPLOYMENT
    for change in changes:
        assert change[0] in text
        text = text.replace(*change)
    (folder / "d.yml").write_text(text)
    return parse_pipeline_deployment(read_document(folder / "d.yml"))


def test_every_key_is_read_and_files_are_relative_to_their_own(folder: Path) -> None:
    spec = parsed(folder)
    assert (spec.name, spec.endpoint_name) == ("whole", "pump-health")
    assert isinstance(spec.component, PipelineComponentSpec)
    (step,) = spec.component.jobs.values()
    assert isinstance(step, ComponentStep)
    assert isinstance(step.component, CommandComponentSpec)
    assert step.component.code == str(folder / "parts" / "src")
    settings = spec.settings.settings(continues=True)
    assert (settings.default_compute, settings.default_datastore) == ("batch-cluster", "plant")
    assert (settings.continue_on_step_failure, settings.force_rerun) == (False, True)
    body = spec.model_dump(mode="json", exclude_none=True)
    assert parse_pipeline_deployment(body_document(body)) == spec


def test_a_failed_step_does_not_stop_a_deployments_pipeline_unless_said(folder: Path) -> None:
    spec = parsed(folder, ("  continue_on_step_failure: false\n", ""))
    assert spec.settings.settings(continues=True).continue_on_step_failure


@pytest.mark.parametrize(
    "written", ["azureml:whole@latest", "azureml:whole:1", "azureml://registries/r/components/w/versions/1"]
)
def test_a_component_may_be_named(folder: Path, written: str) -> None:
    assert parsed(folder, ("pipelines/whole.yml", written)).component == written


def test_a_deployment_may_be_made_of_a_job(folder: Path) -> None:
    assert parsed(folder, ("component: pipelines/whole.yml", "job_definition: azureml:job-1")).job_definition == "job-1"
    inline = "job_definition: {type: pipeline, jobs: {a: {command: 'true'}}}"
    assert isinstance(parsed(folder, ("component: pipelines/whole.yml", inline)).job_definition, PipelineJobSpec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("component: pipelines/whole.yml\n", ""), "d.yml:1: component: missing; it is required"),
        (("settings:", "job_definition: azureml:j\nsettings:"), "job_definition: a component is given, too"),
        (("component: pipelines/whole.yml", "component: parts/a.yml"), "component: found a component of type command"),
        (("component: pipelines/whole.yml", "component: pipelines/a.yml"), "a.yml: no such file"),
        (("force_rerun: true", "mini_batch_size: 5"), "d.yml:12: settings.mini_batch_size: unknown key; allowed: cont"),
        (("component: pipelines/whole.yml", "job_definition: [a]"), "job_definition: found a list, wanted azureml:JOB"),
        (("component: pipelines/whole.yml", "compute: c"), "d.yml:8: compute: unknown key; did you mean 'component'?"),
    ],
)
def test_what_is_wrong_is_refused(folder: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parsed(folder, change)
    assert message in str(refusal.value)
