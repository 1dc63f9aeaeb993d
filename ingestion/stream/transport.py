"""A Faust transport whose consumer hands the fetcher's batches to one callback, many messages at a time.

Faust keeps the group, the rebalance, the heartbeats (in aiokafka's own thread) and the life cycle; what is replaced is
the way of a message from the fetcher to the application: instead of an event through a channel each, the lists that the
fetcher has. Stock agents cost about 80 us a message here, whatever the work.

Offsets that Faust knows are not used: the position is the lake's, so that `perform_seek` asks the pipeline. Everything
that the pipeline does runs in one thread beside the event loop, one call at a time, under `_turn`.

The seam is `BatchHandler`: a plain agent with `take_events` can call the same three methods.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP

from ingestion.intake import Record
from ingestion.pipeline import End

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""Longest wait for readings before the handler is called anyway, for what is due by the clock."""

T = TypeVar("T")


class BatchHandler(Protocol):
    """What consumes the partitions. All calls come one at a time, from one thread."""

    def assign(self, partitions: Sequence[int], earliest: Mapping[int, int]) -> dict[int, int]:
        """These partitions are ours now; returns from where to fetch each."""

    def drop(self) -> None:
        """No partition is ours any more; nothing that is not stored may be used again."""

    def position(self, partition: int) -> int | None:
        """The next offset that is expected of a partition, None if it is not ours."""

    def take(self, partition: int, messages: Sequence[Record]) -> None:
        """The next messages of a partition."""

    def tend(self, ends: Mapping[int, End]) -> None:
        """About twice a second: what is due by the clock."""


class BatchConsumer(Consumer):
    """Faust's consumer with batches instead of events. Any error of the handler ends the process: see `_crash`."""

    transport: BatchTransport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pipeline")
        self._turn = asyncio.Lock()
        self._epoch = 0
        self._doubted: dict[TP, int] = {}

    @property
    def _handler(self) -> BatchHandler:
        return self.transport.handler

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._epoch += 1
        # waits for a fold or commit on its way: that one is ours by right until we have answered the group
        async with self._turn:
            await self._call(self._handler.drop)
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Fetch each assigned partition from the position that the handler gives, before anything is handed on."""
        self._epoch += 1
        async with self._turn:
            mine = sorted(tp for tp in self.assignment() if tp.topic == self.transport.topic)
            earliest = await self.earliest_offsets(*mine)
            latest = await self.highwaters(*mine)
            starts = {tp.partition: offset for tp, offset in earliest.items()}
            positions = await self._call(self._handler.assign, [tp.partition for tp in mine], starts)
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
                await self.seek(tp, max(position, earliest[tp]))
            self._doubted.clear()
        self.transport.on_assigned([tp.partition for tp in mine])

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetch loop: runs until the consumer or its fetcher service stops."""
        stopped = self._stopped.is_set
        fetcher_stopped = fetcher._stopped.is_set
        try:
            while not (stopped() or fetcher_stopped()):
                epoch = self._epoch
                records, _ = await self._wait_next_records(POLL_SECONDS)
                async with self._turn:
                    await self._hand_over(records or {}, epoch)
                # an empty answer may come at once: heartbeats and rebalances need the loop, too
                await asyncio.sleep(0)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                self._crash("the broker's client stopped by itself")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._crash(f"{type(error).__name__}: {error}", error)

    async def _hand_over(self, records: Mapping[Any, Sequence[Any]], epoch: int) -> None:
        if not self.flow_active or self.should_stop:
            return
        for where, batch in records.items():
            tp = TP(where.topic, where.partition)
            expected = self._handler.position(tp.partition)
            if tp.topic != self.transport.topic or expected is None or not batch:
                continue
            if epoch != self._epoch or self._jumps(tp, expected, batch[0].offset):
                # fetched while partitions moved: ask for them again rather than lose them
                await self.seek(tp, expected)
                continue
            await self._call(self._handler.take, tp.partition, batch)
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

    async def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
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
