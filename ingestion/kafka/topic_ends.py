"""The ends of topics for who asks often: over one connection, which is kept while the broker answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

from ingestion.errors import IngestionError
from ingestion.kafka.topics import TopicAdmin


class TopicEnds:
    """Connects when it is asked, and anew after an error. For any thread; use it as a context manager, or close it."""

    def __init__(self, bootstrap: Callable[[], str], *, limit: timedelta = timedelta(seconds=4)) -> None:
        """`bootstrap` is asked whenever it connects: a stack that started again may be elsewhere."""
        self._bootstrap = bootstrap
        self._limit = limit
        self._lock = threading.Lock()
        self._admin: TopicAdmin | None = None

    def __call__(self, topic: str) -> Mapping[int, int]:
        """The next offset to be written, by partition.

        Raises TryAgain where the broker does not answer, InvalidInput where there is no such topic.
        """
        with self._lock:
            if self._admin is None:
                self._admin = TopicAdmin(self._bootstrap(), limit=self._limit)
            try:
                return self._admin.end_offsets(topic)
            except IngestionError:
                self._let_go()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._admin is not None:
            self._admin.close()
        self._admin = None
