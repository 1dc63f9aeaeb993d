"""`from azureml_user.parallel_run import EntryScript`: the helper module that Azure's scoring scripts may import."""

from __future__ import annotations

import logging
import sys
import types


class EntryScript:
    """What a script may ask of its process.

    agent_name   `processNNN`
    log_dir      folder of this job's user logs
    output_dir   AZUREML_BI_OUTPUT_PATH
    working_dir  the job's copy of the code folder
    logger       writes into logs/user/entry_script_log/<node>/<agent_name>.log.txt
    """

    agent_name = ""
    log_dir = ""
    output_dir = ""
    working_dir = ""
    logger = logging.getLogger("azureml_user.entry_script")

    def __init__(self) -> None:
        pass


def install(*, agent_name: str, log_dir: str, output_dir: str, working_dir: str, log_file: str, level: int) -> None:
    """Make the module importable, for the job that begins now."""
    EntryScript.agent_name = agent_name
    EntryScript.log_dir = log_dir
    EntryScript.output_dir = output_dir
    EntryScript.working_dir = working_dir
    handler = logging.FileHandler(log_file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s|%(levelname)s|%(process)d|%(message)s"))
    for old in list(EntryScript.logger.handlers):
        EntryScript.logger.removeHandler(old)
        old.close()
    EntryScript.logger.addHandler(handler)
    EntryScript.logger.setLevel(level)
    EntryScript.logger.propagate = False

    package = types.ModuleType("azureml_user")
    package.__path__ = []
    module = types.ModuleType("azureml_user.parallel_run")
    module.EntryScript = EntryScript  # type: ignore[attr-defined]
    package.parallel_run = module  # type: ignore[attr-defined]
    sys.modules["azureml_user"] = package
    sys.modules["azureml_user.parallel_run"] = module
