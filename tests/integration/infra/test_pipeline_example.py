"""A model's and a pipeline's deployment on one endpoint: examples/pipeline/walk.sh as a user runs it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.service_process import ServiceProcess

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "pipeline"
LIMIT = 840  # seconds; one minute where nothing else runs


def test_the_walk_goes_as_it_is_written(service: ServiceProcess) -> None:
    walk = subprocess.run(
        [str(EXAMPLE / "walk.sh")],
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert walk.returncode == 0, f"{walk.stdout[-3000:]}\n{walk.stderr[-3000:]}\n{service.log()[-3000:]}"
    parts = {part.partition("\n")[0]: part for part in walk.stdout.split("=== ")}
    whole = parts["a deployment of the pipeline, invoked by its name with values for its inputs"]
    assert "inspected 12 pumps\npump-04,sick\npump-09,sick\n" in whole
    assert re.findall(r"^[0-9a-f-]{36}\.(\w+) +Completed", whole, re.MULTILINE) == ["summarize", "score", "prepare"]
    model = parts["a deployment of the model, the endpoint's default, invoked on what the pipeline has prepared"]
    assert re.findall(r"^(pump-\d+),sick,vibration", model, re.MULTILINE) == ["pump-04", "pump-09"]
    again = parts["the same inputs again: no step is run twice"]
    taken = re.findall(r"^\S+\.(\w+)\tCompleted\t(\S+)\.(\w+)$", again, re.MULTILINE)
    assert [(step, source) for step, _, source in taken] == [(step, step) for step in ("summarize", "score", "prepare")]
    assert len({job for _, job, _ in taken}) == 1
    assert "learned\nprepared\nwhole\n" in parts["a deployment of the pipeline's job, as it was run"]
