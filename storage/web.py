"""Inputs in the web: fetched when a job is made, and kept in the default datastore as local inputs are.

A file is fetched as it is. A folder can be fetched where the store speaks Azure Blob's list protocol, as public
containers do: `https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit
from urllib.request import Request, urlopen
from xml.etree import ElementTree

from scoring.errors import InvalidInput, TryAgain
from scoring.job import JobInputType
from storage.registry import Registry

FILES_MAX = 100_000
BYTES_MAX = 20_000_000_000
SECONDS_MAX = 540.0
"""For all of an input; a client waits ten minutes for its answer."""

_ANSWER_SECONDS = 30.0
_LIST_BYTES_MAX = 20_000_000
_SIDE_BY_SIDE = 8


class WebInputs:
    """`datastore` is the folder of the default one."""

    def __init__(self, registry: Registry, datastore: Path) -> None:
        self._registry = registry
        self._datastore = datastore

    def fetch(self, url: str, kind: JobInputType, *, place: str = "input.path") -> Path:
        """The local copy of a file or a folder; the same content is the same path.

        Raises InvalidInput for an address that has nothing for us, TryAgain where it does not answer in time.
        """
        name = PurePosixPath(unquote(urlsplit(url).path)).name
        if not name or name in {".", ".."}:
            raise InvalidInput(f"{_shown(url)} names no file or folder", place=place)
        scratch = self._registry.scratch()
        try:
            budget = _Budget(place)
            target = scratch / name
            if kind is JobInputType.URI_FILE:
                _download(url, target, budget)
            else:
                _download_all(_listed(url, place), target, budget)
            stored = self._registry.add_data(target, self._datastore, place=place)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return stored.path / name


class _Budget:
    """What one input may take in all, whichever thread takes it."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._bytes = 0
        self._ends = time.monotonic() + SECONDS_MAX

    def take(self, count: int) -> None:
        self._bytes += count
        if self._bytes > BYTES_MAX:
            raise InvalidInput(
                f"the input is larger than {BYTES_MAX:,} bytes, the most that is fetched", place=self.place
            )
        if time.monotonic() > self._ends:
            raise TryAgain(f"waited {SECONDS_MAX:g} s for the input to be fetched; download it, and name what you have")


def _download_all(found: Iterator[tuple[PurePosixPath, str]], target: Path, budget: _Budget) -> None:
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        downloads = [threads.submit(_download, address, target / path, budget) for path, address in found]
        try:
            for download in downloads:
                download.result()
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _download(url: str, target: Path, budget: _Budget) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(url, budget.place) as answer, target.open("wb") as copy:
        while chunk := _read(answer, 1 << 20, url):
            budget.take(len(chunk))
            copy.write(chunk)
        promised = answer.headers.get("content-length")
        # a connection that ends within an answer is an end like any other to whom reads in pieces
        if promised is not None and promised.isdecimal() and copy.tell() != int(promised):
            raise TryAgain(f"{_shown(url)} broke off: {copy.tell():,} of {int(promised):,} bytes came")


def _listed(url: str, place: str) -> Iterator[tuple[PurePosixPath, str]]:
    """(path below the folder, address) of every file."""
    parts = urlsplit(url)
    container, _, rest = unquote(parts.path).strip("/").partition("/")
    prefix = f"{rest.strip('/')}/" if rest else ""
    own = parse_qsl(parts.query)  # such as a shared access signature
    marker, count = "", 0
    while True:
        asked = [("restype", "container"), ("comp", "list"), ("prefix", prefix), ("marker", marker), *own]
        page = urlunsplit((parts.scheme, parts.netloc, f"/{quote(container)}", urlencode(asked), ""))
        with _opened(page, place) as answer:
            names, marker = _page(_read(answer, _LIST_BYTES_MAX, url), url, place)
        for name in names:
            path = PurePosixPath(name.removeprefix(prefix))
            if name.endswith("/") or not path.parts:
                continue
            if path.is_absolute() or ".." in path.parts or "\0" in name:
                raise InvalidInput(f"{_shown(url)} holds the name {name[:100]!r}, which leads out of it", place=place)
            count += 1
            if count > FILES_MAX:
                raise InvalidInput(f"{_shown(url)} holds more than {FILES_MAX:,} files", place=place)
            yield path, urlunsplit((parts.scheme, parts.netloc, f"/{quote(container)}/{quote(name)}", parts.query, ""))
        if not marker:
            break
    if count == 0:
        raise InvalidInput(f"{_shown(url)} holds no files; for a single file the input's type is uri_file", place=place)


def _page(content: bytes, url: str, place: str) -> tuple[list[str], str]:
    """Names on one page of a list, and where the next one begins."""
    try:
        root = ElementTree.fromstring(content)  # noqa: S314  # of bounded size; expat bounds what entities expand to
    except ElementTree.ParseError:
        root = ElementTree.Element("none")
    if root.tag != "EnumerationResults":
        raise InvalidInput(
            f"{_shown(url)} is no folder that can be listed (that needs Azure Blob's protocol); for a single file the "
            "input's type is uri_file, a folder must be downloaded first",
            place=place,
        )
    return [name.text or "" for name in root.iterfind("Blobs/Blob/Name")], root.findtext("NextMarker") or ""


def _opened(url: str, place: str) -> HTTPResponse:
    request = Request(url, headers={"user-agent": "tidemill"})  # noqa: S310  # callers give http and https alone
    try:
        answer: HTTPResponse = urlopen(request, timeout=_ANSWER_SECONDS)  # noqa: S310
    except HTTPError as error:
        if error.code >= 500 or error.code == 429:
            raise TryAgain(f"{_shown(url)} answered {error.code} {error.reason}") from None
        raise InvalidInput(f"{_shown(url)} answered {error.code} {error.reason}", place=place) from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise TryAgain(f"{_shown(url)} does not answer: {getattr(error, 'reason', None) or error}") from None
    return answer


def _read(answer: HTTPResponse, limit: int, url: str) -> bytes:
    try:
        return answer.read(limit)
    except (OSError, HTTPException) as error:
        raise TryAgain(f"{_shown(url)} broke off: {error or type(error).__name__}") from None


def _shown(url: str) -> str:
    """Without its query, which may hold a signature."""
    return url.partition("?")[0]
