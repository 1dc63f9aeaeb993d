"""One claim's way with a parallel step: as a job of mini-batches, with the inputs and outputs of the step."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from scoring.components.component import ParallelComponent
from scoring.components.declared import ValueType
from scoring.components.templates import rendered
from scoring.deployment import Deployment
from scoring.errors import InvalidInput
from scoring.job import Job, JobInput, JobInputType, JobOutput
from scoring.pipeline.step_pass import StepPass
from scoring.pipeline.step_start import StepStart
from scoring.scoring_pass import ScoringPass

ROWS_FILE = "parallel_run_step.txt"
"""In the folder of `append_row_to`; an output of type uri_file is the file itself."""


class ParallelPass(StepPass, ScoringPass):
    """A parallel step, from its claim to its end."""

    def work(self) -> Job:
        job = self._held.job
        manifest, _ = self._held.patiently(lambda: self._ports.jobs.manifest(job))
        if manifest is None and job.reused_from is None:
            start = self.begin()
            if start is not None:
                start.make_places()
                self._held.save(as_scoring(self._held.job, start))
        taken = self._held.job.reused_from
        return ScoringPass.work(self) if taken is None else self.complete(f"taken over from job {taken}")

    def _committed(self) -> None:
        self.register_outputs()

    def _time_is_over(self) -> str | None:
        job = self._held.job
        assert job.parallel is not None
        limit = job.parallel.timeout
        if limit is None or job.started_at is None:
            return None
        gone = (self._ports.clock.now() - job.started_at).total_seconds()
        return f"the step took longer than {limit} s (limits.timeout)" if gone > limit else None


def as_scoring(job: Job, start: StepStart) -> Job:
    """The job with what a job of mini-batches has: one input, one output, arguments. Raises InvalidInput."""
    assert job.parallel is not None
    component = job.parallel.component
    data = start.data[component.input_data]
    return replace(
        job,
        input=JobInput(type=JobInputType.URI_FILE if data.is_file() else JobInputType.URI_FOLDER, path=str(data)),
        output=JobOutput(path=_folder(component, start), overwrite=True),
        deployment=_with_arguments(job.deployment, component, start),
    )


def _folder(component: ParallelComponent, start: StepStart) -> str | None:
    """Where rows are appended; without such an output the first one, for what the script writes beside."""
    name = component.task.append_row_to or next(iter(start.outputs), None)
    if name is None:
        return None
    output = start.outputs[name]
    return str(Path(output.path).parent) if output.type is ValueType.URI_FILE else output.path


def _with_arguments(deployment: Deployment, component: ParallelComponent, start: StepStart) -> Deployment:
    task = component.task
    name = ROWS_FILE
    if task.append_row_to is not None and start.outputs[task.append_row_to].type is ValueType.URI_FILE:
        name = Path(start.outputs[task.append_row_to].path).name
    line = rendered(task.program_arguments or "", start.texts, start.output_texts)
    try:
        arguments = shlex.split(line)
    except ValueError as error:
        raise InvalidInput(f"{error}: {line!r:.100}", place="task.program_arguments") from None
    changed = replace(deployment, output_file_name=name, program_arguments=tuple(arguments))
    return replace(changed, error_threshold=_threshold(arguments, deployment.error_threshold))


def _threshold(arguments: list[str], otherwise: int) -> int:
    """`--error_threshold 5` among the arguments is an option of the driver, and beats the component's."""
    for place, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if option == "--error_threshold":
            text = value if equals else next(iter(arguments[place + 1 :]), "")
            try:
                return int(text)
            except ValueError:
                raise InvalidInput(
                    f"found --error_threshold {text!r:.40}, wanted an integer", place="task.program_arguments"
                ) from None
    return otherwise
