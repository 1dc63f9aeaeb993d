"""What every store of access tokens must do."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from infra.api.access import TokenStore, token_hash
from scoring.errors import Conflict
from storage.postgres.token_store import PostgresTokenStore, StoredToken
from tests.contract.memory_tokens import MemoryTokenStore
from tests.contract.values import NOW


def a_token(name: str, secret: str | None = None) -> StoredToken:
    return StoredToken(name=name, token_hash=token_hash(secret or name), created_at=NOW)


class TokenStoreContract:
    @pytest.fixture
    def store(self) -> TokenStore:
        raise NotImplementedError

    def test_tokens_come_back_by_name(self, store: TokenStore) -> None:
        assert list(store.all()) == []
        for name in ("second", "first"):
            store.add(a_token(name))
        assert list(store.all()) == [a_token("first"), a_token("second")]

    def test_a_name_and_a_token_are_taken_once(self, store: TokenStore) -> None:
        store.add(a_token("first"))
        for again in (a_token("first", "other"), a_token("other", "first")):
            with pytest.raises(Conflict, match=again.name):
                store.add(again)
        assert list(store.all()) == [a_token("first")]

    def test_deleting_twice_is_no_error(self, store: TokenStore) -> None:
        store.add(a_token("first"))
        for _ in range(2):
            store.delete("first")
        assert list(store.all()) == []
        store.add(a_token("first"))


class TestMemory(TokenStoreContract):
    @pytest.fixture
    def store(self) -> TokenStore:
        return MemoryTokenStore()


@pytest.mark.stack
class TestPostgres(TokenStoreContract):
    @pytest.fixture
    def store(self, engine: sa.Engine) -> TokenStore:
        return PostgresTokenStore(engine)
