"""Who may speak to the service: everybody who reaches it until a token has been made, then whoever brings one."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.api.errors import answer
from scoring.errors import TryAgain

OPEN = frozenset({"/healthz"})
"""Paths that need no token: whether the service is well is asked by what starts it."""

_KNOWN_SECONDS = 2.0
_PREFIX = "tidemill_"


class KnownToken(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def token_hash(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


class TokenStore(Protocol):
    """Names and hashes; a token itself is shown once, when it is made, and kept nowhere."""

    def add(self, token: Any) -> None: ...

    def all(self) -> Sequence[KnownToken]: ...

    def delete(self, name: str) -> None: ...


def new_token() -> str:
    """256 random bits, with a beginning by which scanners for leaked secrets know them."""
    return _PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Gate:
    """Which tokens are good. What the store said is believed for two seconds, and longer while it is away."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._hashes: frozenset[str] | None = None
        self._until = 0.0

    def forget(self) -> None:
        """Ask the store again: a token was made or revoked."""
        with self._lock:
            self._until = 0.0

    def refusal(self, authorization: str | None) -> str | None:
        """Why a request may not pass; None where it may. Raises TryAgain where the store was never reached."""
        hashes = self._known()
        if not hashes:
            return None
        if authorization is None:
            return "a token is required: send `Authorization: Bearer TOKEN`"
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return "found another authorization than `Bearer TOKEN`"
        # hashes are compared, and a hash that is nearly right says nothing of the token
        return None if token_hash(token.strip()) in hashes else "the token is not known, or was revoked"

    def _known(self) -> frozenset[str]:
        with self._lock:
            if self._hashes is None or time.monotonic() >= self._until:
                try:
                    self._hashes = frozenset(token.token_hash for token in self._store.all())
                    self._until = time.monotonic() + _KNOWN_SECONDS
                except TryAgain:
                    if self._hashes is None:
                        raise
            return self._hashes


class Access:
    """Lets requests pass, or answers 401 as Azure does."""

    def __init__(self, app: ASGIApp, *, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            refused = await self._refused(scope)
            if refused is not None:
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refused(self, scope: Scope) -> JSONResponse | None:
        try:
            reason = await run_in_threadpool(self._gate.refusal, Headers(scope=scope).get("authorization"))
        except TryAgain as away:
            return answer(503, "TryAgain", str(away))
        if reason is None:
            return None
        response = answer(401, "Unauthorized", reason, "authorization")
        response.headers["www-authenticate"] = "Bearer"
        return response
