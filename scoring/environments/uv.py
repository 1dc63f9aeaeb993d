"""The program `uv`, run with limits: which Pythons there are, what fits together, and its installation.

Addresses of registries are not known here: uv finds them as it does for everybody (its own variables, pip's variables,
its configuration), and they are taken out of everything that it says.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scoring.environments.interpreters import OLDEST, Interpreter
from scoring.environments.uv_words import Reason, Trouble, why, without_addresses

RESOLVE_LIMIT = 300.0
INSTALL_LIMIT = 3600.0
_LOOK_LIMIT = 60.0
_FETCH_LIMIT = 180.0
_POLL_SECONDS = 0.05
_OTHER_PYTHONS = ("3.8", "3.6", "3.10", "3.12")
_END_LIMIT = 5.0

# a build step of a package may run anything: it must not see where the stack's databases are; the stack's mark stays,
# for by it the supervisor finds what a killed service left behind
_MARK = "TIDEMILL_STACK"
_NOT_FOR_UV = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "UV_SYSTEM_PYTHON", "UV_PYTHON")
_FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Everything that is to be installed, as lines `name==version` (or addresses)."""

    lines: tuple[str, ...]

    @property
    def versions(self) -> Mapping[str, str]:
        found = (re.match(r"([a-z0-9-]+)(?:\[[^\]]*\])?==([^\s;]+)", line) for line in self.lines)
        return {match[1]: match[2] for match in found if match}


class Uv:
    """One program. `check` is called many times a second while it runs; what it raises ends the program."""

    def __init__(self, program: Path | None = None, *, environment: Mapping[str, str] | None = None) -> None:
        self._program = program
        self._environment = uv_environment(os.environ if environment is None else environment)
        self._fetched: dict[tuple[int, int], Interpreter | None] = {}

    def interpreters(self, check: Callable[[], None]) -> Sequence[Interpreter]:
        """The Pythons of this machine that workers can run in, pyenv's among them, which are on no path."""
        listed = self._run(
            "python", "list", "--only-installed", "--output-format", "json", limit=_LOOK_LIMIT, check=check
        )
        found = [] if listed.code else _listed(listed.stdout)
        root = Path(self._environment.get("PYENV_ROOT") or Path(self._environment.get("HOME") or "/") / ".pyenv")
        for folder in sorted((root / "versions").glob("3.*")):
            match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", folder.name)
            python = folder / "bin" / "python"
            if match and python.exists():
                found.append(Interpreter(version=(int(match[1]), int(match[2]), int(match[3])), path=str(python)))
        return [one for one in found if one.minor >= OLDEST]

    def fetched(self, minor: tuple[int, int], check: Callable[[], None]) -> Interpreter | None:
        """Ask uv to fetch a Python, once for each minor version; None where it may not or cannot."""
        if self._environment.get("UV_PYTHON_DOWNLOADS") in {"never", "manual"} or minor < OLDEST:
            return None
        if minor not in self._fetched:
            text = f"{minor[0]}.{minor[1]}"
            ended = self._run("python", "install", "--no-bin", text, limit=_FETCH_LIMIT, check=check, retries=0)
            known = [one for one in self.interpreters(check) if one.minor == minor] if ended.code == 0 else []
            self._fetched[minor] = known[0] if known else None
        return self._fetched[minor]

    def resolve(
        self,
        requirements: Sequence[str],
        *,
        options: Sequence[str],
        python: Interpreter,
        sources: Collection[str],
        preferred: Mapping[str, str],
        offline: bool,
        log: Path,
        check: Callable[[], None],
    ) -> Resolved | Reason:
        """What to install so that all requirements are met; wheels only, but for the names in `sources`.

        Where nothing speaks against it the versions of `preferred` are taken, by name, instead of the newest.
        """
        with tempfile.TemporaryDirectory(prefix="tidemill-resolve-") as folder:
            wanted, found = Path(folder) / "wanted.txt", Path(folder) / "found.txt"
            wanted.write_text("\n".join([*options, *requirements]) + "\n", encoding="utf-8")
            before = "".join(f"{name}=={version}\n" for name, version in preferred.items())
            found.write_text(before, encoding="utf-8")
            ended = self._run(
                "pip", "compile", "--python", python.path, "--no-header", "--no-annotate", "--no-emit-index-url",
                "--no-emit-find-links", *_builds(requirements, sources), *_offline(offline), "--output-file",
                str(found), str(wanted), limit=RESOLVE_LIMIT, check=check, log=log,
            )  # fmt: skip
            if ended.code:
                return _reason(ended)
            lines = [line.strip() for line in found.read_text(encoding="utf-8").splitlines()]
        return Resolved(lines=tuple(line for line in lines if line and not line.startswith(("#", "-"))))

    def has_foreign_wheel(self, line: str, *, options: Sequence[str], offline: bool, check: Callable[[], None]) -> bool:
        """Whether a requirement has a wheel for another Python: such a package is compiled, and hard to build."""
        with tempfile.TemporaryDirectory(prefix="tidemill-probe-") as folder:
            wanted = Path(folder) / "wanted.txt"
            wanted.write_text("\n".join([*options, line]) + "\n", encoding="utf-8")
            for version in _OTHER_PYTHONS:
                ended = self._run(
                    "pip", "compile", "--no-deps", "--only-binary", ":all:", "--python-version", version,
                    *_offline(offline), str(wanted), limit=_LOOK_LIMIT, check=check,
                )  # fmt: skip
                if ended.code == 0:
                    return True
        return False

    def make(self, folder: Path, python: Interpreter, *, log: Path, check: Callable[[], None]) -> Reason | None:
        """An empty environment in `folder`, which may be renamed later."""
        ended = self._run(
            "venv",
            "--clear",
            "--relocatable",
            "--python",
            python.path,
            str(folder),
            limit=_LOOK_LIMIT,
            check=check,
            log=log,
        )
        return _reason(ended) if ended.code else None

    def install(
        self,
        folder: Path,
        resolved: Resolved,
        *,
        options: Sequence[str],
        sources: Collection[str],
        offline: bool,
        log: Path,
        check: Callable[[], None],
    ) -> Reason | None:
        """Install exactly what was resolved into the environment in `folder`."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="resolved-", encoding="utf-8") as wanted:
            wanted.write("\n".join([*options, *resolved.lines]) + "\n")
            wanted.flush()
            ended = self._run(
                "pip", "install", "--python", str(folder / "bin" / "python"), "--no-deps",
                *_builds(resolved.lines, sources), *_offline(offline), "--requirement", wanted.name,
                limit=INSTALL_LIMIT, check=check, log=log,
            )  # fmt: skip
        return _reason(ended) if ended.code else None

    def _run(
        self, *arguments: str, limit: float, check: Callable[[], None], log: Path | None = None, retries: int = 2
    ) -> _Ended:
        self._program = self._program or uv_program()
        environment = {**self._environment, "UV_HTTP_RETRIES": self._environment.get("UV_HTTP_RETRIES", str(retries))}
        if arguments[:2] != ("python", "install"):
            environment["UV_PYTHON_DOWNLOADS"] = "never"  # only when asked, and within that limit
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            process = subprocess.Popen(
                [str(self._program), "--color", "never", "--no-progress", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=tempfile.gettempdir(),  # uv reads the configuration of the folder that it is started in
                start_new_session=True,
            )
            ends, told = time.monotonic() + limit, 0
            is_late = False
            try:
                while process.poll() is None and not is_late:
                    check()
                    told = _copied(stderr, told, log)
                    is_late = time.monotonic() > ends
                    time.sleep(_POLL_SECONDS)
            finally:
                _end(process)
            _copied(stderr, told, log)
            said = _text(stderr)
            if is_late:
                said = f"error: uv {arguments[0]} {arguments[1]} had not ended after {limit:.0f} s"
            return _Ended(code=1 if is_late else process.returncode, stdout=_text(stdout), stderr=said)


@dataclass(frozen=True, kw_only=True)
class _Ended:
    code: int
    stdout: str
    stderr: str


def uv_program() -> Path:
    """The uv that was installed with tidemill: beside the running Python, or where its package says."""
    beside = Path(sys.executable).parent / "uv"
    if beside.exists():
        return beside
    from uv import find_uv_bin

    return Path(find_uv_bin())


def uv_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Our variables for uv: no settings of tidemill, no other environment; where pip is told something, uv is too."""
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _NOT_FOR_UV and (name == _MARK or not name.startswith("TIDEMILL_"))
    }
    for pip, uv in _FROM_PIP.items():
        value = inherited.get(pip)
        if (
            value
            and uv not in kept
            and not (pip == "PIP_FIND_LINKS" and not Path(value).exists() and "://" not in value)
        ):
            kept[uv] = value
    return kept


def _builds(lines: Sequence[str], sources: Collection[str]) -> Sequence[str]:
    """Wheels only: what has none is built when that is allowed by name, or asked for by the address of its source."""
    if any("://" in line and not line.split(";")[0].split("#")[0].strip().endswith(".whl") for line in lines):
        return ()
    return ("--only-binary", ":all:", *(word for name in sorted(sources) for word in ("--no-binary", name)))


def _offline(offline: bool) -> Sequence[str]:
    return ("--offline",) if offline else ()


def _listed(text: str) -> list[Interpreter]:
    try:
        entries = json.loads(text)
    except ValueError:
        return []
    found = []
    for entry in entries:
        if entry.get("path") and entry.get("implementation") == "cpython" and entry.get("variant") == "default":
            parts = entry["version_parts"]
            version = (int(parts["major"]), int(parts["minor"]), int(parts["patch"]))
            found.append(Interpreter(version=version, path=entry["path"]))
    return found


def _reason(ended: _Ended) -> Reason:
    if ended.code < 0:
        return Reason(trouble=Trouble.OTHER, line=f"uv was killed by signal {-ended.code}")
    return why(ended.stderr)


def _copied(source: IO[bytes], told: int, log: Path | None) -> int:
    """Append whole new lines to the log; how far it has got."""
    if log is None:
        return told
    new = os.pread(source.fileno(), 1 << 20, told)
    whole = new[: new.rfind(b"\n") + 1]
    if whole:
        with log.open("a", encoding="utf-8") as file:
            file.write(without_addresses(whole.decode("utf-8", "replace")))
    return told + len(whole)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """No uv and no build step outlives the wait for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        process.wait(_END_LIMIT)
    except subprocess.TimeoutExpired:
        pass
