"""Three tiny photos, dialogues about them that can be checked by hand, and models that are always right or wrong."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from miras import tokens
from miras.data import dialogues
from miras.data.masks import decode, encode
from miras.data.photos import Photo, PhotoObject, load_photos
from miras.types import Dialogue, Target, Turn

Answer = Callable[["FakeSession", str], Any]


def _mask(size: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[rows, columns] = True
    return mask


# (image, side, source, class, rows, columns, part). a: cat fills the left half, ball the top right quarter;
# b: dog fills the right half, tail the 2 x 2 pixels at its bottom right; c: button is one pixel, shirt is all.
ROWS = (
    ("a.png", 8, "pets", "cat", slice(0, 8), slice(0, 4), False),
    ("a.png", 8, "pets", "ball", slice(0, 4), slice(4, 8), False),
    ("b.png", 8, "pets", "dog", slice(0, 8), slice(4, 8), False),
    ("b.png", 8, "pets", "tail", slice(6, 8), slice(6, 8), True),
    ("c.png", 32, "clothes", "button", slice(0, 1), slice(0, 1), True),
    ("c.png", 32, "clothes", "shirt", slice(0, 32), slice(0, 32), False),
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of annotated photos."""
    root = tmp_path / "photos"
    (root / "images").mkdir(parents=True)
    with gzip.open(root / "val.jsonl.gz", "wt", encoding="utf-8") as lines:
        for image, side, source, name, rows, columns, part in ROWS:
            Image.new("RGB", (side, side), "navy").save(root / "images" / image)
            mask = _mask(side, rows, columns)
            row: dict[str, Any] = {
                "image": f"images/{image}",
                "phrase": f"the {name}",
                "class": name,
                "mask": encode(mask),
            }
            row |= {"area": float(mask.mean()), "source": source, "part": part}
            lines.write(json.dumps(row) + "\n")
    return root


@pytest.fixture
def photos(data: Path) -> list[Photo]:
    return load_photos(data, "val")


def _target(target: PhotoObject) -> tuple[Target, ...]:
    return (Target(target.phrase, target.mask),)


def _direct(photo: Photo, target: PhotoObject, rng: np.random.Generator) -> Dialogue:
    turns = (Turn("user", f"Mark {target.phrase}."), Turn("assistant", tokens.write(target.class_name)))
    return Dialogue(turns, _target(target), image=photo.name, kind="direct")


def _multi_turn(photo: Photo, target: PhotoObject, rng: np.random.Generator) -> Dialogue | None:
    """Two turns; three for the dog; none for the tail."""
    if target.class_name == "tail":
        return None
    middle = (Turn("user", "And it barks?"), Turn("assistant", "Loudly."))
    turns = (
        Turn("user", f"What is like {target.class_name[::-1]}?"),
        Turn("assistant", f"I see the {target.class_name}."),
        *(middle if target.class_name == "dog" else ()),
        Turn("user", "Mark that."),
        Turn("assistant", f"It is {tokens.write(target.class_name)}."),
    )
    return Dialogue(turns, _target(target), image=photo.name, kind="multi_turn")


def _question(photo: Photo, kind: str, rng: np.random.Generator, vocabulary: Any) -> Any:
    """Objects: is its first class there (yes), is a rocket there (no). Colours: navy. Places: only in photo a."""
    if kind == "objects":
        name, answer = [(photo.objects[0].class_name, "yes"), ("rocket", "no")][int(rng.integers(2))]
        return SimpleNamespace(kind=kind, text=f"Is there a {name}?", answer=answer, reply=f"{answer.title()}.")
    if kind == "colors":
        return SimpleNamespace(kind=kind, text="Which colour?", answer="navy", reply="It is navy.")
    if photo.name == "a.png":
        return SimpleNamespace(kind=kind, text="Where is the cat?", answer="left", reply="At the left.")
    return None


def _read_answer(kind: str, text: str) -> str | None:
    return next((word for word in ("yes", "no", "navy", "left") if word in text.lower().strip(".").split()), None)


@pytest.fixture(autouse=True)
def hand_made_dialogues(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the written dialogues, except in tests marked with the fixture `written`."""
    if "written" in request.fixturenames:
        return
    monkeypatch.setattr(dialogues, "direct", _direct)
    monkeypatch.setattr(dialogues, "multi_turn", _multi_turn)
    monkeypatch.setattr(dialogues, "question", _question)
    monkeypatch.setattr(dialogues, "read_answer", _read_answer)
    monkeypatch.setattr(dialogues, "vocabulary", lambda photos: ())


@pytest.fixture
def written() -> None:
    """Asks for the project's own dialogues."""


def reply(text: str, *masks: np.ndarray) -> Any:
    segments = tuple(SimpleNamespace(phrase="thing", mask=mask, score=0.5) for mask in masks)
    return SimpleNamespace(text=text, targets=segments, seconds=0.1)


@dataclass
class FakeSession:
    """Remembers what was said; what it answers is a function."""

    image: Any
    answer: Answer
    turns: list[tuple[str, str]] = field(default_factory=list)
    bypass_alignment: bool = False

    def ask(self, question: str) -> Any:
        given = self.answer(self, question)
        self.turns.append((question, given.text))
        return given

    def branch(self) -> "FakeSession":
        return FakeSession(self.image, self.answer, list(self.turns))

    def force(self, question: str, answer: str) -> None:
        self.turns.append((question, answer))


@dataclass
class FakeChat:
    """A model that answers by a function; counts the images it was given and the sizes of its batches."""

    answer: Answer
    images: list[Any] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    bypassed: list[set[bool]] = field(default_factory=list)

    def session(self, image: Any) -> FakeSession:
        self.images.append(image)
        return FakeSession(image, self.answer)

    def ask_many(self, sessions: list[Any], questions: list[str]) -> list[Any]:
        self.batches.append(len(sessions))
        self.bypassed.append({session.bypass_alignment for session in sessions})
        return [session.ask(question) for session, question in zip(sessions, questions, strict=True)]


@pytest.fixture
def fake_chat() -> Callable[[Answer], FakeChat]:
    return FakeChat


@pytest.fixture
def fake_reply() -> Callable[..., Any]:
    return reply


class Gold:
    """The true reply to every conversation that was written, found by the photo and all questions so far."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, tuple[str, ...]], tuple[str, tuple[np.ndarray, ...]]] = {}

    def note(self, name: str, dialogue: Dialogue | None) -> None:
        questions = () if dialogue is None else dialogue.questions
        for turn in range(len(questions)):
            last = dialogue is not None and turn == len(questions) - 1
            masks = tuple(decode(t.mask) for t in dialogue.targets if t.mask) if dialogue and last else ()
            self.known[name, questions[: turn + 1]] = (dialogue.answers[turn] if dialogue else "", masks)

    def __call__(self, session: FakeSession, question: str) -> Any:
        if not isinstance(session.image, Path):
            return reply("Yes.")
        asked = (*(said for said, _ in session.turns), question)
        text, masks = self.known.get((session.image.name, asked), ("I do not know what you mean.", ()))
        return reply(text, *masks)


@pytest.fixture
def perfect(hand_made_dialogues: None, monkeypatch: pytest.MonkeyPatch) -> FakeChat:
    """A model that gives every true answer, and knows nothing of a last request without what came before."""
    gold = Gold()
    for name in ("direct", "multi_turn"):
        write = getattr(dialogues, name)

        def noted(photo: Photo, *rest: Any, write: Any = write) -> Dialogue | None:
            dialogue: Dialogue | None = write(photo, *rest)
            gold.note(photo.name, dialogue)
            return dialogue

        monkeypatch.setattr(dialogues, name, noted)
    ask = dialogues.question

    def asked(photo: Photo, *rest: Any) -> Any:
        question = ask(photo, *rest)
        if question is not None:
            gold.known[photo.name, (question.text,)] = (question.reply, ())
        return question

    monkeypatch.setattr(dialogues, "question", asked)
    return FakeChat(gold)
