"""Access tokens."""

from __future__ import annotations

from fastapi import APIRouter, Response

from infra.api.access import Gate, KnownToken, new_token, token_hash
from infra.api.bodies import Body, documented
from infra.api.errors import answers
from infra.api.parts import ServiceParts
from scoring.specs.shown import Shown, time_text
from scoring.specs.token import TokenSpec
from scoring.specs.validation import parse
from storage.postgres.token_store import StoredToken


def router(parts: ServiceParts, gate: Gate) -> APIRouter:
    routes = APIRouter(prefix="/tokens", tags=["access tokens"])

    @routes.get("", responses=answers(401, 503))
    def list_tokens() -> list[Shown]:
        """Their names; the tokens themselves are known to nobody but their holders."""
        return [_shown(token) for token in parts.tokens.all()]

    @routes.post(
        "",
        status_code=201,
        openapi_extra=documented(TokenSpec, examples={"named": {"value": {"name": "nightly-scripts"}}}),
        responses=answers(400, 401, 409, 503),
    )
    def create_token(body: Body) -> Shown:
        """Make a token, and show it this once. From the first one on every request needs one."""
        spec, token = parse(TokenSpec, body), new_token()
        stored = StoredToken(name=spec.name, token_hash=token_hash(token), created_at=parts.clock.now())
        parts.tokens.add(stored)
        gate.forget()
        return {**_shown(stored), "token": token}

    @routes.delete("/{name}", status_code=204, responses=answers(401, 503))
    def revoke_token(name: str) -> Response:
        """It is good no more, at once. With the last one gone the service is open again. Revoking twice is done."""
        parts.tokens.delete(name)
        gate.forget()
        return Response(status_code=204)

    return routes


def _shown(token: KnownToken) -> Shown:
    return {"name": token.name, "created_at": time_text(token.created_at)}
