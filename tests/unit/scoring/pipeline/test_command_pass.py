"""A command's way from queued to its end, with real processes."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scoring.components.binding import DataReference, LiteralValue, OutputTarget
from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.job import JobStatus
from tests.contract.memory_pipelines import DATA
from tests.contract.steps import Steps
from tests.waiting import until

TEXT = InputDeclaration(type=ValueType.STRING)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path)


def test_a_command_gets_its_inputs_and_writes_its_outputs(steps: Steps, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("hello")
    steps.command(
        "cat ${{inputs.data}}/a.txt > ${{outputs.out}}/b.txt; echo said ${{inputs.word}} $[[--more ${{inputs.more}}]]",
        inputs={"data": DataReference(path=str(tmp_path / "in")), "word": LiteralValue(value=0.5)},
    )
    job = steps.jobs._jobs["job-1"]
    assert job.command is not None
    declared = {"data": DATA, "word": TEXT, "more": replace(TEXT, optional=True)}
    steps.jobs._jobs["job-1"] = replace(
        job, command=replace(job.command, component=replace(job.command.component, inputs=declared))
    )
    ended = steps.run()
    assert (ended.status, ended.status_reason) == (JobStatus.COMPLETED, "the command ended with exit code 0")
    assert (Path(ended.outputs["out"].path) / "b.txt").read_text() == "hello"
    assert steps.log() == "said 0.5\n"
    assert ended.usage.processes == 1
    assert ended.usage.worker_seconds > 0
    assert ended.started_at is not None
    assert ended.ended_at is not None


def test_it_runs_in_a_copy_of_its_code_with_azures_variables(steps: Steps, tmp_path: Path) -> None:
    code = tmp_path / "registered"
    code.mkdir()
    (code / "main.py").write_text("import os\nopen('beside', 'w')\nprint(os.getcwd(), os.environ['AZUREML_RUN_ID'])\n")
    line = 'python main.py && echo "$AZUREML_EXPERIMENT_NAME $A $AZURE_ML_OUTPUT_out" && ls'
    steps.command(line, code=str(code), environment_variables={"A": "1"})
    ended = steps.run()
    assert ended.status is JobStatus.COMPLETED, ended
    folder = tmp_path / "jobs" / "job-1"
    printed = steps.log().splitlines()
    assert printed[0] == f"{folder / 'code'} job-1"
    assert printed[1] == f"Default 1 {folder / 'outputs' / 'out'}"
    assert "beside" in printed
    assert not (code / "beside").exists()


def test_an_output_may_be_a_file_and_may_lie_elsewhere(steps: Steps, tmp_path: Path) -> None:
    steps.command(
        "echo 1 > ${{outputs.file}}; echo 2 > ${{outputs.out}}/x",
        outputs={"out": OutputTarget(path=f"{tmp_path}/there/${{{{name}}}}")},
    )
    job = steps.jobs._jobs["job-1"]
    assert job.command is not None
    both = {**job.command.component.outputs, "file": OutputDeclaration(type=ValueType.URI_FILE)}
    steps.jobs._jobs["job-1"] = replace(
        job, command=replace(job.command, component=replace(job.command.component, outputs=both))
    )
    ended = steps.run()
    assert ended.status is JobStatus.COMPLETED, ended
    assert Path(ended.outputs["file"].path).read_text() == "1\n"
    assert (tmp_path / "there" / "job-1" / "x").read_text() == "2\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("echo a; echo it broke >&2; exit 3", "the command ended with exit code 3: it broke"),
        ("kill -9 $$", "the command was killed by signal 9, SIGKILL (out of memory?); user_logs/std_log_0.txt"),
        ("no-such-program", "the command ended with exit code 127: bash: line 1: no-such-program: command not found"),
        ("python -c 'import x_y'", "the command ended with exit code 1: ModuleNotFoundError: No module named 'x_y'"),
    ],
)
def test_another_exit_code_fails_the_job(steps: Steps, line: str, reason: str) -> None:
    steps.command(line)
    ended = steps.run()
    assert ended.status is JobStatus.FAILED
    assert str(ended.status_reason).startswith(reason)


def test_the_last_words_are_the_jobs_error(steps: Steps) -> None:
    steps.command("python -c 'raise ValueError(\"no\")'")
    error = steps.run().error
    assert error is not None
    assert error.startswith("Traceback (most recent call last)")
    assert error.endswith("ValueError: no")


def test_data_that_is_not_there_fails_it_before_anything_runs(steps: Steps) -> None:
    steps.command("true", inputs={"data": DataReference(path="/no/such/place")})
    ended = steps.run()
    assert ended.status_reason == "inputs.data: there is no file or folder /no/such/place"
    assert not (steps.folder / "jobs" / "job-1" / "user_logs").exists()


def test_what_takes_too_long_is_ended(steps: Steps) -> None:
    steps.command("sleep 60", timeout=1)
    ended = steps.run()
    assert ended.status is JobStatus.FAILED
    assert ended.status_reason == "the command was ended: it took longer than 1 s (limits.timeout)"


def test_a_cancel_ends_what_ignores_sigterm(steps: Steps) -> None:
    steps.command("trap '' TERM; touch ${{outputs.out}}/begun; while true; do sleep 0.1; done")
    begun = steps.folder / "jobs" / "job-1" / "outputs" / "out" / "begun"
    thread = threading.Thread(target=steps.run)
    thread.start()
    until("the command begins", begun.exists)
    job = until("the job runs", lambda: steps.jobs.get("job-1"), lambda job: job.status is JobStatus.RUNNING)
    steps.jobs.save(job.moved(JobStatus.CANCEL_REQUESTED))
    thread.join(120)
    assert steps.jobs.get("job-1").status is JobStatus.CANCELED


def test_an_instance_that_is_taken_away_costs_the_run_and_no_more(steps: Steps) -> None:
    steps.catalog.put(replace(steps.catalog.compute("cluster"), tier="low_priority"))
    marks = steps.folder / "runs"
    steps.command(
        f"ls ${{{{outputs.out}}}}; echo x >> {marks}; touch ${{{{outputs.out}}}}/left; "
        f"test $(wc -l < {marks}) = 2 || sleep 60"
    )
    thread = threading.Thread(target=steps.run)
    thread.start()
    until("the command begins", marks.exists)
    assert steps.fleet.preempt("cluster")
    thread.join(120)
    assert steps.jobs.get("job-1").status is JobStatus.COMPLETED
    assert marks.read_text() == "x\nx\n"
    assert "left" not in steps.log()  # its outputs were empty again


def test_a_service_that_ends_lets_go_and_the_next_one_begins_again(steps: Steps) -> None:
    marks = steps.folder / "runs"
    steps.command(f"echo x >> {marks}; test $(wc -l < {marks}) = 2 || sleep 60")
    stop = threading.Event()
    thread = threading.Thread(target=lambda: steps.run(stop=stop))
    thread.start()
    until("the command begins", marks.exists)
    stop.set()
    thread.join(120)
    assert steps.jobs.get("job-1").status is JobStatus.RUNNING
    steps.clock.advance(timedelta(seconds=1))
    assert steps.run().status is JobStatus.COMPLETED
    assert marks.read_text() == "x\nx\n"


def test_an_output_is_registered_under_the_name_that_was_asked_for(steps: Steps) -> None:
    steps.command("true", outputs={"out": OutputTarget(name="cleaned", version="3")})
    assert steps.run().status is JobStatus.COMPLETED
    assert steps.registered == [("job-1", "out", "cleaned", "3")]
