"""Pipelines and commands from their files, over the command line, against a real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service_process import ServiceProcess, service_on
from tests.waiting import until
from tests.wheels import only_from, wheel

pytestmark = pytest.mark.stack

DIAMOND = """\
type: pipeline
display_name: diamond
experiment_name: shapes
inputs:
  data: {type: uri_folder, path: data}
  factor: 3
outputs:
  result: {type: uri_folder}
settings:
  default_compute: serverless
jobs:
  first:
    command: python total.py --data ${{inputs.data}} --out ${{outputs.out}} --factor ${{inputs.factor}}
    code: src
    inputs:
      data: ${{parent.inputs.data}}
      factor: ${{parent.inputs.factor}}
    outputs:
      out:
  left:
    command: cp ${{inputs.x}}/total.txt ${{outputs.out}}/left.txt
    inputs: {x: "${{parent.jobs.first.outputs.out}}"}
    outputs: {out: }
  right:
    command: cp ${{inputs.x}}/total.txt ${{outputs.out}}/right.txt
    inputs: {x: "${{parent.jobs.first.outputs.out}}"}
    outputs: {out: }
  last:
    command: cat ${{inputs.l}}/left.txt ${{inputs.r}}/right.txt > ${{outputs.out}}/both.txt; echo joined
    inputs: {l: "${{parent.jobs.left.outputs.out}}", r: "${{parent.jobs.right.outputs.out}}"}
    outputs: {out: "${{parent.outputs.result}}"}
"""

TOTAL = """\
import argparse, os
parser = argparse.ArgumentParser()
for name in ("--data", "--out", "--factor"):
    parser.add_argument(name)
args = parser.parse_args()
total = sum(os.path.getsize(os.path.join(args.data, name)) for name in os.listdir(args.data))
with open(os.path.join(args.out, "total.txt"), "w") as file:
    file.write(str(total * int(args.factor)) + "\\n")
"""

SCORE = """\
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--side")
parser.add_argument("--word")
args, _ = parser.parse_known_args()

def run(mini_batch):
    for path in mini_batch:
        if os.path.basename(path) == "bad.txt":
            raise ValueError("a bad file")
        with open(os.path.join(args.side, os.path.basename(path)), "w") as file:
            file.write(args.word)
    return [os.path.basename(path) for path in mini_batch]
"""

PARALLEL = """\
type: pipeline
inputs:
  files: {type: uri_folder, path: files}
outputs:
  rows: {type: uri_file}
jobs:
  score:
    type: parallel
    inputs: {files: "${{parent.inputs.files}}", word: hi there}
    outputs: {side: {type: uri_folder}, rows: "${{parent.outputs.rows}}"}
    input_data: ${{inputs.files}}
    mini_batch_size: "2"
    retry_settings: {max_retries: 1, timeout: 60}
    task:
      type: run_function
      code: par
      entry_script: score.py
      program_arguments: --side ${{outputs.side}} --word "${{inputs.word}}"
      append_row_to: ${{outputs.rows}}
  count:
    command: test $(wc -l < ${{inputs.rows}}) = 5 && cat ${{inputs.side}}/f0.txt
    inputs: {rows: "${{parent.jobs.score.outputs.rows}}", side: "${{parent.jobs.score.outputs.side}}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with pipelines and what they name."""
    for path, text in {
        "diamond.yml": DIAMOND,
        "src/total.py": TOTAL,
        "data/a.txt": "hello",
        "parallel.yml": PARALLEL,
        "par/score.py": SCORE,
        **{f"files/f{n}.txt": str(n) for n in range(5)},
    }.items():
        file = tmp_path / "user" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "user"


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    with service_on(database_url, tmp_path / "home") as process:
        wheel(tmp_path / "wheels", "alpha", "1.4.0")
        process.environment.update(only_from(tmp_path / "wheels", tmp_path / "cache"))
        process.start()
        yield process


def said(service: ServiceProcess, *args: str, code: int = 0) -> str:
    done = service.command(*args)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{service.log()[-3000:]}"
    return done.stdout


def created(service: ServiceProcess, file: Path, *more: str) -> str:
    return said(service, "job", "create", "-f", str(file), *more, "--query", "name", "-o", "tsv").strip()


def end_of(service: ServiceProcess, job: str) -> dict[str, Any]:
    return list(service.client.jobs.stream(job, limit_seconds=120))[-1]


def children(service: ServiceProcess, job: str) -> dict[str, dict[str, Any]]:
    return {child["step"]: child for child in service.client.jobs.list(parent_job_name=job)}


def test_a_diamond_from_its_file_to_its_files(service: ServiceProcess, folder: Path, tmp_path: Path) -> None:
    assert json.loads(said(service, "job", "validate", "-f", str(folder / "diamond.yml")))["result"] == "Succeeded"
    assert service.client.jobs.list() == []
    job = created(service, folder / "diamond.yml", "--set", "inputs.factor=4", "-a", str(tmp_path / "saved.yml"))
    streamed = said(service, "job", "stream", "-n", job)
    for line in ("step first: Completed", "step last: Completed", "Status: Completed: all 4 steps completed"):
        assert line in streamed, streamed
    assert "name: " + job in (tmp_path / "saved.yml").read_text()

    shown = json.loads(said(service, "job", "show", "-n", job))
    assert (shown["type"], shown["experiment_name"], shown["display_name"]) == ("pipeline", "shapes", "diamond")
    assert shown["children"] == {"total": 4, "Completed": 4}
    steps = children(service, job)
    assert list(steps) == ["last", "right", "left", "first"]
    assert {(step["type"], step["parent_job_name"]) for step in steps.values()} == {("command", job)}
    cost = sum(step["usage"]["worker_seconds"] for step in steps.values())
    assert shown["usage"]["worker_seconds"] == pytest.approx(cost, abs=0.01)
    # steps ran in the order of need
    assert steps["first"]["ended_at"] <= min(steps["left"]["started_at"], steps["right"]["started_at"])
    assert max(steps["left"]["ended_at"], steps["right"]["ended_at"]) <= steps["last"]["started_at"]

    listed = said(service, "job", "list", "-p", job, "--query", "[].name", "-o", "tsv").split()
    assert sorted(listed) == sorted(f"{job}.{step}" for step in steps)
    assert [each["name"] for each in service.client.jobs.list()] == [job]  # steps are not jobs of their own in lists

    said(service, "job", "download", "-n", job, "--output-name", "result", "-p", str(tmp_path / "one"))
    assert (tmp_path / "one/named-outputs/result/both.txt").read_text() == "20\n20\n"
    said(service, "job", "download", "-n", job, "--all", "-p", str(tmp_path / "all"))
    assert (tmp_path / "all/steps/last/artifacts/user_logs/std_log_0.txt").read_text() == "joined\n"
    assert (tmp_path / "all/steps/first/named-outputs/out/total.txt").read_text() == "20\n"
    assert "step right: Completed" in (tmp_path / "all/artifacts/logs/azureml/executionlogs.txt").read_text()
    unknown = service.command("job", "download", "-n", job, "--output-name", "nothing")
    assert (unknown.returncode, "has no output named nothing" in unknown.stderr) == (0, True)


def test_steps_are_taken_over_until_something_changes(service: ServiceProcess, folder: Path) -> None:
    first = created(service, folder / "diamond.yml")
    assert end_of(service, first)["status"] == "Completed"
    second = created(service, folder / "diamond.yml")
    assert end_of(service, second)["status"] == "Completed"
    assert {s: step["reused_from"] for s, step in children(service, second).items()} == {
        step: f"{first}.{step}" for step in ("first", "left", "right", "last")
    }
    (folder / "data" / "b.txt").write_text("more")
    third = created(service, folder / "diamond.yml", "--set", "settings.force_rerun=false")
    assert end_of(service, third)["status"] == "Completed"
    assert {step["reused_from"] for step in children(service, third).values()} == {None}
    forced = created(service, folder / "diamond.yml", "--set", "settings.force_rerun=true")
    assert end_of(service, forced)["status"] == "Completed"
    assert {step["reused_from"] for step in children(service, forced).values()} == {None}


def test_a_failing_step_names_itself_and_stream_says_7(service: ServiceProcess, folder: Path) -> None:
    file = folder / "failing.yml"
    file.write_text(
        "type: pipeline\n"
        "jobs:\n"
        "  a: {command: \"python -c 'raise ValueError(42)'\", outputs: {o: }}\n"
        '  b: {command: "true", inputs: {x: "${{parent.jobs.a.outputs.o}}"}}\n'
        '  c: {command: "sleep 60"}\n'
    )
    streamed = service.command("job", "create", "-f", str(file), "--stream")
    assert streamed.returncode == 7, streamed.stdout + streamed.stderr
    assert "step a failed: the command ended with exit code 1: ValueError: 42" in streamed.stderr
    assert "Traceback (most recent call last)" in streamed.stderr
    (job,) = service.client.jobs.list()
    states = {step: child["status"] for step, child in children(service, job["name"]).items()}
    assert states == {"a": "Failed", "b": "Canceled", "c": "Canceled"}

    going = created(service, file, "--set", "settings.continue_on_step_failure=true", "jobs.c.command=true")
    assert end_of(service, going)["status"] == "Failed"
    states = {step: child["status"] for step, child in children(service, going).items()}
    assert states == {"a": "Failed", "b": "Canceled", "c": "Completed"}


def test_a_cancel_ends_what_runs(service: ServiceProcess, folder: Path) -> None:
    file = folder / "slow.yml"
    file.write_text(
        "type: pipeline\n"
        "jobs:\n"
        "  a: {command: \"trap '' TERM; touch ${{outputs.o}}/begun; sleep 600 & wait; sleep 600\", outputs: {o: }}\n"
        '  b: {command: "true", inputs: {x: "${{parent.jobs.a.outputs.o}}"}}\n'
    )
    job = created(service, file)
    begun = service.home / "jobs" / f"{job}.a" / "outputs" / "o" / "begun"
    until("the step runs", begun.exists)
    said(service, "job", "cancel", "-n", job)
    streamed = service.command("job", "stream", "-n", job)
    assert streamed.returncode == 8, streamed.stdout
    assert {child["status"] for child in children(service, job).values()} == {"Canceled"}
    assert not [process for process in service.children() if "sleep" in " ".join(process.cmdline())]


def test_a_parallel_step_scores_files_for_a_command_to_count(
    service: ServiceProcess, folder: Path, tmp_path: Path
) -> None:
    job = created(service, folder / "parallel.yml")
    assert end_of(service, job)["status"] == "Completed", children(service, job)
    score = service.client.jobs.show(f"{job}.score")
    counts = score["progress"]
    assert (score["type"], counts["items_succeeded"], counts["mini_batches"]) == ("parallel", 5, 3)
    said(service, "job", "download", "-n", job, "--output-name", "rows", "-p", str(tmp_path))
    assert (tmp_path / "named-outputs/rows/rows").read_text().split() == [f"f{n}.txt" for n in range(5)]
    assert "hi there" in said(service, "job", "stream", "-n", f"{job}.count")

    (folder / "files" / "bad.txt").write_text("")
    borne = "jobs.score.mini_batch_error_threshold=0"
    failed = created(service, folder / "parallel.yml", "--set", borne)
    reason = "step score failed: 1 mini-batches failed, mini_batch_error_threshold allows 0"
    assert end_of(service, failed)["status_reason"].startswith(reason)


def test_a_command_has_the_environment_that_it_asks_for(service: ServiceProcess, folder: Path) -> None:
    file = folder / "command.yml"
    file.write_text(
        "command: python -c 'import alpha, os; print(alpha.VERSION, os.environ[\"A\"])' > ${{outputs.o}}/said\n"
        "outputs: {o: }\n"
        "environment_variables: {A: 1}\n"
        "environment:\n"
        "  image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04\n"
        "  conda_file: {dependencies: [{pip: [alpha]}]}\n"
    )
    job = created(service, file, "-n", "by-name")
    assert job == "by-name"
    ended = end_of(service, job)
    assert ended["status"] == "Completed", ended
    assert (Path(ended["outputs"]["o"]["path"]) / "said").read_text() == "1.4.0 1\n"
    assert service.command("job", "create", "-f", str(file), "-n", "by-name").returncode == 1


def test_a_deployed_pipeline_is_invoked_with_values(service: ServiceProcess, folder: Path) -> None:
    (folder / "deployment.yml").write_text(
        "type: pipeline\nname: line\nendpoint_name: things\ncomponent: component.yml\n"
        "settings: {default_compute: azureml:cpu}\n"
    )
    component = DIAMOND.replace("{type: uri_folder, path: data}", "{type: uri_folder}").replace(
        "factor: 3", "factor: {type: integer, default: 2, max: 9}"
    )
    lines = [line for line in component.splitlines() if "display_name" not in line and "experiment" not in line]
    text = "\n".join(lines).replace("settings:\n  default_compute: serverless\n", "name: diamond\n")
    (folder / "component.yml").write_text(text)
    (folder / "inputs.yml").write_text(
        "inputs:\n  data: {type: uri_folder, path: data}\n  factor: {type: integer, default: 7}\n"
        "outputs:\n  result: {path: 'azureml://datastores/workspaceblobstore/paths/results/${{name}}'}\n"
    )
    said(service, "compute", "create", "-n", "cpu", "--type", "amlcompute", "-o", "none")
    said(service, "batch-endpoint", "create", "-n", "things", "-o", "none")
    said(service, "batch-deployment", "create", "-f", str(folder / "deployment.yml"), "--set-default", "-o", "none")
    show = ("batch-deployment", "show", "-n", "line", "-e", "things", "--query", "[type, component]", "-o", "tsv")
    assert said(service, *show).split() == ["pipeline", "azureml:diamond:1"]
    name = ("--query", "name", "-o", "tsv")
    job = said(service, "batch-endpoint", "invoke", "-n", "things", "-f", str(folder / "inputs.yml"), *name).strip()
    ended = end_of(service, job)
    assert ended["status"] == "Completed", ended
    assert ended["outputs"]["result"]["path"].endswith(f"/results/{job}")
    assert (Path(ended["outputs"]["result"]["path"]) / "both.txt").read_text() == "35\n35\n"
    assert {child["compute"] for child in children(service, job).values()} == {"cpu"}

    given = ("--input", str(folder / "data"), "--set", "inputs.factor=1")
    other = said(service, "batch-endpoint", "invoke", "-n", "things", *given, *name).strip()
    assert end_of(service, other)["status"] == "Completed"
    listed = said(service, "batch-endpoint", "list-jobs", "-n", "things", "--query", "[].name", "-o", "tsv").split()
    assert listed == [other, job]
    refused = service.command("batch-endpoint", "invoke", "-n", "things", *given[:3], "inputs.factor=10")
    assert (refused.returncode, "must be at most 9" in refused.stderr) == (2, True), refused.stderr
