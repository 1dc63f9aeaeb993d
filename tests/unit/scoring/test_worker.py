"""The worker's side runs in users' environments: Python 3.8, the standard library, no package of ours."""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scoring.worker

FILES = [Path(scoring.worker.__file__), *sorted((Path(scoring.worker.__file__).parent / "drivers").glob("*.py"))]
# imported lazily, for a table or a DataFrame alone
LAZY = {"pandas", "pyarrow"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_is_python_3_8(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_imports_the_standard_library_alone(file: Path) -> None:
    tree = ast.parse(file.read_text())
    top = {name for node in tree.body for name in imported(node)}
    anywhere = {name for node in ast.walk(tree) for name in imported(node)}
    assert top <= sys.stdlib_module_names
    assert anywhere <= sys.stdlib_module_names | LAZY


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_annotation_is_evaluated(file: Path) -> None:
    tree = ast.parse(file.read_text())
    if any(isinstance(node, (ast.FunctionDef, ast.AnnAssign)) for node in ast.walk(tree)):
        assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body), (
            "`dict[str, int]` and `int | None` are errors in 3.8 unless annotations stay text"
        )


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [str(node.module).split(".")[0]]
    return []


class Talk:
    """A worker process of some interpreter, spoken to by hand."""

    def __init__(self, python: str, folder: Path) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(90)
        with (folder / "worker.txt").open("wb") as log:
            self._process = subprocess.Popen(
                [python, str(FILES[0]), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
            )
        theirs.close()

    def ask(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        self._ours.sendall(struct.pack(">I", len(body)) + body)

    def hear(self) -> dict[str, Any]:
        (length,) = struct.unpack(">I", self._ours.recv(4, socket.MSG_WAITALL))
        heard: dict[str, Any] = json.loads(self._ours.recv(length, socket.MSG_WAITALL))
        return heard

    def close(self) -> int:
        self._ours.close()
        return self._process.wait(20)


def old_python() -> str | None:
    """An interpreter of the oldest kind that scripts may ask for, where this machine has one."""
    found = shutil.which("python3.8")
    candidates = [found] if found else []
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    candidates += [str(path) for path in Path(root).glob("versions/3.8.*/bin/python3.8")]
    for python in candidates:
        if subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            return python
    return None


SCRIPT = """
import argparse, glob, os, sys
import beside
import model
from azureml_user.parallel_run import EntryScript

def init():
    global net, arguments
    net = open(glob.glob(os.path.join(os.environ["AZUREML_MODEL_DIR"], "*", "*.pt"))[0]).read()
    parser = argparse.ArgumentParser()
    parser.add_argument("--logging_level")
    arguments, _ = parser.parse_known_args()
    EntryScript().logger.info("initialised %s", EntryScript().agent_name)

def run(mini_batch, mini_batch_context):
    print("scoring", len(mini_batch))
    return [
        " ".join([net, arguments.logging_level, str(mini_batch_context.minibatch_index), beside.NAME, model.NAME,
                  os.environ["USER_SETTING"], os.path.basename(os.getcwd()), os.path.basename(path),
                  os.path.basename(__file__)])
        for path in mini_batch
    ]
"""


@pytest.mark.parametrize("which", ["this", "old"])
def test_a_script_finds_what_azure_promises(tmp_path: Path, which: str) -> None:
    python = sys.executable if which == "this" else old_python()
    if python is None:
        pytest.skip("there is no Python 3.8 here")
    code = tmp_path / "code"
    (code / "driver").mkdir(parents=True)
    (code / "driver" / "score.py").write_text(SCRIPT)
    (code / "driver" / "beside.py").write_text("NAME = 'beside'\n")
    (code / "model.py").write_text("NAME = 'theirs'\n")  # a name that tidemill has too
    (tmp_path / "registry" / "net").mkdir(parents=True)
    (tmp_path / "registry" / "net" / "w.pt").write_text("weights")
    talk = Talk(python, tmp_path)
    assert talk.hear()["op"] == "hello"
    talk.ask(
        {
            "op": "job",
            "driver": "script",
            "name": "j",
            "code": str(code),
            "script": str(code / "driver" / "score.py"),
            "output_dir": str(tmp_path),
            "logs": str(tmp_path / "logs"),
            "node": "node0",
            "process": "process000",
            "argv": ["--logging_level", "INFO", "--mini_batch_size", "2"],
            "environment": {"AZUREML_MODEL_DIR": str(tmp_path / "registry"), "USER_SETTING": "7"},
            "logging_level": "info",
            "text": True,
            "predictions": True,
            "table": None,
        }
    )
    assert talk.hear() == {"op": "ready"}
    talk.ask({"op": "score", "index": 4, "try": 1, "paths": ["/in/a", "/in/b"], "stem": str(tmp_path / "4.e1.1")})
    assert talk.hear() == {"op": "loaded", "index": 4, "try": 1, "items": 2}
    scored = talk.hear()
    assert (scored["op"], scored["items"], scored["rows"]) == ("scored", 2, 2), scored
    assert scored["rows_path"] == str(tmp_path / "4.e1.1.txt")
    assert Path(scored["rows_path"]).read_text() == (
        "weights INFO 4 beside theirs 7 code a score.py\nweights INFO 4 beside theirs 7 code b score.py\n"
    )
    assert len((tmp_path / "4.e1.1.jsonl").read_text().splitlines()) == 2
    talk.ask({"op": "end"})
    assert talk.hear() == {"op": "ended", "clean": True}
    assert talk.close() == 0
    user = tmp_path / "logs" / "user"
    assert (user / "stdout/node0/process000.stdout.txt").read_text() == "scoring 2\n"
    assert "initialised process000" in (user / "entry_script_log/node0/process000.log.txt").read_text()
    noted = (tmp_path / "logs/sys/node/node0/process000.txt").read_text()
    assert "mini-batch 4 try 1: 2 items" in noted
