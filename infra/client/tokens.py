"""Access tokens of the service."""

from __future__ import annotations

from infra.client.connection import Connection, Document, Documents, segment


class TokensClient:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str) -> Document:
        """Make a token; `token` in the answer is shown this once. From the first one on every request needs one."""
        return self._connection.one("POST", "/tokens", body={"name": name}, repeat=False)

    def list(self) -> Documents:
        return self._connection.many("/tokens")

    def revoke(self, name: str) -> None:
        """With the last one gone the service is open again."""
        self._connection.delete(f"/tokens/{segment(name)}")
