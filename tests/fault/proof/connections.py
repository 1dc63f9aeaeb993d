"""A TCP proxy before a broker, which cuts connections, holds them up, and loses the broker's answers."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

PRODUCE, FETCH = 0, 1
"""Numbers of Kafka's requests."""

_LIMIT = 30.0
_CHUNK = 65536


class Frames:
    """Finds where Kafka's messages begin in a stream of bytes: each is preceded by its length."""

    def __init__(self, begun: Callable[[int], None]) -> None:
        """`begun` is told the first two bytes of each message as a number: of a request what is asked."""
        self._begun = begun
        self._head = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        while data:
            if self._left:
                taken = min(self._left, len(data))
                self._left -= taken
                data = data[taken:]
                continue
            need = 6 - len(self._head)
            self._head, data = self._head + data[:need], data[need:]
            if len(self._head) == 6:
                size, number = struct.unpack(">ih", self._head)
                self._head, self._left = b"", size - 2
                self._begun(number)


@dataclass(eq=False)
class _Connection:
    """`asked`: requests whose answers the client has not got; `lost`: how many of them the broker has answered."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    asked: deque[int] = field(default_factory=deque)
    lost: int = 0

    def reset(self) -> None:
        """As a firewall does that forgot the connection: RST, and what was on its way is lost."""
        for writer in (self.client, self.broker):
            held = writer.get_extra_info("socket")
            try:
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass  # it is closed already
            writer.transport.abort()


class Proxy:
    """On `port` of 127.0.0.1, to another port of it. Its thread does the work; the methods may be called by any.

    cut  requests that were not answered when their connection was cut, by Kafka's number; connections as None
    """

    def __init__(self, port: int, target: int) -> None:
        self._port = port
        self._target = target
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._swallows = False
        self.cut: Counter[int | None] = Counter()
        self._swallowed: Counter[int] = Counter()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._open = asyncio.Event()
        self._open.set()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", self._port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            self._server.close()
            self._reset(list(self._connections))

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=_LIMIT)
        self._loop.close()

    def reset(self, share: float, chance: Callable[[], float]) -> int:
        """Cut this share of the connections, each by chance; how many."""

        async def do() -> int:
            return self._reset([one for one in self._connections if chance() < share])

        return self._do(do())

    def hold(self, seconds: float, *, then_reset: bool) -> None:
        """Let nothing through, in neither direction; after that go on as if nothing had been, or cut everything."""

        async def do() -> None:
            self._open.clear()
            await asyncio.sleep(seconds)
            if then_reset:
                self._reset(list(self._connections))
            self._open.set()

        self._do(do(), seconds + _LIMIT)

    def lose_answers(self, number: int, seconds: float) -> bool:
        """Let requests through and no answers, until the broker has answered one of these; then cut everything.

        Whether it has, within the time: the client does not know of what the broker has done.
        """

        async def do() -> bool:
            self._swallowed.clear()
            self._swallows = True
            for _ in range(round(seconds / 0.01)):
                if self._swallowed[number]:
                    break
                await asyncio.sleep(0.01)
            found = self._swallowed[number] > 0
            self._reset(list(self._connections))
            self._swallows = False
            return found

        return self._do(do(), seconds + _LIMIT)

    def _do(self, what: Coroutine[Any, Any, T], limit: float = _LIMIT) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(limit)

    def _reset(self, connections: list[_Connection]) -> int:
        for one in connections:
            self.cut[None] += 1
            self.cut.update(set(one.asked))
            one.asked.clear()
            one.reset()
        return len(connections)

    async def _serve(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            from_broker, broker = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            client.transport.abort()
            return
        one = _Connection(client, broker)
        self._connections.add(one)
        requests, answers = Frames(one.asked.append), Frames(lambda _: self._answered(one))
        try:
            await asyncio.gather(
                self._pump(from_client, broker, requests, one), self._pump(from_broker, client, answers, one, True)
            )
        finally:
            self._connections.discard(one)

    def _answered(self, one: _Connection) -> None:
        if self._swallows:
            if one.lost < len(one.asked):
                self._swallowed[one.asked[one.lost]] += 1
                one.lost += 1
        elif one.asked:
            one.asked.popleft()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, frames: Frames, one: _Connection,
        are_answers: bool = False,
    ) -> None:  # fmt: skip
        try:
            while data := await source.read(_CHUNK):
                await self._open.wait()
                frames.feed(data)
                if are_answers and self._swallows:
                    continue
                sink.write(data)
                await sink.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        # one direction that has ended ends the other
        one.client.transport.abort()
        one.broker.transport.abort()
