"""An MLflow model scored without a script: trained, saved and loaded in environments of its own."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from scoring.environments.conda import wanted_of_conda
from scoring.environments.interpreters import Interpreter
from scoring.environments.preparing import Preparer, Watch
from scoring.environments.store import EnvironmentStore
from scoring.environments.uv import Uv
from tests.service_process import ServiceProcess

pytestmark = pytest.mark.stack

TRAIN = """\
import json, os, sys
from importlib.metadata import version
import mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel
from mlflow.types import Schema, TensorSpec
from sklearn.linear_model import LogisticRegression

home = sys.argv[1]
pips = [f"{name}=={version(name)}" for name in ("mlflow-skinny", "scikit-learn", "cloudpickle", "pandas", "pyarrow")]
conda = {"name": "m", "dependencies": [f"python={sys.version_info[0]}.{sys.version_info[1]}", "pip", {"pip": pips}]}
X = pd.DataFrame({"age": np.arange(20.0, 60.0), "smoker": np.arange(40) % 2, "code": [f"{n:03d}" for n in range(40)]})
y = (X.age > 40).astype(int)

class Risk(PythonModel):
    def load_context(self, context):
        self.fitted = LogisticRegression(max_iter=500).fit(X[["age", "smoker"]], y)

    def predict(self, context, model_input, params=None):
        if "AZUREML_RUN_ID" in os.environ:
            mlflow.log_metric("rows", len(model_input))
        risk = self.fitted.predict_proba(model_input[["age", "smoker"]])[:, 1]
        return pd.DataFrame({"sick": risk > 0.5, "risk": risk.round(4), "code": model_input["code"].tolist()})

mlflow.pyfunc.save_model(
    os.path.join(home, "risk"), python_model=Risk(), conda_env=conda, signature=infer_signature(X)
)
model = Risk()
model.load_context(None)
os.makedirs(os.path.join(home, "data"))
X[:3].to_csv(os.path.join(home, "data", "a.csv"), index=False)
X[20:24].assign(more="x").to_parquet(os.path.join(home, "data", "b.parquet"))
expected = {"a.csv": X[:3], "b.parquet": X[20:24]}
with open(os.path.join(home, "expected.json"), "w") as file:
    json.dump({name: model.predict(None, rows).astype(str).values.tolist() for name, rows in expected.items()}, file)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `risk`, the files of `data`, and `expected.json`: rows by file."""
    folder = tmp_path_factory.mktemp("mlflow")
    preparer = Preparer(
        Uv(),
        EnvironmentStore(folder / "environments"),
        python=Interpreter(version=sys.version_info[:3], path=sys.executable),
    )
    wanted = wanted_of_conda({"dependencies": ["scikit-learn", {"pip": ["mlflow-skinny>=3", "pandas", "pyarrow"]}]})
    ready = preparer.prepare(wanted, Watch(log=folder / "log.txt", tell=lambda words: None, check=lambda: None))
    (folder / "train.py").write_text(TRAIN)
    ended = subprocess.run(
        [ready.python, str(folder / "train.py"), str(folder)], capture_output=True, text=True, timeout=240, cwd=folder
    )
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def risks(service: ServiceProcess, trained: Path) -> ServiceProcess:
    """The service, with a deployment of the trained model."""
    client = service.client
    client.compute.create({"name": "cpu"})
    client.batch_endpoints.create({"name": "risks"})
    client.batch_deployments.create(
        "risks",
        {
            "name": "first",
            "endpoint_name": "risks",
            "model": {"path": str(trained / "risk"), "type": "mlflow_model"},
            "compute": "cpu",
            "retry_settings": {"max_retries": 1, "timeout": 120},
        },
        set_default=True,
    )
    return service


def test_rows_are_those_of_the_model(risks: ServiceProcess, trained: Path) -> None:
    service = risks
    job = said(service, "batch-endpoint", "invoke", "-n", "risks", "--input", str(trained / "data"))
    said(service, "job", "stream", "-n", job["name"])
    output = service.home / "jobs" / job["name"] / "outputs" / "score" / "predictions.csv"
    rows = list(csv.reader(output.read_text().splitlines()))
    expected = json.loads((trained / "expected.json").read_text())
    wanted = [[str(n), *row, name] for name, found in expected.items() for n, row in enumerate(found)]
    assert sorted(rows) == sorted(wanted)
    logged = list((service.home / "jobs" / job["name"] / "mlruns").glob("*/*/metrics/rows"))
    assert len(logged) == 1

    # a file that no model can be given ends the job before anything is scored
    odd = trained / "odd"
    odd.mkdir()
    (odd / "notes.txt").write_text("x")
    lost = said(service, "batch-endpoint", "invoke", "-n", "risks", "--input", str(odd))["name"]
    assert service.command("job", "stream", "-n", lost).returncode != 0
    reason = said(service, "job", "show", "-n", lost)["status_reason"]
    assert reason.startswith("Error processing input file 'notes.txt': File type '.txt' is not supported")

    # and one that does not fit the signature fails with the file and the column
    (odd / "notes.txt").unlink()
    (odd / "bad.csv").write_text("age,smoker,code\nold,1,007\n")
    bad = said(service, "batch-endpoint", "invoke", "-n", "risks", "--input", str(odd))["name"]
    assert service.command("job", "stream", "-n", bad).returncode != 0
    reason = said(service, "job", "show", "-n", bad)["status_reason"]
    assert "Error processing input file 'bad.csv': column 'age' has values of type" in reason


def said(service: ServiceProcess, *args: str) -> dict[str, str]:
    ended = service.command(*args)
    assert ended.returncode == 0, ended.stdout + ended.stderr + service.log()
    return {} if not ended.stdout.startswith("{") else json.loads(ended.stdout)
