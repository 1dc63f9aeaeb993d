"""Endpoint, compute, model, invocation and schedule documents."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scoring.errors import InvalidInput
from scoring.job import JobInput, JobInputType, JobOutput, Pivot
from scoring.schedule import CronTrigger, RecurrenceTrigger
from scoring.specs.compute import ComputeSpec
from scoring.specs.document import Document, body_document, load_document
from scoring.specs.endpoint import EndpointSpec
from scoring.specs.invocation import InvocationSpec
from scoring.specs.model import ModelSpec
from scoring.specs.references import Reference, bare_name, parse_reference
from scoring.specs.schedule import parse_schedule
from scoring.specs.shown import to_document
from scoring.specs.validation import parse, without_effect

SCHEDULE = """\
name: every-ten-seconds
display_name: ten
tags: {a: b}
trigger: {type: recurrence, frequency: second, interval: 10}
create_job:
  type: batch_endpoint
  endpoint: Pump-Health
  deployment: torch
  input:
    type: table
    path: lake://windows
    join: [sensors, machines]
    pivot: {index: [machine_id, window_start, window_end], columns: quantity, values: [mean, max, stddev]}
    incremental: true
  output: {predictions: true}
"""


def document(text: str) -> Document:
    return load_document(text.encode(), file="f.yml", folder=Path("/here"))


def test_endpoint() -> None:
    text = """\
name: Pump-One
description: d
tags: {a: 1}
properties: {b: c}
auth_mode: KEY
defaults: {deployment_name: torch}
location: x
"""
    spec = parse(EndpointSpec, document(text))
    endpoint = spec.endpoint()
    assert (endpoint.name, endpoint.default_deployment_name, endpoint.auth_mode) == ("pump-one", "torch", "key")
    assert endpoint.tags == {"a": "1"}
    assert without_effect(spec) == ["location"]
    assert parse(EndpointSpec, body_document(to_document(endpoint))).endpoint() == endpoint


def test_compute() -> None:
    text = """\
name: cpu
type: AmlCompute
size: Standard_NC6
tier: low_priority
min_instances: 1
max_instances: 2
idle_time_before_scale_down: 5
network_settings: {subnet: s}
"""
    spec = parse(ComputeSpec, document(text))
    compute = spec.compute()
    assert (compute.type, compute.tier, compute.size) == ("amlcompute", "low_priority", "Standard_NC6")
    assert (compute.min_instances, compute.max_instances, compute.idle_time_before_scale_down) == (1, 2, 5)
    assert without_effect(spec) == ["network_settings"]
    assert parse(ComputeSpec, body_document(to_document(compute))).compute() == compute


def test_model() -> None:
    spec = parse(ModelSpec, document("name: m\npath: ./weights/../w\nversion: 1\ntype: custom_model\ntags: {x: 1.10}"))
    assert (spec.path, spec.version, spec.tags) == ("/here/w", "1", {"x": "1.10"})


def test_invocation() -> None:
    text = """\
input: {path: data}
output: {path: out}
deployment: dd
mini_batch_size: 3
retry_settings: {timeout: 9}
output_file_name: x.csv
job_name: j1
"""
    invocation = parse(InvocationSpec, document(text)).invocation()
    assert invocation.input == JobInput(type=JobInputType.URI_FOLDER, path="/here/data", is_type_given=False)
    assert invocation.output == JobOutput(path="/here/out")
    overrides = invocation.overrides
    assert (overrides.mini_batch_size, overrides.timeout, overrides.max_retries) == (3, 9, None)
    assert overrides.output_file_name == "x.csv"


def test_schedule() -> None:
    _, schedule = parse_schedule(document(SCHEDULE))
    assert isinstance(schedule.trigger, RecurrenceTrigger)
    assert schedule.endpoint_name == "pump-health"
    assert schedule.deployment_name == "torch"
    assert schedule.input == JobInput(
        type=JobInputType.TABLE,
        path="lake://windows",
        join=("sensors", "machines"),
        pivot=Pivot(
            index=("machine_id", "window_start", "window_end"), columns="quantity", values=("mean", "max", "stddev")
        ),
        incremental=True,
    )
    assert schedule.output == JobOutput(predictions=True)


def test_a_cron_schedule_with_times() -> None:
    cron = "{type: cron, expression: '*/5 * * * *', start_time: 2026-01-01T00:00:00, time_zone: Europe/Berlin}"
    text = SCHEDULE.replace("{type: recurrence, frequency: second, interval: 10}", cron)
    _, schedule = parse_schedule(document(text))
    assert isinstance(schedule.trigger, CronTrigger)
    assert schedule.trigger.start_time == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_what_is_shown_of_a_schedule_can_be_created_again() -> None:
    _, schedule = parse_schedule(document(SCHEDULE))
    shown = to_document(schedule)
    shown["create_job"]["input"].pop("to_version")  # what a job froze is not a schedule's to say
    _, again = parse_schedule(body_document(shown))
    assert again == schedule


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (EndpointSpec, "nam: xyz", "f.yml:1: nam: unknown key; did you mean 'name'?"),
        (
            EndpointSpec,
            "name: xyz\ndefaults: {deployment: a}",
            "f.yml:2: defaults.deployment: unknown key; did you mean 'deployment_name'?",
        ),
        (
            EndpointSpec,
            "name: xyz\nauth_mode: none",
            "f.yml:2: auth_mode: found 'none', allowed: aad_token, key, aml_token",
        ),
        (ComputeSpec, "name: cpu\ntype: kubernetes", "f.yml:2: type: found 'kubernetes', allowed: amlcompute"),
        (
            ComputeSpec,
            "name: cpu\nmin_instances: 5\nmax_instances: 2",
            "min_instances is 5, more than max_instances, 2",
        ),
        (ComputeSpec, "name: cpu\nmax_instances: 0", "f.yml:2: max_instances: found the number 0, must be at least 1"),
        (ModelSpec, "name: m", "f.yml:1: path: missing; it is required"),
        (ModelSpec, "name: a/b\npath: x", "f.yml:1: name: found 'a/b'"),
        (ModelSpec, "name: m\npath: x\nversion: [1]", "f.yml:3: version: found a list, wanted text"),
        (InvocationSpec, "output: {}", "f.yml:1: input: missing"),
        (InvocationSpec, "input: {path: s3://x/y}", "f.yml:1: input.path: found 's3://x/y', a store of a cloud"),
        (InvocationSpec, "input: {type: table, path: windows}", "wanted a table of the lake, e.g. lake://windows"),
        (InvocationSpec, "input: {type: uri_file, path: lake://w}", "a table of the lake is read with type: table"),
        (InvocationSpec, "input: {path: /x, incremental: true}", "incremental is for type: table"),
        (InvocationSpec, "input: {path: /x, join: [sensors]}", "join is for type: table"),
        (
            InvocationSpec,
            "input: {type: table, path: lake://w, join: [senors]}",
            "f.yml:1: input.join[0]: found 'senors', allowed: sensors, machines, sites",
        ),
        (
            InvocationSpec,
            "input: {type: table, path: lake://w, pivot: {index: [], columns: a, values: [b]}}",
            "input.pivot.index: found a list, at least 1 is needed",
        ),
        (InvocationSpec, "input: {path: /x}\nmodel: m", "f.yml:2: model: cannot be changed for one job"),
    ],
)
def test_refusals(kind: type, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(kind, document(text))
    assert said in str(caught.value)
    assert str(caught.value).startswith("f.yml:")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("interval: 10", "intervl: 10", "f.yml:4: trigger.intervl: unknown key; did you mean 'interval'?"),
        ("frequency: second", "frequency: fortnight", "trigger.frequency: found 'fortnight', allowed: second, minute"),
        ("type: recurrence", "type: sometimes", "f.yml:4: trigger.type: found 'sometimes', allowed: cron, recurrence"),
        ("interval: 10", "interval: 10, time_zone: Mars", "f.yml:4: trigger.time_zone:"),
        ("interval: 10", "interval: 10, start_time: soon", "f.yml:4: trigger.start_time: 'soon' is no time"),
        ("{type: recurrence, frequency: second, interval: 10}", "often", "f.yml:4: trigger: found 'often'"),
        (
            "type: batch_endpoint",
            "type: parallel",
            "f.yml:6: create_job.type: found 'parallel', allowed: batch_endpoint, command, pipeline",
        ),
        ("index: [", "idx: [", "f.yml:13: create_job.input.pivot.idx: unknown key; did you mean 'index'?"),
    ],
)
def test_schedule_refusals(old: str, new: str, said: str) -> None:
    assert old in SCHEDULE
    with pytest.raises(InvalidInput) as caught:
        parse_schedule(document(SCHEDULE.replace(old, new)))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("azureml:pumps:3", Reference(name="pumps", version="3")),
        ("azureml:pumps@latest", Reference(name="pumps")),
        ("pumps", Reference(name="pumps")),
        ("pumps:3", Reference(name="pumps", version="3")),
        ("azureml:pumps", Reference(name="pumps")),
    ],
)
def test_references(text: str, reference: Reference) -> None:
    assert parse_reference(text) == reference
    assert bare_name("azureml:cpu") == bare_name("cpu") == "cpu"


@pytest.mark.parametrize("text", ["", "azureml:", "azureml:a:", "a b", "azureml://x", "a@oldest", "a:1:2", "-a"])
def test_wrong_references(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_reference(text)
