"""What a step begins with: its inputs as texts and paths of this machine, its outputs as places, and their sameness.

The same for commands and parallel steps, whether they are steps of a pipeline or jobs of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scoring.components.binding import DataReference, LiteralValue, OutputTarget, Value
from scoring.components.declared import OutputDeclaration, ValueType, shown_literal
from scoring.components.jobs import CommandJob
from scoring.components.templates import expanded_path
from scoring.datastore import DEFAULT_DATASTORE
from scoring.errors import InvalidInput
from scoring.job import Job, NamedOutput
from scoring.pipeline.parallel_job import ParallelJob
from scoring.pipeline.step_ports import StepPorts

_SAID_ONLY = ("name", "version", "display_name", "description", "tags", "properties")


@dataclass(frozen=True, kw_only=True)
class StepStart:
    """`texts` is what each input with a value becomes in a command line; `data` the paths among them.

    own  outputs that lie in the job's own folder: they are emptied before the step runs again
    """

    texts: Mapping[str, str]
    data: Mapping[str, Path]
    outputs: Mapping[str, NamedOutput]
    own: frozenset[str] = field(default_factory=frozenset)

    @property
    def output_texts(self) -> dict[str, str]:
        return {name: output.path for name, output in self.outputs.items()}

    def make_places(self) -> None:
        """The folders that the step writes to; those of its own are empty then, whatever ran before."""
        for name, output in self.outputs.items():
            path = Path(output.path)
            is_file = output.type is ValueType.URI_FILE
            if name in self.own:
                shutil.rmtree(path.parent if is_file else path, ignore_errors=True)
            (path.parent if is_file else path).mkdir(parents=True, exist_ok=True)


def step_of(job: Job) -> CommandJob | ParallelJob:
    """What the job of a command or a parallel step runs."""
    found = job.command or job.parallel
    if found is None:
        raise InvalidInput(f"job {job.name} is of kind {job.kind}, and says nothing of what is to be run")
    return found


def started(job: Job, ports: StepPorts, folder: Path) -> StepStart:
    """`folder` is the job's own. Raises InvalidInput and NotFound for data that is not there, naming the input."""
    step = step_of(job)
    texts, data = {}, {}
    for name, value in step.inputs.items():
        text = _text(name, value, ports)
        texts[name] = text
        if isinstance(value, DataReference):
            data[name] = Path(text)
    outputs, own = {}, set()
    for name, declared in step.component.outputs.items():
        target = step.outputs.get(name, OutputTarget())
        if target.path is None:
            own.add(name)
        outputs[name] = _output(job, name, declared, target, ports, folder)
    return StepStart(texts=texts, data=data, outputs=outputs, own=frozenset(own))


def _text(name: str, value: Value, ports: StepPorts) -> str:
    if isinstance(value, LiteralValue):
        return shown_literal(value.value)
    try:
        path = ports.input_path(value.path, value.type)
    except InvalidInput as error:
        raise InvalidInput(str(error).removeprefix(f"{error.place}: "), place=f"inputs.{name}") from None
    if not os.path.exists(path):
        raise InvalidInput(f"there is no file or folder {path}", place=f"inputs.{name}")
    return path


def _output(
    job: Job, name: str, declared: OutputDeclaration, target: OutputTarget, ports: StepPorts, folder: Path
) -> NamedOutput:
    kind = target.type or declared.type
    if target.path is None:
        own = folder / "outputs" / name
        return NamedOutput(type=kind, path=str(own / name if kind is ValueType.URI_FILE else own))
    written = expanded_path(target.path, name=job.name, output_name=name, default_datastore=DEFAULT_DATASTORE)
    try:
        path = ports.output_path(written)
    except InvalidInput as error:
        raise InvalidInput(str(error).removeprefix(f"{error.place}: "), place=f"outputs.{name}") from None
    if kind is ValueType.URI_FILE and written.endswith("/"):
        path = path / name
    return NamedOutput(type=kind, path=str(path))


def fingerprint(job: Job, start: StepStart, listing: Callable[[Path], str]) -> str:
    """What decides what the step writes: the same step, on the same inputs, has the same one.

    listing  says of a file or folder what is there; another content must give another text
    """
    step = step_of(job)
    component = {key: value for key, value in asdict(step.component).items() if key not in _SAID_ONLY}
    said = {
        "component": component,
        "environment": job.deployment.environment,
        "variables": dict(job.deployment.environment_variables),
        "inputs": {
            name: [text, listing(start.data[name])] if name in start.data else [text]
            for name, text in sorted(start.texts.items())
        },
        "outputs": {name: [target.path, target.type] for name, target in sorted(step.outputs.items())},
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def listed(path: Path) -> str:
    """Names, sizes and times of all files below: what changes when somebody writes there."""
    digest = hashlib.sha256()
    for above, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            _add(digest.update, Path(above, name), path)
    if not path.is_dir():
        _add(digest.update, path, path)
    return digest.hexdigest()


def _add(update: Callable[[bytes], None], file: Path, root: Path) -> None:
    try:
        state = file.stat()
    except OSError:
        return  # a link that leads nowhere
    update(f"{file.relative_to(root)}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))


def earlier_outputs(found: Job) -> Mapping[str, NamedOutput] | None:
    """The outputs of an earlier run, where all of them are still there."""
    return found.outputs if all(os.path.exists(output.path) for output in found.outputs.values()) else None
