"""A parallel step as a job of mini-batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scoring.components.binding import DataReference, LiteralValue, OutputTarget
from scoring.components.component import ParallelComponent, ParallelTask
from scoring.components.declared import InputDeclaration, OutputDeclaration, ValueType
from scoring.deployment import OutputAction
from scoring.errors import InvalidInput
from scoring.job import Job, JobInputType, JobStatus
from scoring.minibatch import InputItem
from scoring.pipeline.parallel_pass import as_scoring
from scoring.pipeline.step_ports import NO_STEPS
from scoring.pipeline.step_start import started
from tests.contract.memory_pipelines import DATA, FOLDER, a_pipeline, a_step
from tests.contract.steps import Steps

TEXT = InputDeclaration(type=ValueType.STRING)


def component(**changes: Any) -> ParallelComponent:
    fields: dict[str, Any] = {
        "name": "score",
        "version": "1",
        "input_data": "files",
        "inputs": {"files": DATA, "word": TEXT},
        "outputs": {"rows": FOLDER, "side": FOLDER},
        "task": ParallelTask(code="code", entry_script="score.py", append_row_to="rows"),
    }
    return ParallelComponent(**{**fields, **changes})


def begun(steps: Steps, made: ParallelComponent, **outputs: OutputTarget) -> Job:
    """The step's job, released."""
    (steps.folder / "in").mkdir(exist_ok=True)
    inputs = {"files": DataReference(path=str(steps.folder / "in")), "word": LiteralValue(value="hi there")}
    step = a_step("score", component=made, inputs=inputs, outputs=outputs)
    steps.pipeline(a_pipeline(step, default_compute="cluster"))
    steps.conductor.look()
    return steps.jobs.get("p.score")


def scoring(steps: Steps, made: ParallelComponent, **outputs: OutputTarget) -> Job:
    job = begun(steps, made, **outputs)
    return as_scoring(job, started(job, NO_STEPS, steps.folder / "jobs" / job.name))


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path)


def test_arguments_are_rendered_and_split_as_a_shell_does(steps: Steps) -> None:
    task = replace(component().task, program_arguments='--side ${{outputs.side}} --word "${{inputs.word}}"')
    job = scoring(steps, component(task=task))
    side = steps.folder / "jobs" / "p.score" / "outputs" / "side"
    assert job.deployment.program_arguments == ("--side", str(side), "--word", "hi there")
    assert (job.input.type, job.input.path) == (JobInputType.URI_FOLDER, str(steps.folder / "in"))


def test_rows_go_into_a_folder_or_are_the_file(steps: Steps) -> None:
    own = steps.folder / "jobs" / "p.score" / "outputs" / "rows"
    job = scoring(steps, component())
    assert (job.output.path, job.deployment.output_file_name) == (str(own), "parallel_run_step.txt")


def test_an_output_of_type_uri_file_is_the_file_of_rows(steps: Steps) -> None:
    file = OutputDeclaration(type=ValueType.URI_FILE)
    job = scoring(steps, component(outputs={"rows": file}), rows=OutputTarget(path=f"{steps.folder}/there/all.csv"))
    assert (job.output.path, job.deployment.output_file_name) == (f"{steps.folder}/there", "all.csv")


def test_without_append_row_to_rows_only_count(steps: Steps) -> None:
    job = scoring(steps, component(task=ParallelTask(code="code", entry_script="score.py")))
    assert job.deployment.output_action is OutputAction.SUMMARY_ONLY


@pytest.mark.parametrize(
    ("arguments", "threshold"), [("--error_threshold 5", 5), ("--error_threshold=0 -v", 0), ("-v", -1)]
)
def test_the_drivers_threshold_among_the_arguments_counts(steps: Steps, arguments: str, threshold: int) -> None:
    job = scoring(steps, component(task=replace(component().task, program_arguments=arguments)))
    assert job.deployment.error_threshold == threshold


@pytest.mark.parametrize("arguments", ["--error_threshold many", "'never closed"])
def test_arguments_that_cannot_be_read_are_refused(steps: Steps, arguments: str) -> None:
    with pytest.raises(InvalidInput, match=r"task\.program_arguments"):
        scoring(steps, component(task=replace(component().task, program_arguments=arguments)))


def test_a_parallel_step_goes_a_jobs_way_and_registers_its_outputs(steps: Steps) -> None:
    made = component(task=ParallelTask(code=str(steps.folder / "code"), entry_script="score.py", append_row_to="rows"))
    begun(steps, made, rows=OutputTarget(name="scored"))
    files = steps.files(3, path=str(steps.folder / "in"))
    assert all(isinstance(item, InputItem) for item in files)
    job = steps.run("p")
    step = steps.jobs.get("p.score")
    assert (job.status, step.status) == (JobStatus.COMPLETED, JobStatus.COMPLETED), step
    assert step.progress.items_succeeded == 3
    assert steps.registered == [("p.score", "rows", "scored", None)]
