"""What a session answers, and how answers are written down as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from miras import tokens
from miras.data.masks import decode, encode
from miras.types import Rle

__all__ = ["Reply", "Segment"]


@dataclass(frozen=True)
class Segment:
    """One thing that a reply marks."""

    phrase: str
    """Its name as the model wrote it; empty where it wrote a bare [SEG]."""
    mask: np.ndarray
    """(H, W) bool in original pixels."""
    score: float
    """The mask decoder's estimate of the mask's IoU, 0..1."""
    logits: Tensor | None = field(default=None, repr=False, compare=False)
    """(h, w) mask logits in the frame of the canvas; None where the session was read from disk."""

    @cached_property
    def rle(self) -> Rle:
        """The mask as run lengths, written once."""
        return encode(self.mask)


@dataclass(frozen=True)
class Reply:
    """One answer."""

    text: str
    """As the model wrote it, `[OBJ]` and `[SEG]` included."""
    targets: tuple[Segment, ...] = ()
    seconds: float = 0.0
    cut: bool = False
    """Whether the answer reached its limit before the model ended it."""

    @property
    def plain(self) -> str:
        """The text as a person reads it."""
        return tokens.strip(self.text)

    def to_json(self) -> dict[str, Any]:
        """The reply as JSON can hold it, masks as run lengths; logits are left out."""
        targets = [{"phrase": t.phrase, "score": t.score, "mask": t.rle} for t in self.targets]
        return {"text": self.text, "seconds": self.seconds, "cut": self.cut, "targets": targets}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Reply":
        """What `to_json` gave. Raises KeyError, TypeError or MaskError for anything else."""
        targets = tuple(Segment(t["phrase"], decode(t["mask"]), t["score"]) for t in data["targets"])
        return cls(str(data["text"]), targets, data["seconds"], data["cut"])
