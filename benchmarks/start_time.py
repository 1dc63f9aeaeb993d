"""From `invoke` to the first scored mini-batch: on a warm cluster, and on one that was scaled to zero, side by side.

    python benchmarks/start_time.py              # ten invocations of each, warm and cold in turns
    python benchmarks/start_time.py --imports json   # a script without heavy libraries
    python benchmarks/start_time.py --command    # through `tidemill batch-endpoint invoke`, its own start included

A real service over a real Postgres, in processes of their own. The clock starts before the invocation is sent, and
stops when `run` of the first mini-batch returns, as the script itself notes. Before a cold one the cluster's idle time
is set to 0 until none of its processes is left: what remains is what the kernel's page cache holds of the libraries.
Most of a cold start is the script's own imports, so each round also measures them alone, in a fresh interpreter.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from infra.client import TidemillClient
from infra.devstack.ports import free_ports
from infra.devstack.postgres import PostgresServer
from scoring.errors import TryAgain

_LIMIT_SECONDS = 120.0

SCRIPT = """
import time
{imports}


def init():
    global loaded_at
    loaded_at = time.time()


def run(mini_batch):
    return [repr(time.time()) for path in mini_batch]
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="tm-", dir="/tmp") as place:
        folder = Path(place)
        folder.chmod(0o755)  # Postgres does not run as root, and must get through
        with _service(folder) as (client, environment):
            _deploy(client, folder, options.imports)
            invoke = _by_command(environment, folder) if options.command else _by_client(client, folder)
            _measure(client, folder / "home", invoke, options)


def _measure(client: TidemillClient, home: Path, invoke: Callable[[], str], options: argparse.Namespace) -> None:
    seconds: dict[str, list[float]] = {"warm": [], "cold": []}
    imports: list[float] = []
    _first_row(client, home, invoke)
    for number in range(options.times):
        for kind in ("warm", "cold"):
            if kind == "cold":
                _scale_to_zero(client)
            taken = _first_row(client, home, invoke)
            seconds[kind].append(taken)
        imports.append(_import_seconds(options.imports))
        latest = f"warm {seconds['warm'][-1]:.3f} s   cold {seconds['cold'][-1]:.3f} s   import {imports[-1]:.3f} s"
        print(f"{number + 1:3}  {latest}", flush=True)
    for kind, limit in (("warm", 1.0), ("cold", 5.0)):
        found = seconds[kind]
        print(
            f"{kind}: median {statistics.median(found):.3f} s, from {min(found):.3f} to {max(found):.3f} s "
            f"(goal: under {limit:.0f} s)"
        )
    ratio = statistics.median(c / i for c, i in zip(seconds["cold"], imports, strict=True))
    print(
        f"`python -c 'import {options.imports}'` alone, in the same rounds: median {statistics.median(imports):.3f} s; "
        f"cold / import: median {ratio:.2f}"
    )
    print(f"load of the machine now: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _first_row(client: TidemillClient, home: Path, invoke: Callable[[], str]) -> float:
    started = time.time()
    name = invoke()
    ends = time.monotonic() + _LIMIT_SECONDS
    while True:
        job = client.jobs.show(name)
        if job["status"] in {"Completed", "Failed", "Canceled"}:
            break
        if time.monotonic() > ends:
            raise SystemExit(f"waited {_LIMIT_SECONDS:.0f} s for job {name}: {job['status']}, {job['status_reason']}")
        time.sleep(0.05)
    if job["status"] != "Completed":
        raise SystemExit(f"job {name} ended as {job['status']}: {job['status_reason']}")
    rows = (home / "jobs" / name / "outputs" / "score" / "predictions.csv").read_text().split()
    return min(float(row) for row in rows) - started


def _scale_to_zero(client: TidemillClient) -> None:
    """No instance, no worker process, no parent of them."""
    client.compute.update("cpu", {"name": "cpu", "idle_time_before_scale_down": 0})
    ends = time.monotonic() + _LIMIT_SECONDS
    while client.compute.list_nodes("cpu") or _workers():
        if time.monotonic() > ends:
            raise SystemExit(f"waited {_LIMIT_SECONDS:.0f} s for the cluster to scale to zero")
        time.sleep(0.1)
    client.compute.update("cpu", {"name": "cpu", "idle_time_before_scale_down": 3600})


def _workers() -> bool:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(word.endswith("worker.py") for word in process.cmdline()):
                return True
    return False


def _by_client(client: TidemillClient, folder: Path) -> Callable[[], str]:
    def invoke() -> str:
        inputs = {"inputs": {"files": {"type": "uri_folder", "path": str(folder / "data")}}}
        return str(client.batch_endpoints.invoke("things", inputs)["name"])

    return invoke


def _by_command(environment: dict[str, str], folder: Path) -> Callable[[], str]:
    words = ["batch-endpoint", "invoke", "-n", "things", "--input", str(folder / "data")]
    command = [sys.executable, "-m", "infra.cli.main", *words, "--query", "name", "-o", "tsv"]

    def invoke() -> str:
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    return invoke


def _deploy(client: TidemillClient, folder: Path, imports: str) -> None:
    for name in ("code", "model", "data"):
        (folder / name).mkdir()
    lines = "\n".join(f"import {name.strip()}" for name in imports.split(","))
    (folder / "code" / "score.py").write_text(SCRIPT.format(imports=lines))
    (folder / "model" / "weights.txt").write_text("1\n")
    for number in range(20):
        (folder / "data" / f"{number:02}.txt").write_text("x")
    client.compute.create({"name": "cpu", "max_instances": 1, "idle_time_before_scale_down": 3600})
    client.batch_endpoints.create({"name": "things"})
    document: dict[str, Any] = {
        "name": "first",
        "endpoint_name": "things",
        "model": {"path": str(folder / "model")},
        "code_configuration": {"code": str(folder / "code"), "scoring_script": "score.py"},
        "compute": "cpu",
    }
    client.batch_deployments.create("things", document, set_default=True)


@contextmanager
def _service(folder: Path) -> Iterator[tuple[TidemillClient, dict[str, str]]]:
    database_port, port = free_ports(2)
    server = PostgresServer(folder / "stack", port=database_port)
    server.start(limit=60)
    try:
        url = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "TIDEMILL_HOME": str(folder / "home"),
            "TIDEMILL_POSTGRES_URL": server.url,
            "TIDEMILL_KAFKA_BOOTSTRAP": "127.0.0.1:9",  # nothing answers there: batch jobs do without
            "TIDEMILL_API_URL": url,
            "TIDEMILL_DASHBOARD_URL": "http://127.0.0.1:9",
        }
        (folder / "home").mkdir()
        tidemill = [sys.executable, "-m", "infra.cli.main"]
        subprocess.run([*tidemill, "migrate"], env=environment, check=True, capture_output=True)
        with (folder / "serve.log").open("ab") as log:
            process = subprocess.Popen(
                [*tidemill, "serve", "--port", str(port)], env=environment, stdout=log, stderr=log
            )
        try:
            client = TidemillClient(url, timeout_seconds=60)
            _wait_for(client)
            yield client, environment
            client.close()
        finally:
            process.terminate()
            process.wait(30)
    finally:
        server.stop()
        server.delete()


def _wait_for(client: TidemillClient) -> None:
    ends = time.monotonic() + _LIMIT_SECONDS
    while True:
        try:
            client.health()
            return
        except TryAgain:
            if time.monotonic() > ends:
                raise SystemExit(f"waited {_LIMIT_SECONDS:.0f} s for the service") from None
            time.sleep(0.1)


def _import_seconds(imports: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {imports}"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.monotonic() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=10, help="invocations of each kind")
    parser.add_argument("--imports", default="torch", help="what the scoring script imports, with commas")
    parser.add_argument("--command", action="store_true", help="invoke by the command line")
    return parser.parse_args()


if __name__ == "__main__":
    main()
