"""Apache Kafka as a child process: KRaft, one node that is broker and controller, on 127.0.0.1 only.

`prepare()` fetches and checks the jars and formats the storage once; `launch()` says what to run; `is_ready()` asks the
broker itself. `start()` and `stop()` join them for users without a supervisor.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from infra.devstack.errors import PartFailed
from infra.devstack.jars import JarCache
from infra.devstack.java import Java, find_java
from infra.devstack.processes import Launch, shimmed, spawn, stop, wait_ready

LOGGING = Path(__file__).with_name("kafka-log4j2.xml")
LARGEST_MESSAGE = 16 * 1024 * 1024
# a JVM on a machine that is short of memory or processors may end before it has begun
FORMAT_ATTEMPTS = 3
FORMAT_PAUSE_SECONDS = 1.0
JAVA_SECONDS = 120.0


def server_properties(*, data: Path, port: int, controller_port: int) -> str:
    """The broker's configuration file: sized for one machine, with no topic created by accident."""
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # the defaults of 50 partitions are for clusters: each costs files and start time
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": LARGEST_MESSAGE,
        "replica.fetch.max.bytes": LARGEST_MESSAGE,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.segment.bytes": 128 * 1024 * 1024,
        "log.index.size.max.bytes": 2 * 1024 * 1024,
        # default 128 MB of heap for a cleaner that has only the offsets topic to clean
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        # after kill -9 the controller refuses the broker's new self until the old one's session has run out
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def java_options(java: Java, *, temporary: Path) -> tuple[str, ...]:
    """Flags of the broker's JVM: small, quick to start, quiet about what newer Javas warn of."""
    options = [
        "-Xms96m",
        "-Xmx384m",
        "-XX:+UseSerialGC",
        # the second compiler pays off after minutes of load; without it the broker starts with half the processor time
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        # native parts of the compression codecs are unpacked here
        f"-Djava.io.tmpdir={temporary}",
        f"-Dlog4j2.configurationFile={LOGGING}",
    ]
    if java.version >= 22:
        options.append("--enable-native-access=ALL-UNNAMED")
    if java.version >= 23:
        options.append("--sun-misc-unsafe-memory-access=allow")
    return tuple(options)


class KafkaBroker:
    """A one-node Kafka below `home`/kafka.

    `bootstrap` is its address. Ports are the caller's choice and may change between starts; data stays.
    """

    def __init__(self, home: Path, *, port: int, controller_port: int, log: Path | None = None) -> None:
        # children run elsewhere: a relative path would mean another place to them
        self.directory = home.resolve() / "kafka"
        self.port = port
        self.controller_port = controller_port
        self.log = log or home / "logs" / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Everything before the first start; cheap when done already. Raises NotUsable or PartFailed."""
        java = find_java()
        classpath = JarCache().classpath(progress)
        data, temporary = self.directory / "data", self.directory / "tmp"
        # what a killed broker unpacked is never used again
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        properties = self.directory / "server.properties"
        properties.write_text(server_properties(data=data, port=self.port, controller_port=self.controller_port))
        if not (data / "meta.properties").exists():
            progress("formatting Kafka's storage")
            self._format(java, classpath, properties, data, progress)

    def _format(
        self, java: Java, classpath: str, properties: Path, data: Path, progress: Callable[[str], None]
    ) -> None:
        """Give the storage its cluster id. Raises PartFailed with what the last attempt said."""
        is_ours = not data.exists() or not any(data.iterdir())
        for attempt in range(1, FORMAT_ATTEMPTS + 1):
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            arguments = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
            try:
                self._java_once(java, classpath, arguments)
            except PartFailed as error:
                what = f"Kafka's storage in {data} could not be formatted (attempt {attempt} of {FORMAT_ATTEMPTS})"
                if attempt == FORMAT_ATTEMPTS:
                    raise PartFailed(f"{what}: {error}") from error
                progress(f"{what}: {error}")
                if is_ours:
                    # half a format is refused as one that belongs to another cluster
                    shutil.rmtree(data, ignore_errors=True)
                time.sleep(FORMAT_PAUSE_SECONDS * attempt)
            else:
                return

    def _java_once(self, java: Java, classpath: str, arguments: tuple[str, ...]) -> None:
        options = java_options(java, temporary=self.directory / "tmp")
        command = shimmed(
            [str(java.program), *options, "-cp", classpath, *arguments], uid=None, death_signal=signal.SIGKILL
        )
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=JAVA_SECONDS)
        except subprocess.TimeoutExpired:
            raise PartFailed(f"{arguments[0]} did not end within {JAVA_SECONDS:.0f} s") from None
        except OSError as error:
            raise PartFailed(f"{arguments[0]} could not be started: {error}") from error
        if done.returncode != 0:
            said = (done.stderr + done.stdout).strip()[-2000:] or "it said nothing"
            how = signal.Signals(-done.returncode).name if done.returncode < 0 else f"code {done.returncode}"
            raise PartFailed(f"{arguments[0]} ended with {how}: {said}")

    def launch(self) -> Launch:
        """What to run after `prepare()`."""
        java = find_java()
        options = java_options(java, temporary=self.directory / "tmp")
        properties = self.directory / "server.properties"
        return Launch(
            argv=(str(java.program), *options, "-cp", JarCache().classpath(), "kafka.Kafka", str(properties)),
            cwd=self.directory,
            log=self.log,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def is_ready(self) -> bool:
        """Does the broker answer a metadata request with itself in the list? False while it is fenced or away."""
        try:
            return brokers_listed("127.0.0.1", self.port, timeout=1.0) > 0
        except (OSError, struct.error):
            return False

    def start(self, limit: float = 60.0) -> float:
        """Prepare, start, wait until ready; the seconds from start to ready. Raises StackError's kinds."""
        self.prepare()
        self._process = spawn(self.launch())
        return wait_ready("kafka", self._process, self.is_ready, log=self.log, limit=limit)

    def stop(self, grace: float = 10.0) -> None:
        """Stop what `start()` started; nothing if it was not."""
        if self._process is not None:
            stop(self._process, self.launch().stop_signal, grace)
            self._process = None


def brokers_listed(host: str, port: int, *, timeout: float) -> int:
    """How many brokers a Metadata request (version 1, no topics) is answered with. Raises OSError or struct.error."""
    header = struct.pack(">hhih", 3, 1, 1, -1)
    request = header + struct.pack(">i", 0)
    with socket.create_connection((host, port), timeout=timeout) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        # size, correlation id, number of brokers
        answer = b""
        while len(answer) < 12:
            part = connection.recv(4096)
            if not part:
                raise ConnectionError("the broker closed the connection")
            answer += part
    count: int = struct.unpack(">iii", answer[:12])[2]
    return count
