"""Which environment a deployment asks for, and what its job is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scoring.deployment import CodeConfiguration, Deployment
from scoring.environment import BuildContext, Environment
from scoring.environments.deployments import BUILD_LOG, DeploymentEnvironments
from scoring.environments.interpreters import Interpreter
from scoring.environments.preparing import Preparer
from scoring.environments.store import EnvironmentStore
from scoring.environments.uv import Resolved
from scoring.environments.uv_words import Reason, Trouble
from scoring.errors import JobFailed, NotFound
from scoring.job import Job, JobInput, JobInputType
from scoring.model import Model, ModelReference

DEPLOYMENT = Deployment(
    name="d",
    endpoint_name="e",
    model=ModelReference(name="m", version="1"),
    compute="cpu",
    code_configuration=CodeConfiguration(code="/code", scoring_script="score.py"),
)


class Installer:
    """Installs in an instant whatever is asked for, but for `broken`."""

    def __init__(self) -> None:
        self.made: list[Sequence[str]] = []
        self.broken: Reason | None = None

    def interpreters(self, check: Callable[[], None]) -> Sequence[Interpreter]:
        return []

    def fetched(self, minor: tuple[int, int], check: Callable[[], None]) -> Interpreter | None:
        return None

    def resolve(self, requirements: Sequence[str], **_: Any) -> Resolved | Reason:
        return self.broken or Resolved(lines=tuple(requirements))

    def has_foreign_wheel(self, line: str, **_: Any) -> bool:
        return False

    def make(self, folder: Path, python: Interpreter, **_: Any) -> Reason | None:
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(python.path)
        return None

    def install(self, folder: Path, resolved: Resolved, **_: Any) -> Reason | None:
        self.made.append(resolved.lines)
        return None


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installer = Installer()
        self.registered: dict[str, Environment] = {}
        self.model = Model(name="m", version="1", path=str(folder / "model"), content_hash="x")
        self.told: list[str] = []
        own = Interpreter(version=sys.version_info[:3], path=sys.executable)
        versions = {"torch": "2.0", "torchvision": "1.0", "pandas": "3.0", "pillow": "9.0"}
        self.environments = DeploymentEnvironments(
            Preparer(self.installer, EnvironmentStore(folder / "made"), python=own, versions=lambda: versions),
            environment_of=self.find,
            model_of=lambda reference: self.model,
            versions=lambda: versions,
        )

    def find(self, reference: str) -> Environment:
        if reference not in self.registered:
            raise NotFound(f"there is no environment {reference}")
        return self.registered[reference]

    def has(self, **content: Any) -> Deployment:
        self.registered["azureml:env:1"] = Environment(name="env", version="1", content_hash="h", **content)
        return replace(DEPLOYMENT, environment="azureml:env:1")

    def prepare(self, deployment: Deployment) -> Sequence[str]:
        job = Job(
            name="j",
            endpoint_name="e",
            deployment=deployment,
            input=JobInput(type=JobInputType.URI_FOLDER, path="/in"),
        )
        return self.environments.prepare(job, self.folder / "job", self.told.append, lambda: None)

    @property
    def log(self) -> str:
        return (self.folder / "job" / "logs" / BUILD_LOG).read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_one_it_is_tidemills_own_and_nothing_is_told(place: Place) -> None:
    assert place.prepare(DEPLOYMENT) == ()
    assert place.environments.interpreter(DEPLOYMENT) == sys.executable
    assert not (place.folder / "job").exists()
    assert place.told == []


def test_a_conda_file_is_made_and_found_again(place: Place) -> None:
    deployment = place.has(image="x", conda_file={"dependencies": [{"pip": ["six==1.0", "azureml-core"]}]})
    assert place.prepare(deployment) == ("azureml-core: left out: only Azure's agent needs it",)
    assert place.installer.made == [("six==1.0",)]
    assert place.told == ["finding versions of 1 package that fit together", "installing 1 package"]
    assert "ready: made in" in place.log
    assert place.prepare(deployment) == ("azureml-core: left out: only Azure's agent needs it",)
    assert "ready: it was there" in place.log
    python = Path(place.environments.interpreter(deployment))
    assert python.parent.parent.parent == place.folder / "made"
    assert len(place.installer.made) == 1


def test_one_that_was_removed_meanwhile_is_made_again_for_the_workers(place: Place) -> None:
    deployment = place.has(conda_file={"dependencies": ["six"]})
    assert Path(place.environments.interpreter(deployment)).exists()
    assert len(place.installer.made) == 1


def test_a_failure_is_told_in_the_log_and_raised(place: Place) -> None:
    deployment = place.has(conda_file={"dependencies": ["six"]})
    place.installer.broken = Reason(trouble=Trouble.OTHER, line="strange things")
    with pytest.raises(JobFailed, match=r"^the environment could not be made: strange things$"):
        place.prepare(deployment)
    assert "failed: the environment could not be made: strange things" in place.log


def test_what_cannot_be_understood_fails_the_job_with_its_place(place: Place) -> None:
    deployment = place.has(conda_file={"dependencies": [{"pip": ["-e ."]}]})
    with pytest.raises(JobFailed, match=r"^the environment cannot be made: conda_file: dependencies\[0\].pip:1: "):
        place.prepare(deployment)


def test_an_image_alone_is_a_bare_python(place: Place) -> None:
    deployment = place.has(image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest")
    assert place.environments.interpreter(deployment) == sys.executable
    assert place.prepare(deployment) == ()


def test_an_image_known_for_what_tidemill_has_is_told(place: Place) -> None:
    deployment = place.has(image="mcr.microsoft.com/azureml/curated/acpt-pytorch-2.2-cuda12.1")
    (note,) = place.prepare(deployment)
    assert "tidemill's own environment is used, which has torch 2.0" in note
    assert place.environments.interpreter(deployment) == sys.executable


def test_an_image_known_for_more_gets_it(place: Place) -> None:
    deployment = place.has(image="mcr.microsoft.com/azureml/curated/lightgbm-3.3:1")
    place.prepare(deployment)
    assert place.installer.made == [("lightgbm==3.3.*", "pandas", "scikit-learn", "joblib")]


def test_azures_own_environments_go_by_their_name(place: Place) -> None:
    name = "azureml://registries/azureml/environments/lightgbm-3.3/labels/latest"
    place.prepare(replace(DEPLOYMENT, environment=name))
    assert place.installer.made == [("lightgbm==3.3.*", "pandas", "scikit-learn", "joblib")]


def test_a_name_that_nobody_registered_is_told(place: Place) -> None:
    (note,) = place.prepare(replace(DEPLOYMENT, environment="azureml:once-a-note:1"))
    assert note == "azureml:once-a-note:1: is not registered; tidemill's own is used"


def test_a_build_folder(place: Place) -> None:
    build = place.folder / "build"
    (build / "docker").mkdir(parents=True)
    (build / "docker" / "Dockerfile").write_text(
        "FROM x\nCOPY conda/env.yaml /tmp/env.yaml\nRUN conda env update -f /tmp/env.yaml\nRUN pip install -r /r.txt\n"
    )
    (build / "conda").mkdir()
    (build / "conda" / "env.yaml").write_text("dependencies:\n- numpy=1.20\n")
    (build / "r.txt").write_text("six\n")
    deployment = place.has(build=BuildContext(path=str(build), dockerfile_path="docker/Dockerfile"))
    assert place.prepare(deployment) == ("build: only Python packages are installed",)
    assert place.installer.made == [("numpy==1.20.*", "six")]
    (build / "r.txt").unlink()
    with pytest.raises(JobFailed, match=r"there is no file r.txt beside it"):
        place.prepare(deployment)


def test_an_mlflow_model_brings_its_own(place: Place) -> None:
    (place.folder / "model" / "saved").mkdir(parents=True)
    (place.folder / "model" / "saved" / "MLmodel").write_text(
        "flavors:\n  python_function: {}\nmlflow_version: 2.9.0\n"
    )
    (place.folder / "model" / "saved" / "requirements.txt").write_text("six\n")
    place.model = replace(place.model, type="mlflow_model")
    bare = replace(DEPLOYMENT, code_configuration=None)
    place.prepare(bare)
    assert place.installer.made[-1] == ("six", "mlflow-skinny==2.9.0", "pandas", "pyarrow", "pillow")
    # an environment that is named counts, and gets what loads the model
    named = replace(place.has(conda_file={"dependencies": ["numpy"]}), code_configuration=None)
    place.prepare(named)
    assert place.installer.made[-1] == ("numpy", "mlflow-skinny", "pandas", "pyarrow")
    assert bare.script.scoring_script == "mlflow_pyfunc.py"
    assert (Path(bare.script.code) / bare.script.scoring_script).is_file()
