"""The routes that OpenAI's clients know: chat completions and models."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from miras.model.replies import Reply
from miras.serve.http.chat_request import ChatRequest, Conversation, conversation_of
from miras.serve.http.chat_response import Answer, ChatResponse, Usage
from miras.serve.http.fetching import image_bytes
from miras.serve.http.images import read_image
from miras.serve.http.refusals import Refusal, declared
from miras.serve.http.serving import Served, Serving, run
from miras.serve.http.sessions import asked, event, failure

__all__ = ["ModelEntry", "ModelList", "complete", "model", "models", "router"]

router = APIRouter(prefix="/v1", tags=["openai"])


class ModelEntry(BaseModel):
    """A model that answers."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "miras"


class ModelList(BaseModel):
    """All models that answer."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


@router.get("/models", responses=declared())
async def models(served: Served) -> ModelList:
    """The one model of this server."""
    return ModelList(data=[ModelEntry(id=served.settings.model)])


@router.get("/models/{name}", responses=declared(404, 422))
async def model(served: Served, name: Annotated[str, Path(max_length=200)]) -> ModelEntry:
    """A model by its name."""
    if name != served.settings.model:
        raise Refusal(404, "model_not_found", f"there is only {served.settings.model!r} here")
    return ModelEntry(id=name)


@router.post(
    "/chat/completions",
    response_model=ChatResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "The answer; as events if `stream`."},
        **declared(400, 404),
    },
)
async def complete(served: Served, request: Request, body: ChatRequest) -> Response:
    """Answer the last message of a conversation about an image."""
    talk = conversation_of(body, served.settings)
    name = await _begun(served, talk, body.session)
    pieces = _answered(served, request, name, talk, marked=bool(body.stream))
    answer = Answer(served.settings.model, name, body.mask_format)
    if body.stream:
        first = await anext(pieces)
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        return StreamingResponse(_chunks(answer, first, pieces, with_usage), media_type="text/event-stream")
    async with aclosing(pieces):
        async for piece in pieces:
            if not isinstance(piece, str):
                return JSONResponse(await run(answer.whole, *piece))
    raise AssertionError("an answer ends in its Reply or an error")


async def _begun(served: Serving, talk: Conversation, session: str | None) -> str:
    """The name of the conversation that has come to the question."""
    if session is not None or talk.image is None:
        return session or ""
    content = await image_bytes(talk.image, served.settings)

    def resumed() -> str:
        with served.decoding:
            pixels = read_image(content, served.settings.pixels)
        return served.engine.resume(pixels, talk.history)

    return await run(resumed)


async def _answered(
    served: Serving, request: Request, name: str, talk: Conversation, *, marked: bool
) -> AsyncGenerator[str | tuple[Reply, Usage], None]:
    """The pieces of an answer, and at last the Reply with what it took; without one, nothing is kept."""
    done = False
    try:
        before = await run(served.engine.view, name)
        async with aclosing(asked(served, request, name, talk.question, talk.limit, marked=marked)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Reply):
                    done = True
                    count = served.counter.usage
                    yield piece, await run(count, before.size, before.turns, talk.question, piece)
                else:
                    yield piece
    finally:
        if not done and talk.image is not None:
            # not awaited: where the client has left, nothing may be
            asyncio.get_running_loop().run_in_executor(None, served.forget, name)


async def _chunks(
    answer: Answer,
    first: str | tuple[Reply, Usage],
    pieces: AsyncGenerator[str | tuple[Reply, Usage], None],
    with_usage: bool,
) -> AsyncIterator[str]:
    try:
        yield event(answer.chunk({"role": "assistant", "content": ""}))
        piece: str | tuple[Reply, Usage] | None = first
        while piece is not None:
            if isinstance(piece, str):
                yield event(answer.chunk({"content": piece}))
            else:
                yield event(await run(answer.last, piece[0]))
                if with_usage:
                    yield event(answer.used(piece[1]))
            piece = await anext(pieces, None)
    except Exception as error:
        yield event(failure(error))
    finally:
        await pieces.aclose()
    yield event("[DONE]")
