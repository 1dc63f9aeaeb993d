"""Models, data assets, environments and datastores against a real service on a real database, command by command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cli.main import main
from infra.client import TidemillClient
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.stack

Said = Callable[..., str]


@pytest.fixture
def said(
    service: ServiceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """Runs a command in this process, in the folder of the test; its stdout, or with `code` its stderr."""
    monkeypatch.setenv("TIDEMILL_API_URL", service.url)
    monkeypatch.chdir(tmp_path)

    def run(*args: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["tidemill", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == code, f"{args}: {ended.value.code}\n{out}\n{err}"
        assert "Traceback" not in err
        if code:
            assert out == ""
            assert len(err.strip().splitlines()) == 1, err
        return err if code else out

    return run


def a_folder(path: Path, **contents: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (path / name.replace("__", ".")).write_text(content)
    return path


def test_a_model_from_create_to_restore(said: Said, tmp_path: Path) -> None:
    source = a_folder(tmp_path / "deployment" / "model", weights__txt="1 2 3")
    create = ("model", "create", "--name", "mnist", "--type", "custom_model", "--path", "deployment/model")
    first = json.loads(said(*create, "-g", "group", "-w", "work", "--subscription", "s", "--only-show-errors"))
    assert (first["name"], first["version"], first["type"]) == ("mnist", "1", "custom_model")
    assert json.loads(said(*create))["version"] == "1"  # the same content again
    (source / "weights.txt").write_text("4 5 6")
    assert said(*create, "--query", "version", "-o", "tsv") == "2\n"
    assert "a version never changes" in said(*create, "-v", "1", code=1)
    (source / "weights.txt").write_text("1 2 3")
    # what was registered last is the latest, although version 1 holds the same
    assert said(*create, "--query", "version", "-o", "tsv") == "3\n"
    assert said("model", "list", "-n", "mnist", "--query", "[].version", "-o", "tsv") == "3\n2\n1\n"
    assert said("model", "list", "-n", "mnist", "-r", "1", "--query", "[].version", "-o", "tsv") == "3\n"

    said("model", "archive", "-n", "mnist", "-v", "3")
    assert said("model", "show", "-n", "mnist", "-l", "latest", "--query", "version", "-o", "tsv") == "2\n"
    assert said("model", "show", "-n", "mnist", "-v", "3", "--query", "is_archived", "-o", "tsv") == "true\n"
    assert said("model", "list", "-n", "mnist", "--archived-only", "--query", "[].version", "-o", "tsv") == "3\n"
    everything = ("model", "list", "-n", "mnist", "--include-archived", "--query", "length(@)", "-o", "tsv")
    assert said(*everything) == "3\n"
    said("model", "archive", "-n", "mnist")
    assert said("model", "list", "-o", "tsv") == ""
    assert "archived" in said("model", "show", "-n", "mnist", code=3)
    said("model", "restore", "-n", "mnist")
    assert said("model", "list", "--query", "[].[name,version]", "-o", "tsv") == "mnist\t3\n"

    shown = said("model", "download", "-n", "mnist", "-v", "2", "-p", "kept")
    assert shown == ""
    assert (tmp_path / "kept" / "mnist" / "weights.txt").read_text() == "4 5 6"


def test_what_is_said_about_a_version_may_change_what_it_holds_may_not(said: Said, tmp_path: Path) -> None:
    a_folder(tmp_path / "m", MLmodel="flavors: {}")
    (tmp_path / "model.yml").write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/model.schema.json\n"
        "name: net\nversion: 7\ntype: mlflow_model\npath: m\ndescription: d\ntags: {a: b}\nproperties: {p: 1}\n"
        "stage: Production\nflavors:\n  python_function: {loader_module: mlflow.sklearn}\n"
    )
    made = json.loads(said("model", "create", "-f", "model.yml", "--set", "tags.c=d"))
    assert made["tags"] == {"a": "b", "c": "d"}
    assert (made["version"], made["stage"], made["properties"]) == ("7", "Production", {"p": "1"})
    update = ("model", "update", "-n", "net", "-v", "7")
    changed = json.loads(said(*update, "--set", "description=better", "tags.e=f", "--remove", "tags.a"))
    assert (changed["description"], changed["tags"]) == ("better", {"c": "d", "e": "f"})
    assert json.loads(said(*update, "--stage", "Archived"))["stage"] == "Archived"
    assert json.loads(said("model", "show", "-n", "net", "--label", "latest"))["tags"] == {"c": "d", "e": "f"}
    assert said("model", "list", "--stage", "Production", "-o", "tsv") == ""
    assert "path: " in said(*update, "--set", "path=/elsewhere", code=2)
    assert "no_such: unknown key" in said(*update, "--set", "no_such=1", code=2)
    said("model", "show", "-n", "net", "-v", "7", "-l", "latest", code=2)
    (tmp_path / "again.yml").write_text(said("model", "show", "-n", "net", "-o", "yaml"))
    assert json.loads(said("model", "create", "-f", "again.yml"))["version"] == "7"


def test_data_is_copied_and_found_again(said: Said, service: ServiceProcess, tmp_path: Path) -> None:
    a_folder(tmp_path / "readings", a__csv="1", b__csv="2")
    (tmp_path / "data.yml").write_text("name: readings\ntype: uri_folder\npath: readings\n")
    made = json.loads(said("data", "create", "-f", "data.yml"))
    assert made["path"].startswith("azureml://datastores/workspaceblobstore/paths/LocalUpload/")
    kept = service.home / "datastores" / "workspaceblobstore" / made["path"].partition("/paths/")[2]
    assert sorted(path.name for path in kept.iterdir()) == ["a.csv", "b.csv"]
    (tmp_path / "readings" / "a.csv").write_text("changed")
    assert (kept / "a.csv").read_text() == "1"
    assert json.loads(said("data", "create", "-f", "data.yml"))["version"] == "2"
    assert (
        json.loads(said("data", "create", "-n", "one", "-p", "readings/b.csv", "-t", "uri_file"))["type"] == "uri_file"
    )
    assert "its type is uri_file" in said("data", "create", "-n", "one", "-p", "readings/b.csv", code=2)
    (tmp_path / "wrong.yml").write_text("name: readings\ntyp: uri_folder\npath: readings\n")
    assert "wrong.yml:2: typ: unknown key; did you mean 'type'?" in said("data", "create", "-f", "wrong.yml", code=2)
    # what only the service can know is said with the line of the file, too
    (tmp_path / "wrong.yml").write_text("name: readings\ntype: uri_folder\npath: absent\n")
    assert "wrong.yml:3: path: there is no file or folder" in said("data", "create", "-f", "wrong.yml", code=2)
    assert said("data", "list", "--query", "[].name", "-o", "tsv") == "one\nreadings\n"
    said("data", "update", "-n", "readings", "-v", "1", "--set", "tags.checked=yes")
    said("data", "archive", "-n", "readings", "-v", "2")
    assert said("data", "show", "-n", "readings", "-l", "latest", "--query", "version", "-o", "tsv") == "1\n"


def test_environments_and_their_files(said: Said, tmp_path: Path) -> None:
    a_folder(tmp_path / "env", Dockerfile="FROM python:3.12\n")
    (tmp_path / "env" / "conda.yml").write_text(
        "name: e\nchannels: [conda-forge]\ndependencies:\n- python=3.8.5\n- pip<22.0\n- pip:\n  - torch==1.13.0\n"
    )
    (tmp_path / "env" / "environment.yml").write_text(
        "name: torch\nimage: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest\nconda_file: conda.yml\n"
    )
    made = json.loads(said("environment", "create", "-f", "env/environment.yml"))
    assert made["conda_file"]["dependencies"] == ["python=3.8.5", "pip<22.0", {"pip": ["torch==1.13.0"]}]
    built = json.loads(said("environment", "create", "-n", "built", "-b", "env", "-d", "Dockerfile"))
    assert (Path(built["build"]["path"]) / "Dockerfile").read_text() == "FROM python:3.12\n"
    again = json.loads(said("environment", "create", "-n", "torch", "-i", "python:3.12", "-c", "env/conda.yml"))
    assert again["version"] == "2"
    assert "build.dockerfile_path" in said("environment", "create", "-n", "x", "-b", "env", "-d", "no", code=2)
    (tmp_path / "env" / "conda.yml").write_text("dependencies:\n- a: &x 1\n")
    assert "env/conda.yml:2: " in said("environment", "create", "-f", "env/environment.yml", code=2)
    said("environment", "archive", "-n", "built")
    assert said("environment", "list", "--query", "[].[name,version]", "-o", "tsv") == "torch\t2\n"


def test_a_component_from_create_to_restore(said: Said, tmp_path: Path) -> None:
    a_folder(tmp_path / "parts" / "src", prepare__py="print(1)")
    file = tmp_path / "parts" / "prepare.yml"
    file.write_text(
        "name: prepare\ncommand: python prepare.py ${{inputs.rate}} $[[--note ${{inputs.note}}]]\ncode: src\n"
        "inputs: {rate: {type: number, default: 0.5}, note: {type: string, optional: true}}\n"
    )
    create = ("component", "create", "--file", "parts/prepare.yml", "--query", "version", "-o", "tsv")
    assert [said(*create), said(*create), said(*create, "--set", "inputs.rate.default=1")] == ["1\n", "1\n", "2\n"]
    shown = json.loads(said("component", "show", "-n", "prepare", "-l", "latest"))
    assert (shown["version"], shown["inputs"]["rate"]["default"]) == ("2", 1.0)
    assert (Path(shown["code"]) / "prepare.py").read_text() == "print(1)"
    # what is shown can be created again, under another name too
    (tmp_path / "again.yml").write_text(said("component", "show", "-n", "prepare", "-v", "1", "-o", "yaml"))
    assert said("component", "create", "-f", "again.yml", "-n", "other", "-v", "7", "--query", "id", "-o", "tsv") == (
        "azureml:other:7\n"
    )
    said("component", "update", "-n", "prepare", "-v", "2", "--display-name", "Prepare", "--set", "tags.a=b")
    assert (
        said("component", "show", "-n", "prepare", "--query", "[display_name, tags.a]", "-o", "tsv") == "Prepare\nb\n"
    )
    said("component", "archive", "-n", "prepare", "-v", "2")
    assert said("component", "list", "-n", "prepare", "--query", "[].version", "-o", "tsv") == "1\n"
    said("component", "restore", "-n", "prepare", "-v", "2")
    assert said("component", "list", "-o", "tsv", "--query", "[].[name, version]") == "other\t7\nprepare\t2\n"


def test_a_components_file_is_refused_with_its_line_and_nothing_is_made(said: Said, tmp_path: Path) -> None:
    file = tmp_path / "prepare.yml"
    for text, wanted, code in (
        ("name: Prepare\ncommand: x\n", "prepare.yml:1: name: found 'Prepare'; a component's name", 2),
        ("name: prepare\ncomand: x\n", "prepare.yml:2: comand: unknown key; did you mean 'command'?", 2),
        ("name: prepare\ncommand: x\ncode: absent\n", "prepare.yml:3: code: there is no folder", 2),
        ("name: prepare\ncommand: x\nenvironment: azureml:absent:1\n", "there is no environment named absent", 3),
        (
            "name: prepare\ntype: pipeline\njobs:\n  a:\n    component: {command: x, code: absent}\n",
            "prepare.yml:5: jobs.a.component.code: there is no folder",
            2,
        ),
    ):
        file.write_text(text)
        assert wanted in said("component", "create", "--file", "prepare.yml", code=code)
    assert said("component", "list", "-o", "tsv") == ""


def test_a_folder_under_a_name(said: Said, tmp_path: Path) -> None:
    a_folder(tmp_path / "plant" / "images", a__png="x")
    (tmp_path / "store.yml").write_text("name: plant\ntype: local_folder\npath: plant\n")
    said("datastore", "create", "--file", "store.yml")
    names = said("datastore", "list", "--query", "[].name", "-o", "tsv").split()
    assert names == [
        "workspaceblobstore",
        "workspaceartifactstore",
        "workspacefilestore",
        "workspaceworkingdirectory",
        "plant",
    ]
    long = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/plant/paths/images/"
    made = json.loads(said("data", "create", "-n", "images", "--path", long))
    assert made["path"] == "azureml://datastores/plant/paths/images"
    assert json.loads(said("model", "create", "-n", "from-store", "--path", long))["version"] == "1"
    changed = json.loads(said("datastore", "update", "-n", "plant", "--set", "description=all of it"))
    assert changed["description"] == "all of it"
    (tmp_path / "blob.yml").write_text(
        "name: cloud\ntype: azure_blob\naccount_name: a\ncontainer_name: c\ncredentials: {account_key: SECRET}\n"
    )
    assert "SECRET" not in said("datastore", "create", "-f", "blob.yml")
    refused = said("data", "create", "-n", "x", "--path", "azureml://datastores/cloud/paths/p", code=2)
    assert "type azure_blob, which needs Azure" in refused
    said("datastore", "delete", "-n", "plant", "--yes")
    assert "there is no datastore named plant" in said("datastore", "show", "-n", "plant", code=3)
    said("datastore", "delete", "-n", "workspaceblobstore", "--yes", code=1)


def test_a_client_elsewhere_sends_its_files_once(service: ServiceProcess, tmp_path: Path) -> None:
    """A client whose paths the service does not see: the answer to `seen` is the one difference."""
    source = a_folder(tmp_path / "m", weights="1 2 3")
    here = service.client.models.create({"name": "here", "path": str(source)})
    with TidemillClient(service.url) as client:
        sent: list[str] = []
        for uploads in (client.models._uploads, client.data._uploads, client.batch_deployments._uploads):
            uploads._is_seen = lambda path: False  # type: ignore[method-assign]
        send = client._connection.send
        client._connection.send = lambda path, content: (sent.append(path), send(path, content))[1]  # type: ignore[method-assign,assignment]
        there = client.models.create({"name": "there", "path": str(source)})
        assert there["content_hash"] == here["content_hash"]
        assert sent == []  # the service had this content
        (source / "weights").write_text("4 5 6")
        there = client.models.create({"name": "there", "path": str(source)})
        assert len(sent) == 1
        assert client.models.download("there", "latest", tmp_path / "down").joinpath("weights").read_text() == "4 5 6"
        data = client.data.create({"name": "d", "path": str(source)})
        assert data["path"].endswith("/m")
        code = a_folder(tmp_path / "code", score__py="def run(mini_batch):\n    return mini_batch\n", notes="x")
        client.batch_endpoints.create({"name": "things"})
        made = client.batch_deployments.create(
            "things",
            {
                "name": "first",
                "endpoint_name": "things",
                "model": {"path": str(source)},
                "code_configuration": {"code": str(code), "scoring_script": "score.py"},
                "compute": "local",
            },
        )
        kept = Path(made["code_configuration"]["code"])
        assert kept.is_relative_to(service.home / "registry" / "code")
        assert (kept / "notes").read_text() == "x"
        assert [path.split("/")[2] for path in sent] == ["models", "data", "code"]
    assert not list((service.home / "registry" / "tmp").iterdir())


FAR = """\
set -e
mount -t tmpfs tmpfs "$1"; cd "$1"
mkdir -p model code data
echo 1 2 3 > model/weights.txt; echo x > data/a.txt; echo yy > data/b.txt
cat > code/score.py <<'END'
import os
def init():
    global words
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "weights.txt")) as weights:
        words = len(weights.read().split())
def run(mini_batch):
    return [f"{os.path.basename(path)} {os.path.getsize(path) * words}" for path in mini_batch]
END
cat > deployment.yml <<'END'
type: model
name: first
endpoint_name: things
model: {path: model}
code_configuration: {code: code, scoring_script: score.py}
compute: azureml:cpu
END
tidemill() { "$PYTHON" -m infra.cli.main "$@"; }
tidemill compute create -n cpu -o none
tidemill batch-endpoint create -n things -o none
tidemill batch-deployment create -f deployment.yml --set-default -o none
JOB=$(tidemill batch-endpoint invoke -n things --input data --query name -o tsv)
tidemill job stream -n $JOB >&2
tidemill job download -n $JOB --output-name score -p out
sort out/predictions.csv
"""


@pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="a file system of one's own needs the right to mount",
)
def test_a_client_with_a_file_system_of_its_own(service: ServiceProcess, tmp_path: Path) -> None:
    """What the client has lies on a disk that the service does not see."""
    far = tmp_path / "far"
    far.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", FAR, "far", str(far)],
        env=service.environment | {"PYTHON": sys.executable, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a.txt 6\nb.txt 9\n"
    assert list(far.iterdir()) == []
