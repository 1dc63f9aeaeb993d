"""The environment of a deployment: found by what it names, prepared for a job, looked up for its workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scoring.deployment import Deployment
from scoring.environment import BuildContext, Environment
from scoring.environments import own
from scoring.environments.conda import wanted_of_conda
from scoring.environments.dockerfile import wanted_of_dockerfile
from scoring.environments.images import packages_of
from scoring.environments.mlflow_model import FileTexts, wanted_of_model
from scoring.environments.preparing import Preparer, Ready, Watch
from scoring.environments.wanted import Note, Wanted, name_of
from scoring.errors import InvalidInput, JobFailed, NotFound
from scoring.job import Job
from scoring.model import NO_MODEL, Model, ModelReference
from scoring.specs.document import read_document

BUILD_LOG = Path("azureml") / "20_image_build_log.txt"
"""Where in a job's logs the preparation is told, as Azure has it."""


class DeploymentEnvironments:
    """Each job's environment, once: jobs and deployments that ask for the same share it."""

    def __init__(
        self,
        preparer: Preparer,
        *,
        environment_of: Callable[[str], Environment],
        model_of: Callable[[ModelReference], Model],
        versions: Callable[[], Mapping[str, str]] = own.installed,
    ) -> None:
        """`environment_of` and `model_of` find registered ones by reference, and raise NotFound."""
        self._preparer = preparer
        self._environment_of = environment_of
        self._model_of = model_of
        self._versions = versions

    def wanted(self, deployment: Deployment) -> Wanted:
        """What the deployment asks for. Raises JobFailed where that cannot be understood."""
        try:
            return self._wanted(deployment)
        except InvalidInput as error:
            raise JobFailed(f"the environment cannot be made: {error}") from None

    def prepare(
        self, job: Job, job_folder: Path, tell: Callable[[str], None], check: Callable[[], None]
    ) -> tuple[str, ...]:
        """Make the environment that the job's deployment asks for, if it is not there.

        Gives in words what was done otherwise than asked. What is being done goes to `tell` and to the job's logs.
        Raises JobFailed with the line that matters and the mend, and what `check` raises, which is called often.
        """
        wanted = self.wanted(job.deployment)
        if wanted == Wanted():
            return ()
        log = job_folder / "logs" / BUILD_LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        watch = Watch(log=log, tell=tell, check=check)
        try:
            ready = self._preparer.prepare(wanted, watch)
        except JobFailed as failed:
            watch.note(f"failed: {failed}")
            raise
        told = tuple(str(note) for note in ready.notes)
        watch.note(_how(ready))
        for line in told:
            watch.note(f"note: {line}")
        return told

    def interpreter(self, deployment: Deployment) -> str:
        """The Python that the deployment's workers run in. One that was removed after `prepare` is made again."""
        wanted = self.wanted(deployment)
        ready = self._preparer.known(wanted)
        if ready is None:
            nobody = Watch(log=Path(os.devnull), tell=lambda words: None, check=lambda: None)
            ready = self._preparer.prepare(wanted, nobody)
        return ready.python

    def _wanted(self, deployment: Deployment) -> Wanted:
        model = None if deployment.model == NO_MODEL else self._model_of(deployment.model)
        is_mlflow = model is not None and model.type == "mlflow_model"
        if deployment.environment is None:
            return wanted_of_model(Path(model.path)) if model is not None and is_mlflow else Wanted()
        wanted = self._named(deployment.environment)
        if deployment.code_configuration is None and is_mlflow:
            wanted = wanted.plus("mlflow-skinny", "pandas", "pyarrow")
        return wanted

    def _named(self, reference: str) -> Wanted:
        try:
            environment = self._environment_of(reference)
        except NotFound:
            known = self._of_image(reference)
            if known.requirements or known.notes:
                return known
            return Wanted(notes=(Note(subject=reference, done="is not registered; tidemill's own is used"),))
        if environment.conda_file is not None:
            return wanted_of_conda(environment.conda_file)
        if environment.build is not None:
            return _of_build(environment.build)
        return self._of_image(environment.image or "")

    def _of_image(self, image: str) -> Wanted:
        """Images are not run: most are a bare system, and what scripts expect in the others is asked for by name."""
        packages = packages_of(image)
        versions = self._versions()
        lacking = [line for line in packages if name_of(line) not in versions]
        if lacking:
            return Wanted(requirements=packages)
        if packages:
            have = ", ".join(f"{name} {versions[name]}" for line in packages if (name := name_of(line)))
            return Wanted(notes=(Note(subject=image, done=f"tidemill's own environment is used, which has {have}"),))
        return Wanted()


def _of_build(build: BuildContext) -> Wanted:
    folder = Path(build.path)
    texts = FileTexts(folder)

    def named(name: str) -> str:
        """A file by its name, wherever in the folder it lies."""
        found = sorted(path for path in folder.rglob(name) if path.is_file())
        return texts(str(found[0].relative_to(folder)) if found else name)

    def conda(name: str) -> Mapping[str, Any]:
        named(name)
        return read_document(sorted(folder.rglob(name))[0]).value

    wanted = wanted_of_dockerfile(
        texts(build.dockerfile_path), other_file=named, conda_file=conda, place=build.dockerfile_path
    )
    return replace(wanted, notes=(*wanted.notes, Note(subject="build", done="only Python packages are installed")))


def _how(ready: Ready) -> str:
    if ready.is_own:
        return "ready: tidemill's own environment has all that is asked for"
    if ready.made_in is None:
        return f"ready: it was there ({ready.key})"
    return f"ready: made in {ready.made_in:.1f} s ({ready.key})"
