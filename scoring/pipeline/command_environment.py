"""The environment variables of a command: its Python first on the path, Azure's names for the run, the user's own."""

from __future__ import annotations

import os
import re
from pathlib import Path

from scoring.compute.process import worker_environment
from scoring.compute.workplace import job_environment
from scoring.job import Job
from scoring.pipeline.step_start import StepStart

_NO_NAME = re.compile(r"[^A-Za-z0-9_]")


def command_environment(job: Job, start: StepStart, *, python: str, folder: Path) -> dict[str, str]:
    """`python` is the interpreter of the command's environment, `folder` the job's own."""
    inherited = worker_environment(os.environ)
    binaries = os.path.dirname(python)
    variables = {
        **inherited,
        "PATH": os.pathsep.join([binaries, inherited.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": os.path.dirname(binaries),
        "PYTHONUNBUFFERED": "1",  # what is printed is seen at once
        **job_environment(job, folder / "mlruns", nodes=1),
        "AZUREML_ROOT_RUN_ID": job.parent or job.name,
    }
    for name in ("PYTHONHOME", "PYTHONPATH"):
        if name not in job.deployment.environment_variables:
            variables.pop(name, None)  # of tidemill's own Python
    for kind, texts in (("INPUT", start.texts), ("OUTPUT", start.output_texts)):
        for name, text in texts.items():
            variables[f"AZURE_ML_{kind}_{_NO_NAME.sub('_', name)}"] = text
    return variables
