"""The routes of conversations: open, ask, take back, branch, correct, close."""

import io
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Path, Request, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from miras.engine.engine import View
from miras.errors import MirasError
from miras.model.replies import Reply
from miras.model.session import ANSWER_LIMIT
from miras.serve.http.bodies import CorrectionBody, SessionView, TurnView, Words
from miras.serve.http.images import read_image
from miras.serve.http.refusals import Refusal, declared, refusal_of
from miras.serve.http.serving import Served, Serving, run

__all__ = [
    "Name",
    "Question",
    "ask",
    "asked",
    "branch",
    "checked",
    "close_session",
    "correct",
    "event",
    "failure",
    "get_image",
    "get_session",
    "open_session",
    "remove_correction",
    "router",
    "undo",
]

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16,64}$", description="The conversation's id.")]
"""A session's name as a part of a path; what is written otherwise is refused before it is used."""

_Number = Annotated[int, Path(ge=0, le=10_000, description="The turn, from 0.")]
_LOG = logging.getLogger("miras.serve")


class Question(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Words
    stream: bool = Field(default=False, description="Whether the answer comes in pieces, as server-sent events.")
    limit: int | None = Field(default=None, ge=1, description=f"Most tokens of the answer; {ANSWER_LIMIT} if null.")


class _Branch(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    turns: int | None = Field(default=None, ge=0, le=10_000, description="How many turns it takes over; null is all.")


@router.post("", status_code=201, responses=declared(400, 422))
async def open_session(
    served: Served, image: Annotated[UploadFile, File(description="JPEG, PNG, WebP, BMP or GIF.")]
) -> SessionView:
    """Begin a conversation about an image."""
    content = await image.read()

    def opened() -> View:
        with served.decoding:
            pixels = read_image(content, served.settings.pixels)
        return served.engine.view(served.engine.open(pixels))

    return await _shown(served, await run(opened))


@router.get("/{name}", responses=declared(404, 422))
async def get_session(served: Served, name: Name) -> SessionView:
    """What was said in a conversation, with all masks."""
    return await _shown(served, await run(served.engine.view, name))


@router.delete("/{name}", status_code=204, responses=declared(404, 422))
async def close_session(served: Served, name: Name) -> None:
    """Forget a conversation and its image."""
    await run(served.engine.close, name)


@router.get(
    "/{name}/image",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The image, upright."}, **declared(404, 422)},
)
async def get_image(served: Served, name: Name) -> Response:
    """The image that a conversation is about."""
    content = await run(lambda: _png(served.engine.image(name)))
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600, immutable"})


@router.post(
    "/{name}/turns",
    response_model=TurnView,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "The new turn; as events if `stream`."},
        **declared(400, 404, 409, 422),
    },
)
async def ask(served: Served, request: Request, name: Name, body: Question) -> Response:
    """Ask the next question."""
    limit = body.limit or min(ANSWER_LIMIT, served.settings.answer_tokens)
    if limit > served.settings.answer_tokens:
        raise Refusal(
            422,
            "limit_too_large",
            f"limit is at most {served.settings.answer_tokens} tokens, got {limit}",
            param="limit",
        )
    pieces = asked(served, request, name, body.question, limit)
    if body.stream:
        first = await anext(pieces)
        return StreamingResponse(_events(served, body.question, first, pieces), media_type="text/event-stream")
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Reply):
                turn = await run(TurnView.of, body.question.strip(), piece)
                return JSONResponse(turn.model_dump())
    raise AssertionError("an answer ends in its Reply or an error")


@router.delete("/{name}/turns/last", responses=declared(404, 409, 422))
async def undo(served: Served, name: Name) -> SessionView:
    """Take the last question and its answer back."""
    return await _shown(served, await run(served.engine.undo, name))


@router.post("/{name}/branch", status_code=201, responses=declared(400, 404, 409, 422))
async def branch(served: Served, name: Name, body: _Branch | None = None) -> SessionView:
    """Another conversation with the same image and beginning; nothing of it is computed again."""
    turns = body.turns if body else None
    return await _shown(served, await run(lambda: served.engine.view(served.engine.branch(name, turns))))


@router.put("/{name}/turns/{turn}", responses=declared(400, 404, 422))
async def correct(served: Served, name: Name, turn: _Number, body: CorrectionBody) -> SessionView:
    """Keep how a turn should have been, for exports; the model is never told."""
    await _find(served, name, turn)
    return await _shown(served, await run(served.engine.correct, name, turn, body.correction()))


@router.delete("/{name}/turns/{turn}", responses=declared(404, 422))
async def remove_correction(served: Served, name: Name, turn: _Number) -> SessionView:
    """Forget what was corrected of a turn."""
    await _find(served, name, turn)
    return await _shown(served, await run(served.engine.correct, name, turn, None))


async def asked(
    served: Serving, request: Request, name: str, question: str, limit: int, *, marked: bool = False
) -> AsyncGenerator[str | Reply, None]:
    """The pieces of an answer, `marked` with `[OBJ]` and `[SEG]` in them, and its Reply.

    Raises Refusal where the question or the conversation is too long, and what the engine raises.
    """
    settings = served.settings
    checked(question, settings.words)
    if len((await run(served.engine.view, name)).replies) >= settings.turns:
        message = f"a conversation has at most {settings.turns} questions; begin another, or take some back"
        raise Refusal(409, "too_many_turns", message)
    if settings.log_content:
        _LOG.info("asked: %r", question)
    answer = await run(lambda: served.engine.ask(name, question, limit=limit, marked=marked))
    async with aclosing(served.pieces(request, answer)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Reply) and settings.log_content:
                _LOG.info("answered: %r", piece.text)
            yield piece


def checked(question: str, words: int) -> str:
    """The question. Raises Refusal with 422 where it has too many words, or letters for so many words."""
    if len(question) > 16 * words or len(question.split()) > words:
        message = f"a question has at most {words} words and {16 * words} letters; say it in fewer"
        raise Refusal(422, "question_too_long", message, param="question")
    return question


def event(data: Any) -> str:
    """One server-sent event; texts as they are, all else as JSON."""
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n"


async def _events(
    served: Serving, question: str, first: str | Reply, pieces: AsyncGenerator[str | Reply, None]
) -> AsyncIterator[str]:
    try:
        piece: str | Reply | None = first
        while piece is not None:
            if isinstance(piece, Reply):
                turn = await run(TurnView.of, question.strip(), piece)
                yield event({"turn": turn.model_dump()})
            else:
                yield event({"text": piece})
            piece = await anext(pieces, None)
    except Exception as error:
        yield event(failure(error))
    finally:
        await pieces.aclose()
    yield event("[DONE]")


def failure(error: Exception) -> dict[str, Any]:
    """What ends a stream instead of the answer; what nobody foresaw is told to the log."""
    if not isinstance(error, MirasError):
        _LOG.error("an answer failed on its way", exc_info=error)
    return refusal_of(error).body()


async def _find(served: Serving, name: str, turn: int) -> None:
    if turn >= (turns := len((await run(served.engine.view, name)).replies)):
        raise Refusal(404, "turn_not_found", f"there is no turn {turn}, the conversation has {turns}, counted from 0")


async def _shown(served: Serving, view: View) -> SessionView:
    return await run(SessionView.of, view, served.settings.model)


def _png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG", compress_level=1)
    return content.getvalue()
