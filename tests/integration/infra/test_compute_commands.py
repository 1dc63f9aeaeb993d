"""Compute clusters against a real service on a real database; a job that has its node taken away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.cli.main import main
from tests.service_process import ServiceProcess, deploy, files

pytestmark = pytest.mark.stack

Said = Callable[..., str]


@pytest.fixture
def said(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs a command in this process; its stdout, or with `code` its stderr."""
    for name, value in service.environment.items():
        if name.startswith("TIDEMILL_"):
            monkeypatch.setenv(name, value)

    def run(*words: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["tidemill", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed.err
        return printed.err if code else printed.out

    return run


def shown(said: Said, *words: str) -> Any:
    return json.loads(said("compute", *words))


def wait_for(condition: Callable[[], object], what: str, seconds: float = 180.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def test_the_line_that_every_script_begins_with_may_be_repeated(said: Said) -> None:
    line = ["create", "-n", "batch-cluster", "--type", "amlcompute", "--min-instances", "0", "--max-instances", "5"]
    first, second = shown(said, *line), shown(said, *line)
    assert first == second
    assert (first["type"], first["max_instances"], first["provisioning_state"]) == ("amlcompute", 5, "Succeeded")
    assert first["nodes"] == {"idle": 0, "running": 0, "leaving": 0}


def test_options_of_virtual_machines_change_nothing(said: Said) -> None:
    plain = shown(said, "create", "-n", "plain")
    carried = shown(
        said, "create", "-n", "plain", "-l", "westeurope", "--vnet-name", "v", "--subnet", "s", "--identity-type",
        "SystemAssigned", "-i", "x", "--ssh-public-access-enabled", "true", "--admin-username", "me", "-g", "group",
        "-w", "space",
    )  # fmt: skip
    assert carried == plain


def test_update_changes_what_it_names_and_nothing_else(said: Said) -> None:
    made = shown(
        said, "create", "-n", "spot", "--tier", "low_priority", "--size", "STANDARD_D2", "--tags", "a=1",
        "--worker-memory-mb", "2048",
    )  # fmt: skip
    changed = shown(said, "update", "-n", "spot", "--max-instances", "8", "-d", "7", "--set", "tags.b=2")
    expected = {**made, "max_instances": 8, "idle_time_before_scale_down": 7, "tags": {"a": "1", "b": "2"}}
    assert changed == expected
    assert shown(said, "show", "--name", "spot") == expected
    assert "min_instances is 9, more than max_instances, 8" in said(
        "compute", "update", "-n", "spot", "--min-instances", "9", code=2
    )
    assert "no compute named nix" in said("compute", "update", "-n", "nix", "--max-instances", "1", code=3)


def test_lists(said: Said) -> None:
    for name in ("list-a", "list-b"):
        shown(said, "create", "-n", name)
    names = [cluster["name"] for cluster in shown(said, "list", "--type", "AmlCompute")]
    assert {"list-a", "list-b"} <= set(names)
    assert len(shown(said, "list", "-r", "1")) == 1
    assert shown(said, "list", "--type", "computeinstance") == []
    (size,) = shown(said, "list-sizes")
    assert size["v_cpus"] >= 1
    assert {row["name"] for row in shown(said, "list-usage")} >= {"clusters", "instances", "cores"}
    assert shown(said, "list-nodes", "-n", "list-a") == []


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_clusters_start_and_stop_by_themselves(said: Said, verb: str) -> None:
    shown(said, "create", "-n", "by-itself")
    assert f"compute by-itself is of type amlcompute; {verb} is for compute instances alone" in said(
        "compute", verb, "-n", "by-itself", code=1
    )


def test_deleting_asks_off_a_terminal_and_bears_what_is_not_there(said: Said) -> None:
    shown(said, "create", "-n", "gone")
    assert "--yes" in said("compute", "delete", "-n", "gone", code=2)
    said("compute", "delete", "-n", "gone", "--yes")
    said("compute", "delete", "-n", "gone", "-y", "--no-wait")
    assert "no compute named gone" in said("compute", "show", "-n", "gone", code=3)


def test_min_instances_are_there_at_once_and_dedicated_ones_stay(said: Said) -> None:
    shown(said, "create", "-n", "warm", "--min-instances", "2", "-d", "0")
    assert [node["node_state"] for node in shown(said, "list-nodes", "-n", "warm")] == ["idle", "idle"]
    assert "only instances of tier low_priority are taken away" in said("compute", "preempt", "-n", "warm", code=1)
    shown(said, "update", "-n", "warm", "--min-instances", "0")
    wait_for(lambda: shown(said, "list-nodes", "-n", "warm") == [], "the instances to end")


def test_a_job_goes_on_where_it_was_when_its_instance_is_taken_away(
    service: ServiceProcess, said: Said, tmp_path: Path
) -> None:
    # no more than thirty files are scored before the instance is taken away
    script = (
        "import os, time\nscored = []\ndef run(m):\n    time.sleep(0.1)\n    scored.append(m)\n"
        f"    while len(scored) > 30 and not os.path.exists({str(tmp_path / 'taken')!r}):\n"
        "        time.sleep(0.05)\n"
        "    return [os.path.basename(path) for path in m]\n"
    )
    deploy(service, tmp_path, script, settings={"mini_batch_size": 1, "retry_settings": {"timeout": 200}})
    shown(said, "update", "-n", "cpu", "--set", "tier=low_priority")
    folder = files(tmp_path / "data", 60)
    name = said(
        "batch-endpoint", "invoke", "-n", "things", "--input", str(folder), "--query", "name", "-o", "tsv"
    ).strip()

    def scored() -> int:
        return int(service.client.jobs.show(name)["progress"]["items_succeeded"])

    wait_for(lambda: scored() >= 5, "the first files to be scored")
    (node,) = shown(said, "list-nodes", "-n", "cpu")
    assert (node["node_state"], node["run_id"], len(node["pids"])) == ("running", name, 1)
    assert node["memory_mb"] > 1
    assert shown(said, "preempt", "-n", "cpu")["taken_away"] == [node["name"]]
    (tmp_path / "taken").touch()
    wait_for(lambda: service.client.jobs.show(name)["status"] == "Completed", "the job to complete")
    job = service.client.jobs.show(name)
    assert job["progress"]["items_succeeded"] == 60
    rows = (service.home / "jobs" / name / "outputs" / "score" / "predictions.csv").read_text().split()
    assert sorted(rows) == [f"f{n:03}.txt" for n in range(60)]
    (after,) = shown(said, "list-nodes", "-n", "cpu")
    assert after["pids"] != node["pids"]
    assert shown(said, "show", "-n", "cpu")["usage"]["worker_seconds"] >= 5.5


def test_hostile_scripts_leave_the_service_alone(service: ServiceProcess, said: Said, tmp_path: Path) -> None:
    """A few of docs/scoring-scripts.md through a real service: the rest are tests of the workers."""
    folder = files(tmp_path / "data", 4)
    scripts = {
        "exits": ("import os\ndef run(m):\n    os._exit(3)\n", "ended with exit code 3 in run() of score.py"),
        "kills": (
            "import os, signal\ndef run(m):\n    os.kill(os.getppid(), signal.SIGKILL)\n    os.kill(0, 9)\n",
            "killed by signal 9, SIGKILL",
        ),
        "raises": ("def init():\n    raise OSError('no \\ud800 weights')\ndef run(m):\n    return m\n", "OSError: no"),
        "odd": ("def run(m):\n    return 7\n", "returned int; allowed are list, tuple and pandas.DataFrame"),
    }
    for name, (script, told) in scripts.items():
        deploy(service, tmp_path, script, name=name)
        job = said("batch-endpoint", "invoke", "-n", "things", "--input", str(folder), "--query", "name", "-o", "tsv")
        wait_for(
            lambda job=job: service.client.jobs.show(job.strip())["status"] == "Failed", f"the job of {name} to fail"
        )
        assert told in service.client.jobs.show(job.strip())["status_reason"]
    deploy(service, tmp_path, "def run(m):\n    return m\n", name="good")
    job = said("batch-endpoint", "invoke", "-n", "things", "--input", str(folder), "--query", "name", "-o", "tsv")
    wait_for(lambda: service.client.jobs.show(job.strip())["status"] == "Completed", "the good job to complete")
