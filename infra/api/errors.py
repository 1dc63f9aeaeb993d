"""From an error to an answer: `{"error": {"code", "message", "target"}}` and the status that says whose move it is."""

from __future__ import annotations

import traceback

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from scoring.errors import Conflict, InvalidInput, LeaseLost, NotFound, ScoringError, TryAgain

_log = structlog.get_logger(__name__)

_STATUS: tuple[tuple[type[ScoringError], int, str], ...] = (
    (InvalidInput, 400, "InvalidInput"),
    (NotFound, 404, "NotFound"),
    (Conflict, 409, "Conflict"),
    (LeaseLost, 409, "Conflict"),
    (TryAgain, 503, "TryAgain"),
)


class ErrorDetail(BaseModel):
    """`target` is the field or file that is wrong, where one is; `details` says it again in the form that Azure has."""

    code: str
    message: str
    target: str | None = None
    details: list[dict[str, str]] = Field(default_factory=list)


class ErrorAnswer(BaseModel):
    """Every answer that is not a success has this body."""

    error: ErrorDetail


_MEANINGS = {
    400: "What was sent is wrong; nothing was changed.",
    401: "A token is required, or another one.",
    404: "A named thing does not exist.",
    409: "The state forbids it.",
    503: "A store is away; the same request may succeed later.",
}


def answers(*statuses: int) -> dict[int | str, dict[str, object]]:
    """For a route's `responses`: the errors that it documents beside 401, which every route has."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in statuses}


def answer(status: int, code: str, message: str, target: str | None = None) -> JSONResponse:
    details = [{"PropertyName": target, "ErrorMessage": message, "ErrorCode": code}] if target else []
    body = ErrorAnswer(error=ErrorDetail(code=code, message=message, target=target, details=details))
    headers = {"retry-after": "1"} if status == 503 else None
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def add_handlers(app: FastAPI) -> None:
    @app.exception_handler(ScoringError)
    def _scoring(request: Request, error: ScoringError) -> JSONResponse:
        for kind, status, code in _STATUS:
            if isinstance(error, kind):
                return answer(status, code, str(error), getattr(error, "place", None))
        return _unexpected(request, error)

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        target = ".".join(str(part) for part in first["loc"][1:])
        said = str(first["msg"])
        return answer(400, "InvalidInput", f"{target}: {said[:1].lower()}{said[1:]}", target)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        message = (
            f"there is no {request.method} {request.url.path}" if error.status_code in {404, 405} else error.detail
        )
        return answer(error.status_code, "NoSuchRoute" if error.status_code == 404 else "BadRequest", message)

    @app.exception_handler(Exception)
    def _any(request: Request, error: Exception) -> JSONResponse:
        return _unexpected(request, error)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    request_id = request.scope.get("request_id", "unknown")
    # the plain traceback: a renderer of exceptions may print local variables, and passwords with them
    trace = "".join(traceback.format_exception(error))
    _log.error("a request failed unexpectedly", path=request.url.path, request_id=request_id, exception=trace)
    message = f"the service failed at this request ({type(error).__name__}); its log has it under {request_id}"
    return answer(500, "InternalError", message)
