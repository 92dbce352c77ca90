"""What the routes of one server share: the engine, the settings, what is under way, and how to wait for both."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Annotated, TypeVar

from anyio import to_thread
from fastapi import Depends, Request

from miras.engine.answering import Answering
from miras.engine.engine import Engine
from miras.errors import EngineStopped, SessionGone
from miras.model.replies import Reply
from miras.serve.http.chat_response import TokenCounter
from miras.serve.http.refusals import Refusal
from miras.serve.http.settings import ServerSettings

__all__ = ["Served", "Serving", "run"]

_Result = TypeVar("_Result")


class Serving:
    """The state of one server."""

    def __init__(self, engine: Engine, settings: ServerSettings) -> None:
        self.engine, self.settings = engine, settings
        self.counter = TokenCounter(engine.model)
        self.stopping = False
        """Whether new requests are refused because the server ends."""
        self.active = 0
        """Requests under way, those about the server itself not counted."""
        self.decoding = threading.BoundedSemaphore(2)
        """Held while an image is decoded: a large one takes hundreds of megabytes for a moment."""

    def forget(self, name: str) -> None:
        """Close a conversation whose only answer did not come about. Blocks."""
        with suppress(SessionGone, EngineStopped):
            self.engine.close(name)

    async def pieces(self, request: Request, answer: Answering) -> AsyncGenerator[str | Reply, None]:
        """An answer's pieces and its Reply; when the client leaves, the answer is cancelled.

        Raises what the answer raises, EngineStopped where it was broken off, Refusal where nobody waits any more.
        """
        watch = asyncio.create_task(_leave(request, answer))
        left = "the client left before its answer was there; the conversation is as it was before"
        try:
            async with aclosing(aiter(answer)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    yield piece
                    if isinstance(piece, Reply):
                        return
            if watch.done():
                raise Refusal(499, "client_left", left)
            raise EngineStopped("the answer was broken off; the conversation is as it was before, ask again")
        finally:
            watch.cancel()
            answer.cancel()


async def run(call: Callable[..., _Result], *args: object) -> _Result:
    """A blocking call, in a thread of its own so that the event loop goes on."""
    return await to_thread.run_sync(call, *args)


async def _leave(request: Request, answer: Answering) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    answer.cancel()


def _serving(request: Request) -> Serving:
    return request.app.state.serving


Served = Annotated[Serving, Depends(_serving)]
"""A route's parameter: the server that it belongs to."""
