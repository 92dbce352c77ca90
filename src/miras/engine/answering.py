"""An answer under way: its pieces come from the engine's thread and are read by threads or by an event loop."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

from miras.model.replies import Reply

__all__ = ["Answering"]

_Piece = str | Reply | BaseException | None


class Answering:
    """Pieces of one answer's plain text as they come, and at last the Reply, read once by whoever asked.

    Iterate over it, or `async for`. An error of the answer is raised where its next piece would be. An answer that is
    cancelled, or no longer read, leaves its session as it was.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._pieces: queue.SimpleQueue[_Piece] = queue.SimpleQueue()
        self._wake: Callable[[], None] | None = None

    def put(self, piece: _Piece) -> None:
        """A piece, the Reply, an error, or None where it was cancelled; called by the engine's thread."""
        self._pieces.put(piece)
        if (wake := self._wake) is not None:
            wake()

    def cancel(self) -> None:
        """Stop the answer; harmless when it has ended."""
        self._stop()

    def reply(self) -> Reply:
        """Wait for the whole answer."""
        for piece in self:
            if isinstance(piece, Reply):
                return piece
        raise asyncio.CancelledError

    def __iter__(self) -> Iterator[str | Reply]:
        try:
            while (piece := self._pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
                if isinstance(piece, Reply):
                    return
        finally:
            self._stop()

    async def __aiter__(self) -> AsyncIterator[str | Reply]:
        loop, more = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody reads any more
                loop.call_soon_threadsafe(more.set)

        self._wake = wake
        try:
            while True:
                more.clear()
                try:
                    piece = self._pieces.get_nowait()
                except queue.Empty:
                    await more.wait()
                    continue
                if piece is None:
                    return
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
                if isinstance(piece, Reply):
                    return
        finally:
            self._wake = None
            self._stop()
