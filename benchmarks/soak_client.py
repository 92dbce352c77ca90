"""One client of the soak: its own picture and words, its own transcript, and what it expects of a server.

After every step the server's view of the conversation must be the client's transcript, word by word and mask by mask.
"""

import asyncio
import base64
import io
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np
from PIL import Image

__all__ = ["STEPS", "Busy", "Client", "Tally", "Wrong"]

STEPS = {"ask": 5, "stream": 5, "cancel": 2, "leave": 1, "chat": 2, "undo": 1, "branch": 1, "look": 1, "misuse": 2}
"""What a client does, and how often."""

_LIMIT = 24
_SHORTEST_MESSAGE = 20
_BUSY = (429, 503)


class Busy(Exception):
    """The server takes no more for now, and says so as it should."""


class Wrong(Exception):
    """The server did what it must not do; the message says what was expected and what came."""


@dataclass
class Tally:
    """What all clients did and met with."""

    requests: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    words: int = 0
    first_words: list[float] = field(default_factory=list)
    """Seconds from each streamed question to the first piece of its answer."""


class Client:
    """A person or program with one photo; nobody else's photo has its size, nobody else's questions its name."""

    def __init__(self, number: int, http: httpx2.AsyncClient, tally: Tally, model: str, *, seed: int = 0) -> None:
        self.number, self.http, self.tally, self.model = number, http, tally, model
        self.random = random.Random(f"{seed} {number}")
        self.size = (64 + number % 8 * 9, 96 + number * 5)
        colour = [(37 * number) % 256, (91 * number) % 256, (151 * number) % 256]
        self.pixels = np.full((*self.size, 3), colour, dtype=np.uint8)
        self.pixels[10:30, 20:60] = 255 - self.pixels[10:30, 20:60]
        self.photo = _png(self.pixels)
        self.name = ""
        self.turns: list[dict[str, Any]] = []
        self.doubtful: set[str] = set()
        """Questions whose answers did not come, given up or lost: they may be written down all the same."""
        self.undoing = False
        """Whether the last turn may be gone already."""
        self.history: list[dict[str, Any]] = []
        self.asked = 0

    def question(self) -> str:
        """Words that no other client says, and this one only once."""
        self.asked += 1
        what = self.random.choice(["What is it?", "Mark the box.", "Which colour is it?", "Segment what stands out."])
        return f"Client {self.number} asks for the time {self.asked}. {what}"

    async def open(self) -> None:
        """A conversation of its own about its photo; the one before it is closed."""
        older, self.name, self.turns, self.doubtful = self.name, "", [], set()
        if older:
            await self.send("close", "DELETE", f"/v1/sessions/{older}", 204)
        answer = await self.send(
            "open", "POST", "/v1/sessions", 201, files={"image": ("a.png", self.photo, "image/png")}
        )
        self.name = answer.json()["id"]
        self.compare(answer.json())

    async def ask(self) -> None:
        """A question, answered at once."""
        asked = self.question()
        self.doubtful.add(asked)
        answer = await self.send("ask", "POST", self.path("turns"), 200, json={"question": asked, "limit": _LIMIT})
        self.record(asked, answer.json())

    async def stream(self) -> None:
        """A question, answered piece by piece to the end."""
        asked, turn, told = self.question(), None, ""
        self.doubtful.add(asked)
        started = time.perf_counter()
        async with self.streamed("stream", asked) as events:
            async for event in events:
                if "error" in event:
                    raise Wrong(f"an error in a stream: {event}")
                if "text" in event:
                    if not told:
                        self.tally.first_words.append(time.perf_counter() - started)
                    told += event["text"]
                turn = event.get("turn", turn)
        if turn is None:
            raise Wrong(f"a stream must end with its turn, got {told!r} and no turn")
        self.record(asked, turn)
        if told != turn["plain"]:
            raise Wrong(f"the pieces of a stream should be {turn['plain']!r}, got {told!r}")

    async def cancel(self) -> None:
        """A question whose answer is given up after some words."""
        asked, pieces = self.question(), self.random.randrange(0, 5)
        self.doubtful.add(asked)
        async with self.streamed("cancel", asked) as events:
            async for event in events:
                pieces -= 1
                if pieces < 0 or "turn" in event:
                    break

    async def leave(self) -> None:
        """A question, and the connection is gone before any word."""
        asked = self.question()
        self.doubtful.add(asked)
        self.tally.requests["leave"] += 1
        body = {"question": asked, "stream": bool(self.asked % 2), "limit": _LIMIT}
        left = asyncio.ensure_future(self.http.post(self.path("turns"), json=body))
        await asyncio.sleep(self.random.uniform(0.0, 0.05))
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)

    async def chat(self) -> None:
        """A chat completion that brings its photo and all that was said before."""
        if len(self.history) > 6:
            self.history = []
        url = f"data:image/png;base64,{base64.b64encode(self.photo).decode()}"
        photo = [] if self.history else [{"type": "image_url", "image_url": {"url": url}}]
        content: list[dict[str, Any]] = [*photo, {"type": "text", "text": self.question()}]
        asked = [*self.history, {"role": "user", "content": content}]
        body = {"model": self.model, "messages": asked, "max_tokens": _LIMIT}
        answer = (await self.send("chat", "POST", "/v1/chat/completions", 200, json=body)).json()
        said = answer["choices"][0]["message"]
        if not isinstance(said["content"], str):
            raise Wrong(f"a chat completion should hold words, got {answer}")
        self.tally.words += len(said["content"].split())
        self.history = [*asked, {"role": "assistant", "content": said["content"]}]

    async def undo(self) -> None:
        """The last turn is taken back, or there is none and that is said."""
        await self.settle()
        status, self.undoing = 200 if self.turns else 0, True
        answer = await self.send("undo", "DELETE", self.path("turns/last"), status)
        self.turns, self.undoing = self.turns[:-1], False
        if status:
            self.compare(answer.json())

    async def branch(self) -> None:
        """The conversation goes on in a copy that holds its first turns; the original is closed."""
        await self.settle()
        kept = self.random.randint(0, len(self.turns))
        answer = await self.send("branch", "POST", self.path("branch"), 201, json={"turns": kept})
        await self.check()
        older, self.name, self.turns = self.name, answer.json()["id"], self.turns[:kept]
        self.compare(answer.json())
        await self.send("close", "DELETE", f"/v1/sessions/{older}", 204)

    async def look(self) -> None:
        """The photo comes back as it was sent."""
        answer = await self.send("image", "GET", self.path("image"), 200)
        with Image.open(io.BytesIO(answer.content)) as image:
            if not np.array_equal(np.asarray(image.convert("RGB")), self.pixels):
                raise Wrong(f"client {self.number} got another photo back than it sent")

    async def misuse(self) -> None:
        """One of many wrong requests, each refused with its own status."""
        wrong: list[tuple[str, str, str, tuple[int, ...], dict[str, Any]]] = [
            ("huge", "POST", "/v1/sessions", (413,), {"files": {"image": ("a.png", bytes(64 * 2**20), "image/png")}}),
            ("broken", "POST", "/v1/sessions", (400, 415, 422), {"files": {"image": ("a.png", self.photo[:99])}}),
            ("no image", "POST", "/v1/sessions", (400, 415, 422), {"data": {"image": "none"}}),
            ("no token", "GET", self.path(""), (401,), {"headers": {"Authorization": ""}}),
            ("wrong token", "GET", self.path(""), (401,), {"headers": {"Authorization": "Bearer nobody's"}}),
            ("unknown", "GET", "/v1/sessions/nobody-knows-this-name", (404,), {}),
            ("empty", "POST", self.path("turns"), (400, 422), {"json": {"question": "  "}}),
            ("no JSON", "POST", self.path("turns"), (400, 415, 422), {"content": b"{"}),
            ("too long", "POST", self.path("turns"), (400, 413, 422), {"json": {"question": "why " * 50_000}}),
            (
                "no messages",
                "POST",
                "/v1/chat/completions",
                (400, 422),
                {"json": {"model": self.model, "messages": []}},
            ),
        ]
        kind, method, path, statuses, more = self.random.choice(wrong)
        await self.send(kind, method, path, *statuses, **more)

    async def check(self) -> None:
        """The server's view is the transcript."""
        self.compare((await self.send("view", "GET", self.path(""), 200)).json())

    async def step(self, name: str) -> None:
        """One of STEPS, then a look whether the conversation is still the own one."""
        if not self.name or len(self.turns) >= 6:
            await self.open()
        await getattr(self, name)()
        await self.check()

    async def settle(self) -> None:
        """No answer that was given up is under way any more: what is asked after it has been answered."""
        if self.doubtful:
            await self.ask()
            await self.check()
            self.doubtful.clear()

    def path(self, rest: str) -> str:
        """An address within the conversation."""
        return f"/v1/sessions/{self.name}/{rest}".rstrip("/")

    def record(self, asked: str, turn: dict[str, Any]) -> None:
        """A turn into the transcript. Raises Wrong when it is not the answer to this question about this photo."""
        if turn["question"] != asked:
            raise Wrong(f"{asked!r} was answered as {turn['question']!r}")
        if sizes := [t["mask"]["size"] for t in turn["targets"] if tuple(t["mask"]["size"]) != self.size]:
            raise Wrong(f"masks of {self.size} were expected, got {sizes}")
        self.tally.words += len(turn["plain"].split())
        self.doubtful.discard(asked)
        self.turns.append(turn)

    def compare(self, view: dict[str, Any]) -> None:
        """Raises Wrong when the view is not of this photo or not the transcript; a doubtful answer may be in it."""
        if (view["height"], view["width"]) != self.size or (self.name and view["id"] != self.name):
            shown = view["id"], (view["height"], view["width"])
            raise Wrong(f"client {self.number} expected {self.name} of {self.size}, got {shown}")
        seen = view["turns"]
        own = [turn for turn in seen if turn["question"] not in self.doubtful]
        held = [self.turns, self.turns[:-1]] if self.undoing else [self.turns]
        if [_content(turn) for turn in own] not in [[_content(turn) for turn in turns] for turns in held]:
            said, there = ([turn["question"] for turn in turns] for turns in (self.turns, seen))
            raise Wrong(f"client {self.number} said {said}, gave up {sorted(self.doubtful)}, the server holds {there}")
        self.doubtful -= {turn["question"] for turn in seen}
        self.turns = list(seen)

    async def send(self, kind: str, method: str, path: str, *statuses: int, **more: Any) -> httpx2.Response:
        """A request that must end with one of the statuses, 0 for any refusal; sent again while the server is busy."""
        while True:
            self.tally.requests[kind] += 1
            answer = await self.http.request(method, path, **more)
            if answer.status_code >= 400:
                self.refused(answer)
            if answer.status_code not in _BUSY or answer.status_code in statuses:
                break
            await asyncio.sleep(self.random.uniform(0.2, 1.0))
        if answer.status_code not in statuses and not (statuses == (0,) and 400 <= answer.status_code < 500):
            raise Wrong(f"{kind}: {path} should end with {statuses}, got {answer.status_code} {answer.text:.300}")
        return answer

    def refused(self, answer: httpx2.Response) -> None:
        """Count a refusal. Raises Wrong for a 500 and for one that does not say what to do."""
        self.tally.refusals[str(answer.status_code)] += 1
        message = ""
        with suppress(ValueError, KeyError, TypeError):
            message = answer.json()["error"]["message"]
        if answer.status_code == 500 or len(message) < _SHORTEST_MESSAGE:
            raise Wrong(f"{answer.request.url.path}: status {answer.status_code} with {answer.text:.300}")

    @asynccontextmanager
    async def streamed(self, kind: str, asked: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of a streamed answer as they come, and Wrong where they do not end with [DONE]."""
        self.tally.requests[kind] += 1
        body = {"question": asked, "stream": True, "limit": _LIMIT}
        async with self.http.stream("POST", self.path("turns"), json=body) as answer:
            if answer.status_code != 200:
                await answer.aread()
                self.refused(answer)
                raise (Busy if answer.status_code in _BUSY else Wrong)(f"{answer.status_code} {answer.text:.300}")
            yield _events(answer)


async def _events(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line == "data: [DONE]":
            return
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))
    raise Wrong("a stream must end with [DONE], it broke off")


def _content(turn: dict[str, Any]) -> Any:
    return turn["question"], turn["text"], turn["targets"]


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
