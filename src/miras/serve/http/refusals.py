"""What a request is refused with: a status, a code for programs and a sentence for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from miras.errors import (
    ContextFull,
    DataError,
    EmptyQuestion,
    EngineBusy,
    EngineStopped,
    ImageError,
    MaskError,
    MirasError,
    QuestionTooLong,
    SessionError,
    SessionGone,
)

__all__ = ["CHAT", "ErrorBody", "Problem", "Refusal", "add_handlers", "declared", "refusal_of", "response_of"]

CHAT = "/v1/chat/"
"""Below it, what is wrong with a body is told with 400, as OpenAI's clients expect; elsewhere with 422."""

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_timeout",
    413: "body_too_large",
}

_ERRORS: tuple[tuple[type[MirasError], int, str], ...] = (
    (SessionGone, 404, "session_not_found"),
    (EmptyQuestion, 422, "empty_question"),
    (QuestionTooLong, 422, "question_too_long"),
    (ContextFull, 409, "context_full"),
    (SessionError, 409, "session_conflict"),
    (EngineBusy, 503, "busy"),
    (EngineStopped, 503, "stopping"),
    (ImageError, 422, "bad_image"),
    (MaskError, 422, "bad_mask"),
    (DataError, 422, "bad_data"),
)
"""Status and code of each error; the first that fits counts."""


class Problem(BaseModel):
    """Why a request was refused."""

    message: str = Field(description="What was expected, what came, what to do.")
    type: str = Field(description="invalid_request_error, authentication_error, rate_limit_error, server_error …")
    code: str = Field(description="The reason in a word or two, for programs.")
    param: str | None = Field(default=None, description="The field that is meant, where one is.")


class ErrorBody(BaseModel):
    """The body of every response that is no success."""

    error: Problem


class Refusal(MirasError):
    """A request that is not answered, with the status and the code that say why."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, dict(headers or {})

    def body(self) -> dict[str, Any]:
        """As JSON: `{"error": {…}}`."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        problem = Problem(message=str(self), type=kind, code=self.code, param=self.param)
        return {"error": problem.model_dump(exclude_none=True)}


def refusal_of(error: Exception) -> Refusal:
    """How an error is told to a client."""
    if isinstance(error, Refusal):
        return error
    for kind, status, code in _ERRORS:
        if isinstance(error, kind):
            return Refusal(status, code, str(error), headers={"Retry-After": "5"} if status == 503 else None)
    return Refusal(500, "internal_error", "the server failed at this request; its log says why")


def response_of(refusal: Refusal) -> JSONResponse:
    """The refusal as a response."""
    return JSONResponse(refusal.body(), refusal.status, refusal.headers)


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route for its OpenAPI entry; every route may also answer 401, 403, 408, 413, 429, 503."""
    return {status: {"model": ErrorBody} for status in sorted({401, 403, 408, 413, 429, 503, *statuses})}


def add_handlers(app: FastAPI) -> None:
    """Make every error of an app's routes a JSON body of the same form."""

    async def on_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, MirasError)
        refusal = refusal_of(error)
        if request.url.path.startswith(CHAT) and refusal.status in (409, 422):
            refusal.status = 400
        return response_of(refusal)

    async def on_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        status = 400 if request.url.path.startswith(CHAT) else 422
        return response_of(_invalid(status, error.errors()))

    async def on_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, "refused")
        return response_of(Refusal(error.status_code, code, str(error.detail), headers=error.headers))

    app.add_exception_handler(MirasError, on_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def _invalid(status: int, errors: Sequence[Any]) -> Refusal:
    """A refusal from pydantic's errors; what the client sent is not repeated."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    message = f"{place}: {first['msg']}{more}; see /openapi.json for what is expected"
    return Refusal(status, "invalid_request", message, param=place)
