"""Dockerfiles of environments: what they install for Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scoring.environments.dockerfile import wanted_of_dockerfile
from scoring.environments.wanted import Wanted

INDEX = "--index-url"
FILES = {"requirements.txt": "requests==2.1\nazureml-core\n"}
CONDA: Mapping[str, Any] = {"dependencies": ["python=3.9", "pandas=1.4", {"pip": ["six"]}]}


def wanted(text: str) -> Wanted:
    return wanted_of_dockerfile(
        text, other_file=FILES.__getitem__, conda_file={"conda.yaml": CONDA}.__getitem__, place="Dockerfile"
    )


def test_pip_and_conda_in_all_their_forms() -> None:
    found = wanted(
        """\
FROM mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest
# a comment
RUN pip install --no-cache-dir --upgrade pip && \\
    pip install -r requirements.txt 'torch>=1,<2' "pandas==1.1" -i https://x/y
RUN conda install -c conda-forge -y numpy=1.20 pytorch-lightning ffmpeg
RUN ["python", "-m", "pip", "install", "six"]
RUN --mount=type=cache,target=/c PIP_X=1 /opt/venv/bin/pip3 install click
RUN uv pip install --find-links=https://z orjson
"""
    )
    assert found.requirements == (
        "requests==2.1",
        "torch<2,>=1",
        "pandas==1.1",
        "numpy==1.20.*",
        "pytorch-lightning",
        "six",
        "click",
        "orjson",
    )
    assert found.options == (f"{INDEX} https://x/y", "--find-links https://z")
    assert [note.subject for note in found.notes] == ["azureml-core"]
    assert found.python is None


def test_a_conda_environment() -> None:
    found = wanted(
        "FROM x\nCOPY conda.yaml /tmp/\nRUN conda env create -n e -f /tmp/conda.yaml\nRUN pip install orjson\n"
    )
    assert found.python == "3.9"
    assert found.requirements == ("six", "pandas==1.4.*", "orjson")


def test_the_python_of_the_image() -> None:
    assert wanted("FROM python:3.10-slim\nRUN pip install six\n").python == "3.10"
    assert wanted("FROM docker.io/library/python:3.9.2\n").python == "3.9.2"
    assert wanted("FROM mcr.microsoft.com/azureml/minimal-ubuntu20.04-py38-cpu-inference\n").python == "3.8"


def test_what_is_not_carried_out_is_told() -> None:
    found = wanted("FROM x\nENV A=b\nRUN apt-get update && apt-get install -y gcc; echo 'done\nUSER me\n")
    told = [str(note) for note in found.notes]
    assert told[0] == "ENV A=b: not carried out"
    assert any("apt-get" in line for line in told[1:])
    assert found.is_empty
