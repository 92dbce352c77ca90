"""What chat and demo ask of a model, and how they speak an answer while it is being written."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from rich.console import Console

from miras.errors import SessionError
from miras.files import printable
from miras.types import Turn

if TYPE_CHECKING:
    from miras.model.quick import Decode

__all__ = ["Answer", "Conversation", "Load", "Marked", "Talker", "describe", "load_model", "tell"]


class Marked(Protocol):
    """One target of an answer."""

    @property
    def phrase(self) -> str:
        """The words for it."""

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool in original pixels."""

    @property
    def score(self) -> float:
        """The model's confidence in the mask, 0..1."""


class Answer(Protocol):
    """One answer: its words and what it marks."""

    @property
    def text(self) -> str:
        """The words with their special tokens."""

    @property
    def plain(self) -> str:
        """The words as a person reads them."""

    @property
    def targets(self) -> Sequence[Marked]:
        """What it marks, in reading order."""

    @property
    def seconds(self) -> float:
        """How long it took."""


class Conversation(Protocol):
    """A session about one image."""

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    @property
    def turns(self) -> Sequence[Turn]:
        """What was said so far."""

    def stream(self, question: str, /) -> Iterable[str | Answer]:
        """Pieces of the answer's plain text, at last the Answer."""

    def undo(self) -> object:
        """Drops the last question and its answer."""

    def save(self, path: Path, /) -> object:
        """Writes the conversation where `load_session` finds it."""


class Talker(Protocol):
    """A loaded model."""

    def session(self, image: np.ndarray, /) -> Conversation:
        """A new conversation about an image."""


Load = Callable[[str], Talker]
"""How a model is found by its name or folder."""


def load_model(name: str, decode: "Decode" = "float") -> Talker:
    """The model of that preset or folder; see `Miras.from_pretrained` for `decode`."""
    from miras import Miras  # torch and transformers take seconds to import, a bad image path should not wait for them

    return Miras.from_pretrained(name, merge_lora=True, decode=decode)


def tell(console: Console, session: Conversation, question: str) -> Answer:
    """Asks, prints each piece as it comes, ends the line, and returns the answer.

    When it is interrupted the session is left as it was before the question.
    """
    before = len(session.turns)
    pieces = iter(session.stream(question))
    answer: Answer | None = None
    try:
        for piece in pieces:
            if isinstance(piece, str):
                console.out(printable(piece), end="", highlight=False)
                console.file.flush()
            else:
                answer = piece
    except BaseException:
        if callable(close := getattr(pieces, "close", None)):
            close()
        if len(session.turns) > before:
            session.undo()
        raise
    finally:
        console.out("", highlight=False)
    if answer is None:
        raise SessionError("the model ended without an answer; a stream must end with its reply")
    return answer


def describe(target: Marked) -> str:
    """`front bumper: confidence 0.83, 4.2 % of the image`."""
    share = float(target.mask.mean())
    size = "empty mask" if not share else f"{share:.1%} of the image".replace("%", " %")
    return f"{printable(target.phrase) or 'unnamed'}: confidence {target.score:.2f}, {size}"
