"""Tokens: open until one is made, then closed to whoever has none."""

from __future__ import annotations

from typing import Any

import pytest

from infra.api.access import token_hash
from scoring.errors import TryAgain
from tests.unit.infra.api.conftest import Service


def make(service: Service, name: str = "default", **headers: str) -> Any:
    return service.http.post("/tokens", json={"name": name}, headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_the_first_token_closes_the_service_and_revoking_the_last_opens_it(service: Service) -> None:
    assert service.http.get("/compute").status_code == 200
    made = make(service)
    assert made.status_code == 201
    token = made.json()["token"]
    for path in ("/compute", "/openapi.json", "/docs", "/nothing", "/tokens"):
        refused = service.http.get(path)
        assert refused.status_code == 401, path
        error = refused.json()["error"]
        assert (error["code"], error["target"]) == ("Unauthorized", "authorization")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["x-ms-request-id"]
    assert service.http.get("/healthz").status_code == 200
    assert service.http.get("/compute", headers=bearer(token)).status_code == 200
    assert service.http.get("/compute", headers={"authorization": f"bearer {token} "}).status_code == 200
    assert make(service, "second").status_code == 401
    second = make(service, "second", **bearer(token)).json()["token"]
    assert service.http.delete("/tokens/default", headers=bearer(second)).status_code == 204
    assert service.http.get("/compute", headers=bearer(token)).status_code == 401
    assert service.http.delete("/tokens/second", headers=bearer(second)).status_code == 204
    assert service.http.get("/compute").status_code == 200


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer wrong", "Bearer \xe9", "x"])
def test_other_authorizations_are_refused(service: Service, given: str) -> None:
    make(service)
    answer = service.http.get("/compute", headers={"authorization": given.encode("latin-1")})
    assert answer.status_code == 401


def test_a_token_is_kept_as_its_hash_and_shown_once(service: Service) -> None:
    made = make(service, "scripts").json()
    assert made["token"].startswith("tidemill_")
    assert len(made["token"]) > 45
    (stored,) = service.tokens.all()
    assert stored.token_hash == token_hash(made["token"])
    assert made["token"] not in repr(stored)
    listed = service.http.get("/tokens", headers=bearer(made["token"]))
    assert listed.json() == [{"name": "scripts", "created_at": "2026-01-01T00:00:00Z"}]
    assert made["token"] not in listed.text
    assert make(service, "scripts", **bearer(made["token"])).status_code == 409
    assert make(service, "a b", **bearer(made["token"])).status_code == 400


def test_a_store_that_is_away_lets_nobody_in_who_was_not_known_before(service: Service) -> None:
    service.tokens.away = TryAgain("the database did not answer")
    assert service.http.get("/compute").status_code == 503
    assert service.http.get("/healthz").status_code == 200
