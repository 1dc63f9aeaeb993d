"""Scoring scripts with Azure's functions: `init()`, `run(mini_batch)` with one or two parameters, `shutdown()`."""

from __future__ import annotations

import importlib.util
import inspect
import io
import logging
import os
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class MiniBatchContext:
    """The second parameter of `run`, for scripts that take one."""

    def __init__(self, minibatch_index: int) -> None:
        self.minibatch_index = minibatch_index
        self.partition_key_value: dict[str, Any] = {}


def start(job: dict[str, Any], environment: dict[str, str], load: Callable[[str], ModuleType]) -> Script:
    """The script of a job, not loaded yet; this process now looks as the script expects it."""
    return Script(job, environment, load)


class Script:
    """One job's scoring script in this process. Another job in the same process loads its script anew.

    job  name, code (folder), script (file), output_dir, results (folder), logs (folder), node, process, argv,
         environment, logging_level, text, output and predictions (see `rows`), table and
         input (see `inputs`)
    """

    def __init__(self, job: dict[str, Any], environment: dict[str, str], load: Callable[[str], ModuleType]) -> None:
        self._job = job
        self._failures = load("failures")
        self._rows = load("rows")
        self._input = load("inputs").Input(job, load)
        self._module: ModuleType | None = None
        self._takes_context = False
        self._pid = os.getpid()
        self._path = list(sys.path)
        os.environ.clear()
        os.environ.update(environment)
        os.environ.update(job["environment"])
        self._memory_limit = job.get("memory_limit")
        _limit_memory(self._memory_limit)
        self._redirect()
        level = _LEVELS.get(str(job["logging_level"]).lower(), logging.INFO)
        self._log_to_stdout(level)
        load("entry_script").install(
            agent_name=job["process"],
            log_dir=os.path.join(job["logs"], "user"),
            output_dir=job["output_dir"],
            working_dir=job["code"],
            log_file=self._log("entry_script_log", ".log.txt"),
            level=level,
        )
        sys.argv = [job["script"], *job["argv"]]
        sys.path[:0] = [os.path.dirname(job["script"])]
        if job["code"] not in sys.path:
            sys.path.insert(1, job["code"])
        os.chdir(job["code"])

    def init(self) -> dict[str, Any]:
        """Load the script and call its `init()`. An outcome: empty, or `error`, `traceback`, `exit`."""
        name = os.path.basename(self._job["script"])
        doing = f"loading {name}"
        try:
            self._module = self._load()
            if not callable(getattr(self._module, "run", None)):
                return {"error": f"{name} has no function run(mini_batch)", "traceback": None}
            self._takes_context = _takes_context(self._module.run)
            init = getattr(self._module, "init", None)
            if init is not None:
                doing = f"init() of {name}"
                init()
        except BaseException as error:
            return self._failed(error, doing)
        finally:
            _flush()
        return {}

    def score(self, message: dict[str, Any], loaded: Callable[[int], None]) -> dict[str, Any]:
        """Score a mini-batch (`index`, `try`, `paths`, `stem`). An outcome: `items`, `rows`, `rows_path`; or error."""
        name = os.path.basename(self._job["script"])
        started = time.monotonic()
        items = None
        doing = "reading the mini-batch"
        try:
            read = self._input.read(message)
            items = read.items
            loaded(items)
            if items == 0:
                return {"items": 0, "rows": 0, "rows_path": None}
            doing = f"run() of {name}"
            result = self._call(read.value, message["index"])
            rows = self._rows.count(result)
            doing = f"writing what run() of {name} returned"
            path = self._rows.write(
                result,
                message["stem"],
                text=self._job["text"],
                predictions=self._job["predictions"],
                keys=read.keys,
                output=self._job.get("output"),
                sources=read.sources,
            )
            return {"items": items, "rows": rows, "rows_path": path}
        except BaseException as error:
            if isinstance(error, self._rows.WrongReturnType):
                return {"error": f"run() of {name} {error}", "traceback": None, "items": items}
            return dict(self._failed(error, doing), items=items)
        finally:
            _flush()
            self._input.clean(message)
            self._note(message, items, time.monotonic() - started)

    def close(self) -> None:
        """Call the script's `shutdown()`, and leave this process as it was before. Never raises."""
        try:
            shutdown = getattr(self._module, "shutdown", None)
            if shutdown is not None:
                shutdown()
        except BaseException as error:
            self._failed(error, "shutdown()")
        self._module = None
        sys.path[:] = self._path
        code = os.path.join(self._job["code"], "")
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.startswith(code):
                del sys.modules[name]
        os.chdir("/")
        _flush()

    def _load(self) -> ModuleType:
        path = self._job["script"]
        name = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # as an import would: pickles and dataclasses of the script look their module up by name
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def _call(self, mini_batch: Any, index: int) -> Any:
        assert self._module is not None
        if self._takes_context:
            result = self._module.run(mini_batch, MiniBatchContext(index))
        else:
            result = self._module.run(mini_batch)
        if os.getpid() != self._pid:
            os._exit(0)  # the script forked, and its child came back too: only the parent writes rows
        return result

    def _failed(self, error: BaseException, doing: str) -> dict[str, Any]:
        outcome: dict[str, Any] = self._failures.described(error, doing)
        if isinstance(error, SystemExit):
            outcome["exit"] = True
            outcome["error"] = outcome["error"].replace(" raised SystemExit", " asked the process to exit", 1)
        if isinstance(error, MemoryError) and self._memory_limit is not None:
            outcome["error"] += f"; worker_memory_mb of the compute is {self._memory_limit >> 20}"
        _append(self._log("error", ".txt"), outcome["error"] + "\n" + outcome["traceback"] + "\n")
        return outcome

    def _note(self, message: dict[str, Any], items: int | None, seconds: float) -> None:
        line = "{} mini-batch {} try {}: {} items, {:.3f} s\n".format(
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            message["index"],
            message["try"],
            "?" if items is None else items,
            seconds,
        )
        folder = os.path.join(self._job["logs"], "sys", "node", self._job["node"])
        os.makedirs(folder, exist_ok=True)
        _append(os.path.join(folder, self._job["process"] + ".txt"), line)

    def _log(self, kind: str, suffix: str) -> str:
        folder = os.path.join(self._job["logs"], "user", kind, self._job["node"])
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, self._job["process"] + suffix)

    def _redirect(self) -> None:
        """Everything that is printed, by C code and child processes too, goes to this job's log files."""
        for number, kind in ((1, "stdout"), (2, "stderr")):
            path = self._log(kind, f".{kind}.txt")
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(fd, number)
            if fd != number:
                os.close(fd)
            raw = io.FileIO(number, "w", closefd=False)
            text = io.TextIOWrapper(
                io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
            )
            setattr(sys, kind, text)

    def _log_to_stdout(self, level: int) -> None:
        root = logging.getLogger()
        for old in list(root.handlers):
            root.removeHandler(old)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s|%(levelname)s|%(name)s|%(message)s"))
        root.addHandler(handler)
        root.setLevel(level)


def _takes_context(run: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(run).parameters.values()
    except (TypeError, ValueError):
        return False
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters) >= 2


def _limit_memory(limit: int | None) -> None:
    """Bound what this process may allocate: a script that wants more gets a MemoryError, and the machine lives on.

    Not its address space: libraries reserve far more of that than they use.
    """
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = resource.RLIM_INFINITY if limit is None else limit
    if most != resource.RLIM_INFINITY and (limit is None or limit > most):
        wanted = most
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the script may have closed or replaced it


def _append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
