"""Schedules that run pipelines and commands, over the command line, against a real service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.service_process import ServiceProcess
from tests.waiting import until

pytestmark = pytest.mark.stack

PIPELINE = """\
type: pipeline
experiment_name: shapes
inputs: {text: hello}
outputs: {result: {type: uri_folder}}
jobs:
  only:
    command: echo ${{inputs.text}} > ${{outputs.out}}/said.txt
    inputs: {text: "${{parent.inputs.text}}"}
    outputs: {out: "${{parent.outputs.result}}"}
"""

SCHEDULE = """\
name: by-itself
trigger: {type: recurrence, frequency: second, interval: 1}
create_job:
  type: pipeline
  job: ./steps/pipeline.yml
  inputs: {text: "this is ${{name}}"}
  settings: {force_rerun: true}
tags: {of: schedule}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "pipeline.yml").write_text(PIPELINE)
    (tmp_path / "schedule.yml").write_text(SCHEDULE)
    return tmp_path


def said(service: ServiceProcess, *args: str) -> str:
    done = service.command(*args)
    assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_pipeline_by_itself(service: ServiceProcess, folder: Path) -> None:
    made = json.loads(said(service, "schedule", "create", "-f", str(folder / "schedule.yml"), "-o", "json"))
    assert made["create_job"]["inputs"] == {"text": "this is ${{name}}"}

    def jobs() -> list[dict[str, str]]:
        listed = said(service, "job", "list", "--schedule-name", "by-itself", "-o", "json")
        return [job for job in json.loads(listed) if job["status"] == "Completed"]

    until("two completed jobs of the schedule", jobs, lambda found: len(found) >= 2, limit=120, pause=1)
    said(service, "schedule", "disable", "-n", "by-itself")
    for job in jobs()[:2]:
        shown = json.loads(said(service, "job", "show", "-n", job["name"], "-o", "json"))
        assert (shown["type"], shown["experiment_name"]) == ("pipeline", "shapes")
        assert shown["tags"] == {"of": "schedule", "schedule": "by-itself"}
        said(service, "job", "download", "-n", job["name"], "--output-name", "result", "-p", str(folder / job["name"]))
        (written,) = (folder / job["name"]).rglob("said.txt")
        assert written.read_text() == f"this is {job['name']}\n"


def test_what_is_shown_can_be_changed_and_given_back(service: ServiceProcess, folder: Path) -> None:
    first = json.loads(said(service, "job", "create", "-f", str(folder / "steps" / "pipeline.yml"), "-o", "json"))
    (folder / "again.yml").write_text(
        f"name: again\ntrigger: {{type: cron, expression: '0 3 * * *'}}\ncreate_job: azureml:{first['name']}\n"
    )
    made = json.loads(said(service, "schedule", "create", "-f", str(folder / "again.yml"), "-o", "json"))
    assert made["create_job"]["inputs"] == {"text": "hello"}
    changed = json.loads(
        said(service, "schedule", "update", "-n", "again", "--set", "create_job.inputs.text=bye", "-o", "json")
    )
    assert changed["create_job"] == {**made["create_job"], "inputs": {"text": "bye"}}
    said(service, "schedule", "trigger", "-n", "again")

    def last() -> str | None:
        return json.loads(said(service, "schedule", "show", "-n", "again", "-o", "json"))["last_job_name"]

    until("the schedule's job", last, limit=60, pause=1)
    job = json.loads(said(service, "job", "show", "-n", str(last()), "-o", "json"))
    assert job["inputs"] == {"text": "bye"}


REFUSED = {
    "azureml:nobody": "create_job.job: there is no job",
    "{type: command, job: ./steps/pipeline.yml}": "create_job.type: found 'command', but the job is of type pipeline",
    "{job: ./steps/pipeline.yml, inputs: {txt: x}}": "create_job.inputs.txt: there is no such input",
    "{job: ./steps/pipeline.yml, outputs: {o: {}}}": "create_job.outputs.o: the job has no such output",
    "{job: ./steps/pipeline.yml, compute: nowhere}": "there is no compute named nowhere",
    "./steps/no.yml": "no.yml: no such file",
}


def test_what_cannot_be_run_is_refused_with_its_line(service: ServiceProcess, folder: Path) -> None:
    file = folder / "wrong.yml"
    for create_job, words in REFUSED.items():
        file.write_text(f"name: wrong\ntrigger: {{type: cron, expression: '* * * * *'}}\ncreate_job: {create_job}\n")
        refused = service.command("schedule", "create", "-f", str(file))
        assert refused.returncode == 2, refused.stderr
        assert words in refused.stderr
        assert "wrong.yml:3" in refused.stderr
    assert service.command("schedule", "show", "-n", "wrong").returncode != 0
