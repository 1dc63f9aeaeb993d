"""The broker's jars: a lock of exact coordinates and checksums, and the per-user cache that they are fetched into.

Left to itself the resolver mixes versions (a kafka-clients older than the broker), so everything is pinned.
`python -m infra.devstack.jars` resolves the lock again from ROOTS.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.devstack.errors import NotUsable

LOCK = Path(__file__).with_name("kafka-jars.lock")
KAFKA = "4.1.1"
# asked for together with their versions: together they give a set that works
ROOTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA}",
    f"org.apache.kafka:kafka-clients:{KAFKA}",
    "com.fasterxml.jackson.core:jackson-databind:2.19.2",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
    "org.apache.logging.log4j:log4j-core:2.24.3",
)
HEADER = """\
# Every jar of the embedded Kafka broker: group:artifact:version and the sha256 of the jar.
# Resolved from the five coordinates named in infra/devstack/jars.py by `python -m infra.devstack.jars`, never by hand.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies below a Maven repository."""
        return Path(*self.group.split("."), self.artifact, self.version, f"{self.artifact}-{self.version}.jar")


def read_lock(path: Path = LOCK) -> tuple[Jar, ...]:
    """The lock's lines in order. Raises NotUsable naming a line that is not `group:artifact:version sha256`."""
    jars = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            coordinate, digest = line.split()
            group, artifact, version = coordinate.split(":")
        except ValueError:
            raise NotUsable(f"{path.name} line {number} is not `group:artifact:version sha256`: {line!r}") from None
        jars.append(Jar(group=group, artifact=artifact, version=version, sha256=digest))
    return tuple(jars)


def cache_directory() -> Path:
    """The per-user cache, shared by all stacks: $XDG_CACHE_HOME/tidemill or ~/.cache/tidemill."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tidemill"


class JarCache:
    """A Maven-shaped folder of verified jars. A stamp of size and time spares hashing them on each start."""

    def __init__(self, root: Path | None = None, jars: tuple[Jar, ...] | None = None) -> None:
        self.root = (root or cache_directory()) / "maven"
        self.jars = read_lock() if jars is None else jars
        self._stamp_file = self.root / "verified.json"

    def missing(self) -> list[Jar]:
        """Jars that are not in the cache yet."""
        return [jar for jar in self.jars if not (self.root / jar.path).is_file()]

    def classpath(self, progress: Callable[[str], None] = lambda _: None) -> str:
        """Fetch what is missing, verify, return the class path. Raises NotUsable if a jar cannot be had or differs."""
        missing = self.missing()
        if missing:
            progress(f"fetching {len(missing)} jars of Kafka {KAFKA} (once per user)")
            self._fetch(missing)
        self._verify()
        return os.pathsep.join(str(self.root / jar.path) for jar in self.jars)

    def _fetch(self, missing: list[Jar]) -> None:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext

        self.root.mkdir(parents=True, exist_ok=True)
        # a mirror that the user configured for jgo is honoured; the checksums make any source safe
        repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
        maven = MavenContext(repo_cache=self.root, remote_repos=repositories, timeout=60)

        def fetch(jar: Jar) -> None:
            maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()

        try:
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(fetch, missing))
        except Exception as error:
            raise NotUsable(f"the jars of Kafka could not be fetched from Maven Central: {error}") from error

    def _verify(self) -> None:
        known = self._stamps()
        now: dict[str, list[int | str]] = {}
        for jar in self.jars:
            path = self.root / jar.path
            status = path.stat()
            stamp: list[int | str] = [status.st_size, status.st_mtime_ns, jar.sha256]
            now[str(jar.path)] = stamp
            if known.get(str(jar.path)) == stamp:
                continue
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != jar.sha256:
                path.unlink()
                raise NotUsable(
                    f"{path.name} has sha256 {found}, the lock says {jar.sha256}: it was deleted; "
                    "try again, and if that repeats, look at what serves the jars"
                )
        if now != known:
            part = self._stamp_file.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(now))
            part.replace(self._stamp_file)

    def _stamps(self) -> dict[str, list[int | str]]:
        try:
            return dict(json.loads(self._stamp_file.read_text()))
        except (OSError, ValueError):
            return {}


def resolve_lock(root: Path) -> str:
    """The text of a new lock: ROOTS with all they need at run time. Downloads into `root`."""
    from dataclasses import replace

    from jgo.maven import MavenContext
    from jgo.parse import Endpoint

    maven = MavenContext(repo_cache=root)
    asked = [
        maven.create_dependency(replace(coordinate, scope="compile"))
        for coordinate in Endpoint.parse("+".join(ROOTS)).coordinates
    ]
    roots, transitive = maven.resolver.resolve(asked)
    artifacts = [item.artifact for item in (*roots, *(d for d in transitive if d.scope in ("compile", "runtime")))]
    lines = []
    for artifact in artifacts:
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        lines.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}\n")
    return HEADER + "".join(sorted(lines))


if __name__ == "__main__":
    LOCK.write_text(resolve_lock(cache_directory() / "maven"))
