"""A line of progress on stderr, and signals that end a long command cleanly."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType, TracebackType
from typing import Self


class Progress:
    """Readings so far: one line that is rewritten on a terminal, else a line every ten seconds."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._every_s = 0.5 if self._is_terminal else 10.0
        self._next = time.monotonic() + self._every_s
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown and self._is_terminal:
            print(file=sys.stderr)

    def show(
        self, readings: int, seconds: float, reached: datetime | None = None, *, windows: int = 0, share: float = 0.0
    ) -> None:
        """Show it, if it is time to. `share` of the work is done; 0 where nobody knows."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every_s
        self._is_shown = True
        rate = readings / seconds if seconds > 0 else 0.0
        at = f", at {reached:%Y-%m-%d %H:%M:%S}Z" if reached else ""
        made = f", {windows:,} windows" if windows else ""
        left = f", {share:.0%}, {_told(seconds / share - seconds)} left" if share > 0 else ""
        line = f"{readings:,} readings, {rate:,.0f}/s{made}{left}{at}"
        if self._is_terminal:
            print(f"\r{line:<78}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def _told(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"


@contextmanager
def stop_on_signals(what_follows: str = ": what was sent is still being delivered") -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second ends the process as usual."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        for known, handler in before.items():
            signal.signal(known, handler)
        print(f"\nstopping{what_follows}; once more to abort", file=sys.stderr)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
