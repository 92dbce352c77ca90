"""Conversations as JSON: what a session holds, its turns, their targets, and what a person corrected."""

from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from miras import tokens
from miras.data import masks
from miras.engine.corrections import Correction
from miras.engine.engine import View
from miras.model.replies import Reply, Segment
from miras.types import Rle

__all__ = [
    "CorrectedTarget",
    "CorrectionBody",
    "MaskBody",
    "SessionView",
    "TargetView",
    "TurnView",
    "Words",
    "box_of",
]


def _whole(text: str) -> str:
    """JSON can write half a character, which no tokenizer and no file takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a character (a lone surrogate) stands in the text") from None
    return text


Words = Annotated[str, AfterValidator(_whole)]
"""A text of a client's."""


class MaskBody(BaseModel):
    """A mask as COCO's compressed run lengths, in the pixels of the upright image."""

    model_config = ConfigDict(extra="forbid", strict=True)

    size: list[int] = Field(min_length=2, max_length=2, description="[height, width] in pixels.")
    counts: str = Field(description="Column by column, as pycocotools writes it.")

    def rle(self) -> Rle:
        """As the rest of miras holds it."""
        return Rle(size=self.size, counts=self.counts)


class TargetView(BaseModel):
    """One thing that an answer marks."""

    phrase: str = Field(description="Its name as the model wrote it.")
    score: float = Field(description="The model's estimate of the mask's IoU, 0..1.")
    box: list[int] = Field(description="[x, y, width, height] in pixels; zeros where the mask is empty.")
    area: int = Field(description="Pixels.")
    mask: MaskBody

    @classmethod
    def of(cls, segment: Segment) -> Self:
        """A segment as JSON."""
        return cls(
            phrase=segment.phrase,
            score=segment.score,
            box=box_of(segment.mask),
            area=masks.area(segment.rle),
            mask=MaskBody(**segment.rle),
        )


class CorrectedTarget(BaseModel):
    """One thing that an answer should mark."""

    model_config = ConfigDict(extra="forbid", strict=True)

    phrase: Words = Field(min_length=1, max_length=200)
    mask: MaskBody


class CorrectionBody(BaseModel):
    """How a turn should have been; null where it is right as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Words | None = Field(default=None, max_length=10_000)
    answer: Words | None = Field(
        default=None, max_length=10_000, description="With `[OBJ]phrase[SEG]` for each of the targets."
    )
    targets: list[CorrectedTarget] | None = Field(default=None, max_length=100)

    def correction(self) -> Correction:
        """As the engine keeps it."""
        targets = None if self.targets is None else tuple((t.phrase, t.mask.rle()) for t in self.targets)
        return Correction(self.question, self.answer, targets)

    @classmethod
    def of(cls, correction: Correction) -> Self:
        """A correction as JSON."""
        return cls.model_validate(correction.to_json())


class TurnView(BaseModel):
    """A question and its answer."""

    question: str
    text: str = Field(description="The answer as the model wrote it, `[OBJ]phrase[SEG]` for each target.")
    plain: str = Field(description="The answer as a person reads it.")
    seconds: float = Field(description="What the answer took.")
    cut: bool = Field(description="Whether the answer reached its limit.")
    targets: list[TargetView] = Field(description="In reading order, one for each [SEG].")
    corrected: CorrectionBody | None = Field(default=None, description="What a person corrected.")

    @classmethod
    def of(cls, question: str, reply: Reply, correction: Correction | None = None) -> Self:
        """A turn as JSON."""
        return cls(
            question=question,
            text=reply.text,
            plain=tokens.strip(reply.text),
            seconds=reply.seconds,
            cut=reply.cut,
            targets=[TargetView.of(target) for target in reply.targets],
            corrected=CorrectionBody.of(correction) if correction else None,
        )


class SessionView(BaseModel):
    """A conversation about one image."""

    id: str = Field(description="Cannot be guessed; whoever knows it may use the conversation.")
    model: str
    width: int = Field(description="Of the upright image, in pixels.")
    height: int
    turns: list[TurnView]

    @classmethod
    def of(cls, view: View, model: str) -> Self:
        """What the engine holds, as JSON."""
        asked = [turn.text for turn in view.turns[::2]]
        turns = [
            TurnView.of(question, reply, view.corrections.get(place))
            for place, (question, reply) in enumerate(zip(asked, view.replies, strict=True))
        ]
        return cls(id=view.name, model=model, width=view.size[1], height=view.size[0], turns=turns)


def box_of(mask: np.ndarray) -> list[int]:
    """[x, y, width, height] of a mask (H, W); zeros where it is empty, as COCO has it."""
    left, top, right, bottom = masks.box(mask) or (0, 0, 0, 0)
    return [left, top, right - left, bottom - top]
