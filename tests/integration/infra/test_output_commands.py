"""Sizes of mini-batches, formats of the output file and `--overwrite`, as a user writes them, on a real service."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service_process import ServiceProcess

pytestmark = pytest.mark.stack

DEPLOYMENT = """\
type: model
name: blue
endpoint_name: sums
model: {path: model}
code_configuration: {code: code, scoring_script: score.py}
compute: small
settings:
  mini_batch_size: 1kb
  input_format: dataframe
  output_format: csv
  output_source: true
  retry_settings: {bisect: true, max_retries: 1}
"""
SCORE = """\
def run(frame):
    if (frame["n"] == 77).any():
        raise ValueError("unlucky")
    return frame.assign(twice=frame["n"] * 2)
"""


def said(service: ServiceProcess, *args: str, code: int = 0) -> str:
    done = service.command(*args)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_a_large_file_cut_by_rows_into_a_csv_that_may_be_replaced(service: ServiceProcess, tmp_path: Path) -> None:
    for name in ("model", "code", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "model" / "weights").touch()
    (tmp_path / "code" / "score.py").write_text(SCORE)
    (tmp_path / "data" / "large.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(2000)))
    (tmp_path / "data" / "small.csv").write_text("n\n5000\n")
    (tmp_path / "deployment.yml").write_text(DEPLOYMENT)
    service.client.compute.create({"name": "small", "max_instances": 2})
    service.client.batch_endpoints.create({"name": "sums"})
    said(service, "batch-deployment", "create", "-f", str(tmp_path / "deployment.yml"), "--set-default")
    shown = service.client.batch_deployments.show("sums", "blue")
    assert (shown["mini_batch_size"], shown["input_format"], shown["output_format"]) == ("1KB", "dataframe", "csv")

    invoke = ("batch-endpoint", "invoke", "-n", "sums", "--input", str(tmp_path / "data"))
    out = tmp_path / "out"

    def run(*more: str) -> str:
        job = said(service, *invoke, "--output-path", str(out), *more, "--query", "name", "-o", "tsv").strip()
        return said(service, "job", "stream", "-n", job)

    assert "2000 of 2001 items succeeded" in run("-c", "2")
    first = (out / "predictions.csv").read_text().splitlines()
    assert first[0] == "n,twice,source"
    assert [int(line.split(",")[0]) for line in first[1:]] == [n for n in range(2000) if n != 77] + [5000]
    assert first[-1] == f"5000,10000,{tmp_path}/data/small.csv"

    assert "predictions.csv exists already" in said(service, *invoke, "--output-path", str(out), code=1)
    (tmp_path / "data" / "large.csv").write_text("n\n1\n")
    assert "2 of 2 items succeeded in 1 mini-batches" in run("--overwrite", "-m", "50 rows")
    assert (out / "predictions.csv").read_text().count("\n") == 3
    assert "wanted a number of files" in said(service, *invoke, "-m", "many", code=2)
