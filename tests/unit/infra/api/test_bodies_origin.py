"""A page in a browser does not speak to the service as its user."""

from __future__ import annotations

import pytest

from tests.unit.infra.api.conftest import Service


def test_pages_of_other_sites_are_refused(service: Service) -> None:
    service.http.post("/models", json={"name": "net", "path": str(service.model)})
    for origin in ("https://evil.example", "http://localhost:8501", "null", "http://[", ""):
        answer = service.http.post("/models/net/archive", headers={"origin": origin})
        assert answer.status_code == 400, origin
        assert answer.json()["error"]["target"] == "origin"
    assert len(service.http.get("/models").json()) == 1


@pytest.mark.parametrize("headers", [{}, {"origin": "http://testserver"}])
def test_programs_and_the_services_own_pages_are_not(service: Service, headers: dict[str, str]) -> None:
    service.http.post("/models", json={"name": "net", "path": str(service.model)})
    assert service.http.post("/models/net/archive", headers=headers).status_code == 204
