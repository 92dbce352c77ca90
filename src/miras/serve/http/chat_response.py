"""OpenAI's chat response, whole and in chunks, with the masks beside the words."""

import copy
import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from miras.data.encode import Encoder
from miras.data.images import Canvas
from miras.data.masks import area
from miras.model.miras import Miras
from miras.model.replies import Reply, Segment
from miras.serve.http.bodies import MaskBody, box_of
from miras.serve.http.outlines import MaskForm, PngMask, PolygonMask, SvgMask, mask_as
from miras.types import Turn

__all__ = ["Answer", "ChatResponse", "Choice", "SegmentView", "Spoken", "TokenCounter", "Usage"]


class SegmentView(BaseModel):
    """One thing that an answer marks."""

    phrase: str
    score: float = Field(description="The model's estimate of the mask's IoU, 0..1.")
    box: list[int] = Field(description="[x, y, width, height] in pixels; zeros where the mask is empty.")
    area: int = Field(description="Pixels.")
    mask: MaskBody | PolygonMask | SvgMask | PngMask = Field(description="As `mask_format` asked.")

    @classmethod
    def of(cls, segment: Segment, form: MaskForm) -> Self:
        """A segment as JSON."""
        return cls(
            phrase=segment.phrase,
            score=segment.score,
            box=box_of(segment.mask),
            area=area(segment.rle),
            mask=mask_as(segment, form),
        )


class Spoken(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str = Field(description="As the model wrote it: `[OBJ]phrase[SEG]` for each of the segments.")
    refusal: None = None
    segments: list[SegmentView] = Field(description="What is marked, in reading order.")


class Choice(BaseModel):
    """The only one."""

    index: int = 0
    message: Spoken
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Usage(BaseModel):
    """Tokens."""

    prompt_tokens: int = Field(description="Of the whole conversation up to the answer, its image included.")
    completion_tokens: int
    total_tokens: int


class ChatResponse(BaseModel):
    """OpenAI's chat completion with the field `session`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Seconds since 1970.")
    model: str
    session: str = Field(description="The conversation's name, with which a client may go on.")
    choices: list[Choice]
    usage: Usage


class TokenCounter:
    """Counts tokens beside the engine's thread, with a tokenizer of its own: one tokenizer serves one thread."""

    def __init__(self, model: Miras) -> None:
        encoder = model.processor.encoder
        self._encoder = Encoder(copy.deepcopy(encoder.tokenizer), encoder.chat)
        self._grid = model.config.image_grid
        self._lock = threading.Lock()

    def usage(self, size: tuple[int, int], history: Sequence[Turn], question: str, reply: Reply) -> Usage:
        """What a reply took, for an image of (height, width)."""
        cells = int(Canvas(*size).cells(self._grid).sum())
        asked = [*(turn.text for turn in history[::2]), question]
        with self._lock:
            prompt = sum(len(self._encoder.answer(turn.text)) for turn in history[1::2])
            for place, text in enumerate(asked):
                prompt += len(self._encoder.question(text, image_tokens=None if place else cells))
            said = len(self._encoder.answer(reply.text)) - reply.cut
        return Usage(prompt_tokens=prompt, completion_tokens=said, total_tokens=prompt + said)


class Answer:
    """One answer on its way out, in OpenAI's forms."""

    def __init__(self, model: str, session: str, form: MaskForm) -> None:
        self._form = form
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
            "session": session,
        }

    def whole(self, reply: Reply, usage: Usage) -> dict[str, Any]:
        """The whole answer at once."""
        spoken = Spoken(content=reply.text, segments=self._segments(reply))
        choice = Choice(message=spoken, finish_reason=_reason(reply))
        return ChatResponse(**self._head, choices=[choice], usage=usage).model_dump()

    def chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        """A part of it."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def last(self, reply: Reply) -> dict[str, Any]:
        """The last part, with what is marked."""
        return self.chunk({"segments": [each.model_dump() for each in self._segments(reply)]}, _reason(reply))

    def used(self, usage: Usage) -> dict[str, Any]:
        """The part behind the last, where a client wants to know."""
        return {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage.model_dump()}

    def _segments(self, reply: Reply) -> list[SegmentView]:
        return [SegmentView.of(target, self._form) for target in reply.targets]


def _reason(reply: Reply) -> Literal["stop", "length"]:
    return "length" if reply.cut else "stop"
