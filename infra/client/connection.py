"""Requests to the service: time limits, repeats where they do no harm, and its errors as exceptions."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import quote

import httpx2

from scoring.errors import Conflict, InvalidInput, NotFound, ScoringError, TryAgain

Document = dict[str, Any]
Documents = list[dict[str, Any]]

_PAUSES = (0.1, 0.3, 0.8, 2.0)


class ServiceFailed(ScoringError):
    """The service answered, but not as it should; its log says more."""


class NotAllowed(ScoringError):
    """The service wants a token, or another one."""


class Connection:
    """One pool of connections to one service."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout_seconds: float,
        token: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx2.Client(
            base_url=self.base_url,
            headers={} if token is None else {"authorization": f"Bearer {token}"},
            timeout=httpx2.Timeout(timeout_seconds, connect=min(5.0, timeout_seconds)),
            transport=transport,
            trust_env=False,  # a proxy of the environment is not meant for the service next door
        )

    def close(self) -> None:
        self._http.close()

    def one(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> Document:
        """The one object that a request answers with. Raises what `_send` raises."""
        answer = self._send(method, path, body=body, parameters=parameters, headers=headers, repeat=repeat)
        if not isinstance(answer, dict):
            raise ServiceFailed(f"the service answered {method} {path} with {type(answer).__name__}, not an object")
        return answer

    def many(self, path: str, parameters: Mapping[str, Any] | None = None) -> Documents:
        """The list that a GET answers with."""
        answer = self._send("GET", path, parameters=parameters)
        if not isinstance(answer, list):
            raise ServiceFailed(f"the service answered GET {path} with {type(answer).__name__}, not a list")
        return answer

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    def act(self, path: str, parameters: Mapping[str, Any] | None = None) -> None:
        """A POST that answers with nothing."""
        self._send("POST", path, parameters=parameters)

    def send(self, path: str, content: Callable[[], Iterator[bytes]]) -> Document:
        """PUT a tar; `content` begins it anew for each try. Raises as `one`."""
        headers = {"content-type": "application/x-tar"}
        answer = self._send("PUT", path, headers=headers, content=content)
        if not isinstance(answer, dict):
            raise ServiceFailed(f"the service answered PUT {path} with {type(answer).__name__}, not an object")
        return answer

    @contextmanager
    def received(self, path: str) -> Iterator[IO[bytes]]:
        """The bytes that a GET answers with, as they come. Raises as `one`, and TryAgain where they end too early."""
        try:
            with self._http.stream("GET", path) as response:
                if not response.is_success:
                    response.read()
                    _content(response)
                yield io.BufferedReader(_Incoming(response.iter_bytes(1 << 20)), 1 << 20)
        except httpx2.TransportError as error:
            raise TryAgain(f"the service at {self.base_url} broke off {path}: {_reason(error)}") from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
        content: Callable[[], Iterator[bytes]] | None = None,
    ) -> Any:
        """The answer's JSON, None for an answer without a body.

        Every request of this client may arrive twice without harm (creating replaces, invoking carries a key), so it is
        repeated when the connection breaks or a store is away. Raises TryAgain when that did not help.
        """
        known = {key: value for key, value in (parameters or {}).items() if value is not None}
        for pause in (*(_PAUSES if repeat else ()), None):
            try:
                response = self._http.request(
                    method, path, json=body, params=known, headers=dict(headers or {}), content=content and content()
                )
            except httpx2.TimeoutException as error:
                raise TryAgain(f"the service at {self.base_url} did not answer {method} {path} in time") from error
            except httpx2.TransportError as error:
                if pause is None:
                    raise TryAgain(f"the service at {self.base_url} does not answer: {_reason(error)}") from error
            else:
                if response.status_code != 503 or pause is None:
                    return _content(response)
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")


class _Incoming(io.RawIOBase):
    """Pieces of an answer as one file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._pieces, b"")
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def segment(name: str) -> str:
    """A name as one part of a path, whatever is in it."""
    return quote(name, safe="") or "%20"


_KINDS: Mapping[str, type[ScoringError]] = {
    "InvalidInput": InvalidInput,
    "NotFound": NotFound,
    "Conflict": Conflict,
    "TryAgain": TryAgain,
}


def _content(response: httpx2.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    try:
        error = response.json()["error"]
        code, message, target = str(error["code"]), str(error["message"]), error.get("target")
    except (ValueError, KeyError, TypeError):
        if response.status_code == 503:
            raise TryAgain(f"the service is not ready: {response.text[:200]}") from None
        raise ServiceFailed(f"the service answered {response.status_code}: {response.text[:200]}") from None
    if code == "InvalidInput" and target:
        raise InvalidInput(message.removeprefix(f"{target}: "), place=str(target))
    if response.status_code == 401:
        raise NotAllowed(f"{message.removeprefix('authorization: ')} (TIDEMILL_TOKEN, or the home's file `token`)")
    raise _KINDS.get(code, ServiceFailed)(message)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
