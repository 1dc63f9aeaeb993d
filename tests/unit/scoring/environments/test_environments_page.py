"""docs/environments.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from scoring.drivers.mlflow_pyfunc.mlflow_pyfunc import IMAGES, TABLES
from scoring.environments.names import is_agents, is_no_python, pypi_name
from scoring.environments.relaxing import Pin

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "environments.md").read_text()


def table(head: str) -> list[list[str]]:
    """The code words of each row below the head."""
    rows = PAGE.split(f"| {head} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[word for cell in row.split("|") for word in re.findall(r"`([^`]+)`", cell)] for row in rows]


def test_how_pins_move() -> None:
    rows = table("written")
    assert len(rows) == 4
    for written, *then in rows:
        pin, moved = Pin(written=written), []
        while (farther := pin.farther) is not None:
            pin = farther
            moved.append(pin.line)
        assert moved == then, written


def test_which_files_mlflow_models_take() -> None:
    tables, images = table("files")
    assert tuple(tables) == TABLES
    assert tuple(images) == IMAGES


def test_names() -> None:
    for conda, pypi in re.findall(r"`([\w-]+)` is `([\w-]+)`", PAGE):
        assert pypi_name(conda) == pypi
    assert len(re.findall(r"`([\w-]+)` is `([\w-]+)`", PAGE)) == 4
    agents = re.findall(r"`(azureml-[\w-]+)`", PAGE)
    assert len(agents) >= 5
    assert all(is_agents(name) for name in agents)
    assert all(is_no_python(name) for name in ("ffmpeg", "gcc", "openmpi"))
    assert pypi_name("cudatoolkit") is None
