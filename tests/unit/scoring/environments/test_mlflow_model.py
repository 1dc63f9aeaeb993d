"""What an MLflow model says that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoring.environments.mlflow_model import wanted_of_model
from scoring.errors import InvalidInput, JobFailed

MLMODEL = """\
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    python_version: 3.8.18
mlflow_version: 2.17.2
signature:
  inputs: '[{"type": "long", "name": "age", "required": true}]'
"""
CONDA = "dependencies:\n- python=3.8.18\n- pip\n- pip:\n  - mlflow==2.17.2\n  - scikit-learn==1.3.2\n"


def model(folder: Path, **files: str) -> Path:
    (folder / "model").mkdir(parents=True)
    for name, text in files.items():
        (folder / "model" / name.replace("_dot_", ".")).write_text(text)
    return folder


def test_its_conda_file(tmp_path: Path) -> None:
    found = wanted_of_model(model(tmp_path, MLmodel=MLMODEL, conda_dot_yaml=CONDA))
    assert found.python == "3.8.18"
    assert found.requirements == ("mlflow==2.17.2", "scikit-learn==1.3.2", "pandas", "pyarrow")


def test_its_requirements_where_it_has_no_conda_file(tmp_path: Path) -> None:
    files = {"MLmodel": MLMODEL, "requirements_dot_txt": "-r more.txt\nnumpy\n", "more_dot_txt": "scikit-learn==1\n"}
    found = wanted_of_model(model(tmp_path, **files))
    assert found.python == "3.8.18"
    assert found.requirements == ("scikit-learn==1", "numpy", "mlflow-skinny==2.17.2", "pandas", "pyarrow")


def test_images_need_a_reader(tmp_path: Path) -> None:
    tensor = MLMODEL.replace('"type": "long"', '"type": "tensor"')
    assert wanted_of_model(model(tmp_path, MLmodel=tensor)).requirements[-1] == "pillow"


def test_no_file_outside_of_the_model_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x\n")
    with pytest.raises(InvalidInput, match=r"there is no file \.\./secret.txt"):
        wanted_of_model(model(tmp_path, MLmodel=MLMODEL, requirements_dot_txt="-r ../secret.txt\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "no file MLmodel"), ("flavors:\n  sklearn: {}\n", "no flavor python_function"), ("flavors: 3\n", "flavor")],
)
def test_what_is_no_model_is_told(tmp_path: Path, text: str | None, said: str) -> None:
    with pytest.raises(JobFailed, match=said):
        wanted_of_model(model(tmp_path, **({} if text is None else {"MLmodel": text})))
