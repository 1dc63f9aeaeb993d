"""Where the records of a text file end: so that it can be cut without touching a record, whatever is quoted in it."""

from __future__ import annotations

import mmap
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_BLOCK = 256 << 10
_THREADS = 2
_FIRST_LINE = 4 << 20
_DELIMITERS = b",;\t|"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class TextPiece:
    """Bytes [start, end) of a file: whole records, `records` of them where they were counted."""

    start: int
    end: int
    records: int | None = None


@dataclass(frozen=True, kw_only=True)
class TextCut:
    """`header` bytes at the beginning name the columns; `pieces` follow one another from there to the file's end."""

    header: int
    pieces: tuple[TextPiece, ...]


def cut_text(
    path: Path, *, quoted: bool, has_header: bool, byte_size: int | None = None, rows: int | None = None
) -> TextCut | None:
    """Cut a file into pieces of about `byte_size` bytes, or of `rows` records. None for a file that cannot be cut.

    quoted  a quote at the beginning of a field opens a text that may hold line ends, and `""` for a quote: CSV as
            RFC 4180 has it, and as pandas and Python's csv read it. JSONL has no such thing.

    Raises OSError.
    """
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return TextCut(header=0, pieces=())
        # not closed by hand: arrays look into it, and it goes with the last of them
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if content[:2] in _UTF_16:
        return None
    text = _Text(content, quoted=quoted)
    header = int(next(text.ends(0))[0]) if has_header else 0
    pieces = text.by_rows(header, rows) if rows is not None else text.by_bytes(header, byte_size or 1)
    return TextCut(header=header, pieces=tuple(pieces))


class _Text:
    def __init__(self, content: mmap.mmap, *, quoted: bool) -> None:
        self._content = content
        self._size = len(content)
        self._quotes = _Quotes(_delimiter(content)) if quoted and content.find(b'"') >= 0 else None

    def by_bytes(self, start: int, size: int) -> Iterator[TextPiece]:
        """Pieces of nearly equal size."""
        wanted = self._size - start
        count = max(1, -(-wanted // size))
        before = start
        # the file's end is the last piece's, whether a line end stands there or not
        for end in [*self._ends_from(start, [start + wanted * n // count for n in range(1, count)]), self._size]:
            if end > before:
                yield TextPiece(start=before, end=end)
                before = end

    def by_rows(self, start: int, rows: int) -> Iterator[TextPiece]:
        before, filled = start, 0
        last = start
        for ends in self.ends(start):
            last = int(ends[-1])
            for end in ends[rows - filled - 1 :: rows]:
                yield TextPiece(start=before, end=int(end), records=rows)
                before = int(end)
            filled = (filled + len(ends)) % rows
        if last > before:
            yield TextPiece(start=before, end=last, records=filled)

    def ends(self, start: int) -> Iterator[Any]:
        """Places just behind each record, ascending, in arrays none of which is empty."""
        inside = False
        for block in self._blocks(start):
            found, inside = self._ends_in(block, inside)
            if len(found):
                yield found

    def _ends_in(self, block: tuple[int, int], inside: bool) -> tuple[Any, bool]:
        """The record ends of a block, and whether it ends inside of quotes, as it began or did not."""
        start, stop = block
        content = self._bytes(block)
        found = np.flatnonzero(content == 0x0A)
        if self._quotes is not None:
            found, inside = self._quotes.outside(content, found, inside)
        found = found + (start + 1)
        if stop == self._size and (not len(found) or found[-1] != stop):
            found = np.append(found, stop)  # the last record has no line end, or its quote is never closed
        return found, inside

    def _ends_from(self, start: int, targets: list[int]) -> Iterator[int]:
        """For each target the first record end that is not before it."""
        if self._quotes is None:
            for target in targets:
                yield self._line_end(target)
            return
        quotes, waiting, inside = self._quotes, deque(targets), False
        blocks = list(self._blocks(start))
        with ThreadPoolExecutor(_THREADS) as threads:
            # most blocks hold no target: of these only the quotes are looked at, and that beforehand
            for block, look in zip(
                blocks, threads.map(lambda each: quotes.look(self._bytes(each)), blocks), strict=True
            ):
                if not waiting:
                    threads.shutdown(cancel_futures=True)
                    return
                if waiting[0] > block[1] and look.is_plain[inside]:
                    inside ^= look.is_odd
                    continue
                ends, inside = self._ends_in(block, inside)
                while waiting and len(ends) and waiting[0] <= ends[-1]:
                    yield int(ends[np.searchsorted(ends, waiting.popleft())])

    def _blocks(self, start: int) -> Iterator[tuple[int, int]]:
        """Each ends behind a line end, so no doubled quote is torn apart."""
        while start < self._size:
            stop = self._line_end(start + _BLOCK)
            yield start, stop
            start = stop

    def _bytes(self, block: tuple[int, int]) -> Any:
        return np.frombuffer(self._content, np.uint8, block[1] - block[0], block[0])

    def _line_end(self, place: int) -> int:
        if place >= self._size:
            return self._size
        found = self._content.find(b"\n", max(place - 1, 0))
        return self._size if found < 0 else found + 1


@dataclass(frozen=True, kw_only=True)
class _Look:
    """A block's quotes: whether their number is odd; whether none stands in the midst of an unquoted field, where the
    block begins outside of quotes, and where it begins inside."""

    is_odd: bool
    is_plain: tuple[bool, bool]


class _Quotes:
    """Which line ends lie inside of quotes."""

    def __init__(self, delimiter: bytes) -> None:
        rest = rb'(?:[^"]++|"")*+"'
        # only a quote at the beginning of a field opens one: in `5" pipe` it is an inch
        self._field = re.compile(rb"(?:\A|(?<=[\r\n" + re.escape(delimiter) + rb']))"(?:' + rest + rb")?+")
        self._rest = re.compile(rest)
        self._edge = np.isin(np.arange(256), np.frombuffer(b'\r\n"' + delimiter, np.uint8))

    def look(self, content: Any) -> _Look:
        quotes = np.flatnonzero(content == 0x22)
        plain = (self._is_plain(content, quotes, inside=False), self._is_plain(content, quotes, inside=True))
        return _Look(is_odd=len(quotes) % 2 == 1, is_plain=plain)

    def outside(self, content: Any, found: Any, inside: bool) -> tuple[Any, bool]:
        """The line ends `found` that are not quoted, and whether the block ends inside of quotes."""
        quotes = np.flatnonzero(content == 0x22)
        if not self._is_plain(content, quotes, inside=inside):
            return self._one_by_one(content.tobytes(), found, inside)
        quoted = (np.searchsorted(quotes, found) + inside) % 2 == 1
        return found[~quoted], bool((len(quotes) + inside) % 2)

    def _is_plain(self, content: Any, quotes: Any, *, inside: bool) -> bool:
        """Whether the number of quotes before it alone tells if a place is quoted."""
        opening = quotes[1::2] if inside else quotes[::2]
        # it opens a field, or with the closing one before it is a doubled quote
        return bool((self._edge[content[opening - 1]] | (opening == 0)).all())

    def _one_by_one(self, block: bytes, found: Any, inside: bool) -> tuple[Any, bool]:
        """The same where some quote stands inside of a field that has none: slower by far."""
        starts, stops = [], []
        place = 0
        if inside:
            closing = self._rest.match(block)
            if closing is None:
                return found[:0], True
            starts.append(0)
            stops.append(closing.end())
            place = closing.end()
        unclosed = False
        for match in self._field.finditer(block, place):
            unclosed = match.end() - match.start() == 1
            starts.append(match.start())
            stops.append(len(block) if unclosed else match.end())
            if unclosed:
                break
        if not starts:
            return found, False
        field = np.searchsorted(np.array(starts), found, side="right") - 1
        quoted = (field >= 0) & (found < np.array(stops)[field])
        return found[~quoted], unclosed


def _delimiter(content: mmap.mmap) -> bytes:
    """The one that the first line has most of; a comma where it has none."""
    end = content.find(b"\n")
    line = content[: min(_FIRST_LINE, end if end >= 0 else len(content))]
    return max((bytes([byte]) for byte in _DELIMITERS), key=line.count)
