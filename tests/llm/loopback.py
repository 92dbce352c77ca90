"""An OpenAI-compatible server on loopback whose answers are made by rule, with faults by share.

It answers well, late, with 429, with 500, with broken JSON, breaks off in the middle, or answers what was not asked.
Which fault strikes follows from the body of a request and how often it came, so a test is the same every time. As a
module it is a process of its own::

    python -m tests.llm.loopback tests.generate.seer '{"latency": 0.3}'     # prints its port
"""

import asyncio
import hashlib
import importlib
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("slow", "busy", "error", "broken", "cut", "rules")
"""Late; 429; 500; a body that is no JSON; a body that breaks off; content that breaks what was asked."""


@dataclass
class Loopback:
    """What the server does, and what it has seen."""

    reply: Callable[[dict[str, Any]], str]
    """Request → content of the reply."""
    latency: float = 0.0
    faults: dict[str, float] = field(default_factory=dict)
    """Fault → share of the requests that it strikes."""
    refuses: tuple[str, ...] = ()
    """Types of response_format that are answered with 400, `max_tokens` and `seed`."""
    rejects: str = ""
    """Words of a conversation that is answered with 400."""
    port: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    """Hash of a request → how often it came."""
    answered: Counter[str] = field(default_factory=Counter)
    """Hash of a request → how often it was answered in full."""
    seen: list[dict[str, Any]] | None = None
    """Every request, where a test begins with an empty list."""
    struck: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept open from request to request."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
                body = await reader.readexactly(length)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    if not await self._answer(body, writer):
                        break
                finally:
                    self.in_flight -= 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        name = hashlib.sha256(body).hexdigest()
        self.requests[name] += 1
        request = json.loads(body)
        if self.seen is not None:
            self.seen.append(request)
        # the number of times this body came decides, not the order of arrival, which differs from run to run
        drawn = random.Random(f"{name}{self.requests[name]}").random()
        fault = ""
        for kind in FAULTS:
            drawn -= self.faults.get(kind, 0.0)
            if drawn < 0:
                fault = kind
                break
        self.struck[fault] += 1
        await asyncio.sleep(self.latency + (0.5 if fault == "slow" else 0.0))
        if told := self._refused(request):
            return await _send(writer, 400, {"error": {"message": told}})
        if fault == "busy":
            return await _send(writer, 429, {"error": {"message": "slow down"}}, "Retry-After: 0.05\r\n")
        if fault == "error":
            return await _send(writer, 500, {"error": {"message": "oops"}})
        content = '{"nothing": "as asked"}' if fault == "rules" else self.reply(request)
        completion = {
            "id": "c", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }  # fmt: skip
        if fault == "broken":
            return await _send(writer, 200, json.dumps(completion)[:-20].encode())
        if fault == "cut":
            whole = json.dumps(completion).encode()
            writer.write(_head(200, len(whole)) + whole[: len(whole) // 2])
            await writer.drain()
            return False
        self.answered[name] += 1
        return await _send(writer, 200, completion)

    def _refused(self, request: dict[str, Any]) -> str:
        """What the server says about a part of the request that it does not know."""
        if request.get("response_format", {}).get("type") in self.refuses:
            return "response_format is not known here"
        if "max_tokens" in self.refuses and "max_tokens" in request:
            return "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        if self.rejects and self.rejects in json.dumps(request["messages"]):
            return "The prompt was filtered"
        return 'Unknown name "seed"' if "seed" in self.refuses and "seed" in request else ""


def _head(status: int, length: int, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    return head.encode("latin-1")


async def _send(writer: asyncio.StreamWriter, status: int, content: Any, more: str = "") -> bool:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    writer.write(_head(status, len(body), more) + body)
    await writer.drain()
    return True


@contextmanager
def running(server: Loopback) -> Iterator[Loopback]:
    """The server in a thread of its own."""
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server.serve, "127.0.0.1", server.port, limit=2**26))
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:

        async def stop() -> None:
            listening.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def main() -> None:
    server = Loopback(reply=importlib.import_module(sys.argv[1]).reply, **json.loads(sys.argv[2]))

    async def serve() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", server.port, limit=2**26)
        sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await listening.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
