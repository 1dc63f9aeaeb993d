"""A Faust transport whose consumer hands whole fetches to one callback.

Faust keeps the group, the rebalance, the heartbeats (in aiokafka's own thread) and the life cycle; what is replaced is
the way of a message from the fetcher to the application: instead of an event through a channel each, the bytes that
the fetcher has. Stock agents cost about 80 us a message here, whatever the work.

Three things go on at a time, each in a thread of its own: the next fetch is on its way (aiokafka's thread), the one
before it is decoded, and the one before that is folded. What is decoded ahead depends on its bytes alone, so that it
can be thrown away at any time.

Offsets that Faust knows are not used: the position is the lake's, so that `perform_seek` asks the pipeline. Everything
that the pipeline decides runs in one thread beside the event loop, one call at a time, under `_turn`. `_asked` says up
to where each partition was read ahead; it is changed, and the fetcher is told to seek, only under `_asking`.

The seam is `BatchHandler`: a plain agent with `take_events` can call the same methods.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

import aiokafka
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP

from ingestion.pipeline import End, Read
from ingestion.records import Records
from ingestion.stream.record_batches import Fetched, records_of

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Longest wait for readings before the handler is called anyway, for what is due by the clock."""

LONGEST_FETCH_MS = 500
"""How long the broker waits with its answer where there is nothing new."""

LARGEST_FETCH = 8 * 1024 * 1024
"""Bytes of an answer, over all partitions; two of them, decompressed, are in memory at a time."""

T = TypeVar("T")


class BatchHandler(Protocol):
    """What consumes the partitions. All calls come one at a time, from one thread."""

    def assign(self, partitions: Sequence[int], earliest: Mapping[int, int]) -> dict[int, int]:
        """These partitions are ours now; returns from where to fetch each."""

    def drop(self) -> None:
        """No partition is ours any more; nothing that is not stored may be used again."""

    def position(self, partition: int) -> int | None:
        """The next offset that is expected of a partition, None if it is not ours."""

    def read(self, partition: int, records: Records) -> Read:
        """Decode the next messages of a partition. Called from another thread, ahead of their turn."""

    def take(self, partition: int, read: Read) -> None:
        """The next messages of a partition."""

    def tend(self, ends: Mapping[int, End]) -> None:
        """About twice a second: what is due by the clock."""


class _Ahead(NamedTuple):
    """A fetch of a partition that has been decoded; it goes on where the one before it ended."""

    tp: TP
    offset: int
    read: Read


class FetchingThread(AIOKafkaConsumerThread):
    """Faust's thread around aiokafka's consumer, with limits of the fetcher that Faust has no settings for."""

    def _create_worker_consumer(self, transport: Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # while one partition's answer waits at the broker for something new, nothing is fetched of the others
        consumer._fetch_max_wait_ms = LONGEST_FETCH_MS
        consumer._fetch_max_bytes = LARGEST_FETCH
        return consumer


class BatchConsumer(Consumer):
    """Faust's consumer with batches instead of events. Any error of the handler ends the process: see `_crash`."""

    transport: BatchTransport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pipeline = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pipeline")
        self._decoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")
        self._turn = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._epoch = 0
        self._asked: dict[TP, int] = {}
        self._doubted: dict[TP, int] = {}

    def _new_consumer_thread(self) -> FetchingThread:
        return FetchingThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _handler(self) -> BatchHandler:
        return self.transport.handler

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._epoch += 1
        # waits for a fold or commit on its way: that one is ours by right until we have answered the group
        async with self._turn, self._asking:
            self._asked.clear()
            await self._call(self._handler.drop)
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Fetch each assigned partition from the position that the handler gives, before anything is handed on."""
        self._epoch += 1
        async with self._turn, self._asking:
            mine = sorted(tp for tp in self.assignment() if tp.topic == self.transport.topic)
            earliest = await self.earliest_offsets(*mine)
            latest = await self.highwaters(*mine)
            starts = {tp.partition: offset for tp, offset in earliest.items()}
            positions = await self._call(self._handler.assign, [tp.partition for tp in mine], starts)
            self._asked.clear()
            self._doubted.clear()
            for tp in mine:
                position = positions[tp.partition]
                if position > latest[tp]:
                    self._crash(
                        f"partition {tp.partition} of {tp.topic} ends at {latest[tp]}, but the lake stands at "
                        f"{position}: the topic was deleted or restored; start afresh with `tidemill reset`"
                    )
                if position < earliest[tp]:
                    log.warning(
                        "partition %d: readings %d to %d were deleted by the topic's retention before they were read",
                        tp.partition,
                        position,
                        earliest[tp] - 1,
                    )
                await self._ask(tp, max(position, earliest[tp]))
        self.transport.on_assigned([tp.partition for tp in mine])

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetch loop: runs until the consumer or its fetcher service stops."""
        stopped = self._stopped.is_set
        fetcher_stopped = fetcher._stopped.is_set
        handing: asyncio.Task[None] | None = None
        try:
            while not (stopped() or fetcher_stopped()):
                epoch = self._epoch
                found, _ = await self._wait_next_records(POLL_SECONDS)
                admitted = await self._admitted(found or {}, epoch)
                ahead = [await self._decoded(*fetch) for fetch in admitted]
                if handing:
                    await handing
                handing = asyncio.create_task(self._hand_over(ahead, epoch))
                # an empty answer may come at once: heartbeats and rebalances need the loop, too
                await asyncio.sleep(0)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                self._crash("the broker's client stopped by itself")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._crash(f"{type(error).__name__}: {error}", error)
        finally:
            if handing:
                handing.cancel()

    async def _admitted(self, found: Mapping[Any, Sequence[Fetched]], epoch: int) -> list[tuple[TP, int, Fetched]]:
        """The fetches that go on where their partition was read up to, and where; others are asked for again."""
        admitted = []
        async with self._asking:
            for where, fetches in found.items():
                tp = TP(where.topic, where.partition)
                for fetch in fetches:
                    expected = self._asked.get(tp)
                    if expected is None:
                        continue
                    if epoch != self._epoch or self._jumps(tp, expected, fetch.offset):
                        # fetched while partitions moved: ask for them again rather than lose them
                        await self._ask(tp, expected)
                        continue
                    admitted.append((tp, expected, fetch))
                    self._asked[tp] = max(expected, fetch.next_offset)
        return admitted

    async def _ask(self, tp: TP, offset: int) -> None:
        await self.seek(tp, offset)
        self._asked[tp] = offset

    async def _decoded(self, tp: TP, follows: int, fetch: Fetched) -> _Ahead:
        records = await self._call(records_of, fetch, executor=self._decoder)
        read = await self._call(self._handler.read, tp.partition, records, executor=self._decoder)
        return _Ahead(tp, follows, read)

    async def _hand_over(self, ahead: Sequence[_Ahead], epoch: int) -> None:
        async with self._turn:
            if not self.flow_active or self.should_stop or epoch != self._epoch:
                # whoever stopped the flow or moved partitions seeks before it goes on
                return
            for tp, offset, read in ahead:
                expected = self._handler.position(tp.partition)
                if expected is None or offset > expected:
                    self._crash(f"partition {tp.partition} stands at {expected}, but was read ahead from {offset}")
                    continue
                await self._call(self._handler.take, tp.partition, read)
            await self._call(self._handler.tend, self._ends())

    def _jumps(self, tp: TP, expected: int, offset: int) -> bool:
        """Whether messages seem to be missing. Asked for once more, and not there again, they do not exist."""
        if offset <= expected or self._doubted.get(tp) == expected:
            return False
        self._doubted[tp] = expected
        return True

    def _ends(self) -> dict[int, End]:
        """What the fetcher last heard of the partitions' ends."""
        client = self._thread._ensure_consumer()
        ends = {}
        for tp in client.assignment():
            offset, answered_ms = client.highwater(tp), client.last_poll_timestamp(tp)
            if tp.topic == self.transport.topic and offset is not None and answered_ms is not None:
                ends[tp.partition] = End(offset, self.transport.monotonic_of(answered_ms))
        return ends

    async def _call(self, function: Callable[..., T], *arguments: Any, executor: Executor | None = None) -> T:
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(executor or self._pipeline, function, *arguments)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._crash(f"{type(error).__name__}: {error}", error)
            raise

    def _crash(self, why: str, error: BaseException | None = None) -> None:
        """End the process at once. Nothing has to be tidied up, and nothing after this may be committed.

        A Faust service that fails is restarted by its supervisor with what was folded still in memory; a process that
        fails is restarted by ours with the state of the last commit.
        """
        log.critical("the stream stops: %s", why, exc_info=error)
        logging.shutdown()
        os._exit(1)


class BatchTransport(Transport):
    """Faust's aiokafka transport with BatchConsumer. `configure` before the app starts."""

    Consumer = BatchConsumer

    handler: BatchHandler
    topic: str
    on_assigned: Callable[[Sequence[int]], None]
    monotonic_of: Callable[[int], float]
