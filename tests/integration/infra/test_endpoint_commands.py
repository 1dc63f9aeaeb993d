"""Endpoints, deployments and invocations on a real service, with the options that scripts written for az use."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from infra.client import TidemillClient
from tests.service_process import ServiceProcess, files

pytestmark = pytest.mark.stack

SCORE = "import os\n\ndef run(mini_batch):\n    return [os.path.basename(path) for path in mini_batch]\n"

TORCH = """\
$schema: https://azuremlschemas.azureedge.net/latest/modelBatchDeployment.schema.json
name: torch-dpl
endpoint_name: another
type: model
model:
  name: digits
  path: model
code_configuration:
  code: code
  scoring_script: score.py
compute: local
settings:
  mini_batch_size: 2
"""

INVOKE = """\
inputs:
  images: {type: uri_folder, path: data}
outputs:
  score: {type: uri_file, path: "azureml://datastores/workspaceblobstore/paths/runs/${{name}}/from-file.csv"}
deployment: torch-dpl
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCORE)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.txt").write_text("1 2 3\n")
    (tmp_path / "torch.yml").write_text(TORCH)
    (tmp_path / "invoke.yml").write_text(INVOKE)
    files(tmp_path / "data", 3)
    return tmp_path


def said(service: ServiceProcess, *args: str, code: int = 0, **more: str) -> str:
    done = service.command(*args, **more)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shown(service: ServiceProcess, *args: str) -> Any:
    return json.loads(said(service, *args))


def test_endpoints_deployments_and_invocations_by_command(service: ServiceProcess, folder: Path) -> None:
    said(service, "batch-endpoint", "create", "--name", "Digits", "--acquire-policy-token", "-o", "none")
    create = ("batch-deployment", "create", "--file", str(folder / "torch.yml"), "--endpoint-name", "digits")
    said(service, *create, "--set-default", "--set", "settings.retry_settings.timeout=77", "-o", "none")
    said(service, *create, "-n", "keras-dpl", "--set", "type=model", "description=zwei – 2", "-o", "none")
    assert service.command(*create, "--no-wait").stdout == ""

    listed = shown(service, "batch-endpoint", "list")
    keys = {"id", "name", "deployment_name", "location", "provisioning_state", "scoring_uri", "auth_mode"}
    assert [set(endpoint) for endpoint in listed] == [keys]
    assert listed[0]["deployment_name"] == "torch-dpl"
    deployments = shown(service, "batch-deployment", "list", "-e", "digits")
    assert [(d["name"], d["model"], d["compute"]) for d in deployments] == [
        ("keras-dpl", "azureml:digits:1", "local"),
        ("torch-dpl", "azureml:digits:1", "local"),
    ]
    changed = shown(
        service, "batch-deployment", "update", "-n", "keras-dpl", "-e", "digits", "--set", "settings.mini_batch_size=3",
        "tags.team=vision", "--remove", "description",
    )  # fmt: skip
    assert (changed["mini_batch_size"], changed["tags"], changed["description"]) == (3, {"team": "vision"}, None)
    default = ("batch-endpoint", "update", "--name", "digits", "--set", "defaults.deployment_name=keras-dpl")
    assert shown(service, *default)["defaults"] == {"deployment_name": "keras-dpl"}
    again = ("batch-endpoint", "update", "--name", "digits", "--defaults", "deployment_name=torch-dpl")
    assert said(service, *again, "--query", "defaults.deployment_name", "-o", "tsv") == "torch-dpl\n"

    invoke = ("batch-endpoint", "invoke", "--name", "digits")
    first = said(service, *invoke, "-f", str(folder / "invoke.yml"), "--query", "name", "-o", "tsv").strip()
    inputs = json.dumps({"x": {"type": "uri_folder", "path": str(folder / "data")}})
    output = "azureml://datastores/workspaceblobstore/paths/digits"
    second = shown(
        service, *invoke, "--deployment-name", "keras-dpl", "--inputs", inputs, "--output-path", output,
        "--set", "output_file_name=mine.csv", "--mini-batch-size", "1", "-c", "1", "--job-name", "second",
    )  # fmt: skip
    assert (second["name"], second["deployment"]["mini_batch_size"]) == ("second", 1)
    for job in (first, "second"):
        streamed = service.command("job", "stream", "-n", job)
        assert streamed.returncode == 0, streamed.stderr
    store = service.home / "datastores" / "workspaceblobstore"
    rows = ["f000.txt", "f001.txt", "f002.txt"]
    assert sorted((store / "runs" / first / "from-file.csv").read_text().split()) == rows
    assert sorted((store / "digits" / "mine.csv").read_text().split()) == rows
    # the same file again: refused before there is a job
    refused = service.command(*invoke, "--input", str(folder / "data"), "--output-path", output, "--set",
                              "output_file_name=mine.csv")  # fmt: skip
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "mine.csv" in refused.stderr
    assert [job["name"] for job in shown(service, "batch-endpoint", "list-jobs", "-n", "digits")] == ["second", first]
    jobs = shown(service, "batch-deployment", "list-jobs", "-n", "keras-dpl", "-e", "digits")
    assert [(job["name"], job["status"], set(job)) for job in jobs] == [
        ("second", "Completed", {"name", "status", "output"})
    ]
    # deleting what is not there, as scripts do
    for _ in range(2):
        said(service, "batch-deployment", "delete", "-n", "keras-dpl", "-e", "digits", "--yes")
    said(service, "batch-endpoint", "delete", "-n", "digits", "--yes")
    assert said(service, "job", "list", "--query", "length(@)", "-o", "tsv") == "2\n"


def test_a_token_closes_the_service_to_whoever_has_none(service: ServiceProcess, tmp_path: Path) -> None:
    token = said(service, "token", "create", "-n", "scripts", "--query", "token", "-o", "tsv").strip()
    kept = service.home / "token"
    assert (kept.read_text().strip(), kept.stat().st_mode & 0o777) == (token, 0o600)
    # this machine's own commands go on, others need it
    assert said(service, "token", "list", "--query", "[].name", "-o", "tsv") == "scripts\n"
    elsewhere = {"TIDEMILL_HOME": str(tmp_path / "nothing")}
    refused = service.command("batch-endpoint", "list", **elsewhere)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "a token is required" in refused.stderr
    assert said(service, "batch-endpoint", "list", "-o", "json", **elsewhere, TIDEMILL_TOKEN=token) == "[]\n"
    with urllib.request.urlopen(f"{service.url}/healthz", timeout=90) as answer:
        assert answer.status == 200
    said(service, "token", "revoke", "-n", "scripts", "--yes")
    assert said(service, "batch-endpoint", "list", **elsewhere) == "[]\n"


def test_a_script_with_curl_creates_invokes_and_polls_as_on_azure(service: ServiceProcess, folder: Path) -> None:
    token = said(service, "token", "create", "--no-save", "--query", "token", "-o", "tsv").strip()
    client = TidemillClient(service.url, token=token)
    client.compute.create({"name": "cpu-cluster"})
    client.models.create({"name": "digits", "path": str(folder / "model")})
    workspace = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"

    def curl(method: str, url: str, body: str | None = None) -> Any:
        url = url if url.startswith("http") else f"{service.url}{workspace}{url}"
        request = urllib.request.Request(url, method=method, data=body.encode() if body else None)
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=90) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    endpoint = "/batchEndpoints/Endpt-1?api-version=2021-10-01"
    put = curl("PUT", endpoint, '{"properties": {"authMode": "aadToken"}, "location": "westeurope"}')
    assert curl("GET", put["properties"]["properties"]["AzureAsyncOperationUri"])["status"] == "Succeeded"
    # numbers as texts, a comma before the closing bracket: as scripts have them
    deployment = f"""{{"location": "westeurope", "properties": {{
        "model": {{"referenceType": "Id", "assetId": "{workspace}/models/digits/versions/1"}},
        "codeConfiguration": {{"codeId": "{folder / "code"}", "scoringScript": "score.py"}},
        "compute": "{workspace}/computes/cpu-cluster",
        "resources": {{"instanceCount": 1}},
        "retrySettings": {{"maxRetries": 3, "timeout": "PT30S"}},
        "maxConcurrencyPerInstance": "1", "errorThreshold": "10", "loggingLevel": "info", "miniBatchSize": "2",
    }} }}"""
    curl("PUT", "/batchEndpoints/endpt-1/deployments/nonmlflowdp?api-version=2021-10-01", deployment)
    defaults = '{"properties": {"authMode": "aadToken", "defaults": {"deploymentName": "nonmlflowdp"}}}'
    scoring_uri = curl("PUT", endpoint, defaults)["properties"]["scoringUri"]
    body = {"properties": {"dataset": {"dataInputType": "DataUrl", "Path": str(folder / "data")}}}
    job = curl("POST", scoring_uri, json.dumps(body))
    name = job["id"].rpartition("/")[2]
    ends = time.monotonic() + 120
    while (state := curl("GET", f"{scoring_uri}/{name}"))["properties"]["status"] not in {"Completed", "Failed"}:
        assert time.monotonic() < ends, f"waited 120 s for the job: {state}"
        time.sleep(0.2)
    assert state["properties"]["status"] == "Completed", state
    written = Path(state["properties"]["outputData"]["score"]["uri"]) / state["properties"]["outputFileName"]
    assert sorted(written.read_text().split()) == ["f000.txt", "f001.txt", "f002.txt"]
    curl("DELETE", endpoint)
    assert [found["name"] for found in client.jobs.list()] == [name]
    client.close()
