"""How requests come in: JSON bodies as documents, request ids, and who may speak to a service without a password."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Header, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scoring.errors import InvalidInput
from scoring.specs.document import MAX_BYTES, Document, body_document
from scoring.specs.validation import Spec

RequestKey = Annotated[
    str | None,
    Header(
        alias="repeatability_request-id",
        max_length=200,
        description="The same key again is the same job, so that a request may be repeated.",
    ),
]


async def _body(request: Request) -> Document:
    # a page in a browser can send text to this machine without asking, but not JSON
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidInput(f"found content-type '{kind}', wanted application/json", place="content-type")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BYTES:
            raise InvalidInput(f"the body is larger than {MAX_BYTES} bytes, the most that is read")
    return body_document(_read(content))


def _read(content: bytes) -> Any:
    try:
        return json.loads(content, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidInput("the body is no JSON: nested too deep") from None
    except ValueError as error:
        # scripts written for Azure send commas before a closing bracket, and it takes them
        text = _without_trailing_commas(content)
        try:
            if text is None:
                raise error
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise InvalidInput(f"the body is no JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed")


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)


def _without_trailing_commas(content: bytes) -> str | None:
    """The text without commas before `}` and `]`, those in texts left alone; None where there are none."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    changed = _TOKEN.sub(lambda found: "" if found[0] == "," else found[0], text)
    return changed if changed != text else None


Body = Annotated[Document, Depends(_body)]
"""A route's JSON body; a spec of `scoring.specs` parses it."""


def documented(*kinds: type[Spec], examples: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """For a route's `openapi_extra`: the body is one of these specs, for example these."""
    references = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds]
    schema = references[0] if len(references) == 1 else {"oneOf": references}
    content = {"schema": schema} | ({"examples": dict(examples)} if examples else {})
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


class RequestIds:
    """Gives each request an id (`x-ms-request-id`, and the log); a loopback service refuses foreign host names."""

    def __init__(self, app: ASGIApp, *, is_loopback: bool) -> None:
        self._app = app
        self._is_loopback = is_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = uuid4().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-ms-request-id", request_id.encode())]
            await send(message)

        refusal = self._refusal({name: value.decode("latin-1") for name, value in scope["headers"]})
        if refusal is not None:
            target, message = refusal
            body = {"error": {"code": "InvalidInput", "message": message, "target": target, "details": []}}
            await send_with_id(
                {"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"application/json")]}
            )
            await send_with_id({"type": "http.response.body", "body": json.dumps(body).encode()})
            return
        await self._app(scope, receive, send_with_id)

    def _refusal(self, headers: Mapping[bytes, str]) -> tuple[str, str] | None:
        """The header that a page in a browser betrays itself by, and what is said to it."""
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if self._is_loopback and not _is_local(host):
            # a page whose name was pointed at this machine would otherwise speak as its user
            return "host", f"the host '{host}' is not this machine"
        if origin is not None and origin not in {f"http://{host}", f"https://{host}"}:
            # and a page of another site may post what has no body without asking
            return "origin", f"the page at '{origin}' is of another site; only pages of this service may speak to it"
        return None


def _is_local(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name in {"localhost", "testserver", ""}:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
