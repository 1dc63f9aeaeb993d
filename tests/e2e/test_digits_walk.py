"""The how-to of batch endpoints, command by command, on real handwriting: examples/digits/walk.sh as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[2]
TIDEMILL = [str(ROOT / ".venv" / "bin" / "tidemill")]
LIMIT = 1200  # seconds; two minutes where nothing else runs and the packages are in the cache


@pytest.fixture
def home(stack_home: Path) -> Iterator[Path]:
    folder = stack_home / f"walk-{time.monotonic_ns()}"
    folder.mkdir(mode=0o755)
    yield folder
    command = [*TIDEMILL, "--home", str(folder), "down"]
    subprocess.run(command, capture_output=True, timeout=240, check=False)


def test_the_walk_goes_as_it_is_written(home: Path) -> None:
    environment = {**os.environ, "TIDEMILL_HOME": str(home)}
    walk = subprocess.run(
        [str(ROOT / "examples" / "digits" / "walk.sh")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert walk.returncode == 0, f"{walk.stdout[-3000:]}\n{walk.stderr[-3000:]}"
    accuracies = dict(re.findall(r"^(torch|keras): .*predictions\.csv: ([\d.]+)% of 500 digits$", walk.stdout, re.M))
    assert set(accuracies) == {"torch", "keras"}, walk.stdout[-3000:]
    assert all(float(percent) > 90 for percent in accuracies.values())
    listed = walk.stdout.split("=== the jobs are still listed")[1].split("===")[0]
    assert listed.count("Completed") == 4, listed


def test_the_walk_has_the_commands_of_the_how_to_in_their_order() -> None:
    text = (ROOT / "examples" / "digits" / "walk.sh").read_text()
    order = [
        "compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 5",
        "batch-endpoint create --file endpoint.yml --name $ENDPOINT_NAME",
        'model create --name $MODEL_NAME --type "custom_model" --path "deployment-torch/model"',
        "batch-deployment create --file deployment-torch/deployment.yml --endpoint-name $ENDPOINT_NAME --set-default",
        "batch-deployment show --name $DEPLOYMENT_NAME --endpoint-name $ENDPOINT_NAME",
        "--input $SAMPLE_INPUT_URI --input-type uri_folder --query name -o tsv)",
        'job show -n "$JOB_NAME" --web',
        '--output-path "$OUTPUT_PATH" --set output_file_name="$OUTPUT_FILE_NAME" --query name -o tsv)',
        "--mini-batch-size 20 --instance-count 5 --query name -o tsv)",
        "batch-deployment create --file deployment-keras/deployment.yml --endpoint-name $ENDPOINT_NAME",
        "--deployment-name $DEPLOYMENT_NAME --input $SAMPLE_INPUT_URI --input-type uri_folder --query name -o tsv)",
        "batch-endpoint update --name $ENDPOINT_NAME --set defaults.deployment_name=$DEPLOYMENT_NAME",
        "batch-deployment delete --name digits-torch-dpl --endpoint-name $ENDPOINT_NAME --yes",
        "batch-endpoint delete --name $ENDPOINT_NAME --yes",
        "job list",
    ]
    places = [text.find(command) for command in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
