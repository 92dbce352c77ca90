"""A model without weights: it answers by rule, so that what people see can be tested alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from miras import tokens
from miras.errors import EmptyQuestion, SessionError
from miras.types import Turn


@dataclass(frozen=True)
class FakeTarget:
    phrase: str
    mask: np.ndarray
    score: float = 0.83


@dataclass(frozen=True)
class FakeReply:
    text: str
    targets: tuple[FakeTarget, ...]
    seconds: float = 0.25

    @property
    def plain(self) -> str:
        return tokens.strip(self.text)


@dataclass
class FakeSession:
    """`mark A, B` is answered with one target each, all else with an echo.

    `crash` is interrupted after a word, `crash late` after the turn was recorded.
    """

    image: np.ndarray
    turns: tuple[Turn, ...] = ()
    saved: list[Path] = field(default_factory=list)

    def stream(self, question: str) -> Iterator[str | FakeReply]:
        if not question.strip():
            raise EmptyQuestion("the question holds no words; ask something")
        reply = self._reply(question)
        for word in reply.plain.split(" "):
            yield word + " "
            if question == "crash":
                raise KeyboardInterrupt
        self.turns += (Turn("user", question), Turn("assistant", reply.text))
        if question == "crash late":
            raise KeyboardInterrupt
        yield reply

    def _reply(self, question: str) -> FakeReply:
        verb, _, rest = question.partition(" ")
        if verb != "mark":
            return FakeReply(f"You said {question}.", ())
        phrases = rest.split(", ")
        return FakeReply(
            f"It is {' and '.join(map(tokens.write, phrases))}.",
            tuple(FakeTarget(phrase, self._half(index)) for index, phrase in enumerate(phrases)),
        )

    def _half(self, index: int) -> np.ndarray:
        mask = np.zeros(self.image.shape[:2], dtype=bool)
        rows = len(mask) // 2
        mask[:rows] = index == 0
        mask[rows:] = index == 1
        return mask

    def undo(self) -> None:
        if not self.turns:
            raise SessionError("there is no question to drop; ask one first")
        self.turns = self.turns[:-2]

    def save(self, path: Path) -> None:
        path.write_text(f"{len(self.turns)} turns", encoding="utf-8")


@dataclass
class FakeModel:
    sessions: list[FakeSession] = field(default_factory=list)

    def session(self, image: np.ndarray) -> FakeSession:
        self.sessions.append(FakeSession(image))
        return self.sessions[-1]


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def load(model: FakeModel) -> Callable[[str], FakeModel]:
    return lambda name: model
