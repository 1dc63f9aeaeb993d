"""A token store in memory, held to the same contract as the real one."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.errors import Conflict
from storage.postgres.token_store import StoredToken


class MemoryTokenStore:
    """`away` is raised by every read while it is set."""

    def __init__(self) -> None:
        self.away: Exception | None = None
        self._tokens: dict[str, StoredToken] = {}

    def add(self, token: StoredToken) -> None:
        hashes = {kept.token_hash for kept in self._tokens.values()}
        if token.name in self._tokens or token.token_hash in hashes:
            raise Conflict(f"there is a token named {token.name} already")
        self._tokens[token.name] = token

    def all(self) -> Sequence[StoredToken]:
        if self.away is not None:
            raise self.away
        return sorted(self._tokens.values(), key=lambda token: token.name)

    def delete(self, name: str) -> None:
        self._tokens.pop(name, None)
