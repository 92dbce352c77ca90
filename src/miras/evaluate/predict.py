"""Whole dialogues through a model's sessions, many at a time.

A rolling batch: up to `batch_size` dialogues are open at once, each step asks the next question of all of them
in one batched generation, and a dialogue that ends makes room for the next. An image is encoded once for all
tasks that name it and stand near one another in the list.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from miras.data.masks import encode
from miras.errors import SessionError
from miras.types import Dialogue, Prediction, Target

__all__ = ["AskMany", "Chat", "History", "Task", "predict"]

History = Literal["own", "gold"]
"""Whose earlier answers the model sees: those it gave itself, or the true ones."""

AskMany = Callable[[list[Any], list[str]], list[Any]]
"""Asks one question in each session, in one batch; gives one reply (text, targets) for each."""


class Chat(Protocol):
    """A model that holds conversations about images."""

    def session(self, image: Any, /) -> Any:
        """A fresh conversation about the image with `ask`, `branch`, `force` and `bypass_alignment`."""
        ...


@dataclass(frozen=True)
class Task:
    """One dialogue to run, and where its result belongs."""

    part: str
    """Part of the protocol: direct, multi_turn, …"""
    index: int
    """Place within the part."""
    dialogue: Dialogue
    """Its user turns are asked; its assistant turns are the true answers."""
    image: Path | np.ndarray
    """A file, or (H, W, 3) uint8 RGB."""
    image_key: str
    """Name of the image: tasks with one name share one encoding."""
    bypass_alignment: bool = False
    """Whether masks are decoded from the raw [SEG] state, as a control."""


@dataclass
class _Open:
    """A dialogue under way."""

    task: Task
    session: Any
    answers: list[str] = field(default_factory=list)
    segments: Sequence[Any] = ()
    seconds: float = 0.0

    @property
    def question(self) -> str:
        return self.task.dialogue.questions[len(self.answers)]

    @property
    def done(self) -> bool:
        return len(self.answers) == len(self.task.dialogue.questions)

    def take(self, reply: Any, seconds: float) -> None:
        """Note the reply to the present question; None, a refused question, ends the dialogue with empty answers."""
        self.seconds += seconds
        if reply is None:
            self.answers += [""] * (len(self.task.dialogue.questions) - len(self.answers))
            self.segments = ()
        else:
            self.answers.append(reply.text)
            self.segments = reply.targets

    def prediction(self) -> Prediction:
        return Prediction(
            dialogue=self.task.dialogue,
            answers=tuple(self.answers),
            targets=tuple(Target(segment.phrase or "", encode(segment.mask)) for segment in self.segments),
            scores=tuple(float(segment.score) for segment in self.segments),
            seconds=self.seconds,
        )


class _Sessions:
    """Fresh sessions that share the encoding of their image, for the images used last."""

    def __init__(self, chat: Chat, *, images: int) -> None:
        self._chat = chat
        self._images = images
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def open(self, task: Task) -> Any:
        if task.image_key not in self._kept:
            self._kept[task.image_key] = self._chat.session(task.image)
        self._kept.move_to_end(task.image_key)
        if len(self._kept) > self._images:
            self._kept.popitem(last=False)
        session = self._kept[task.image_key].branch()
        session.bypass_alignment = task.bypass_alignment
        return session


def predict(
    chat: Chat,
    tasks: Sequence[Task],
    *,
    ask_many: AskMany,
    history: History = "own",
    batch_size: int = 16,
    images: int = 64,
) -> Iterator[tuple[Task, Prediction]]:
    """Run every task and yield it with its answers and the masks of its last turn, as dialogues end.

    Tasks start in the given order: neighbours should share an image or at least a length. `images` is how many
    encoded images are kept. `Prediction.seconds` is the dialogue's share of the time of its batches, so the sum
    over tasks is the time spent. A question that a session refuses (SessionError) ends its dialogue: that answer
    and all later ones are empty and nothing is marked.
    """
    sessions, waiting, active = _Sessions(chat, images=images), deque(tasks), list[_Open]()
    with _progress() as progress:
        bar = progress.add_task("asking", total=sum(len(task.dialogue.questions) for task in tasks), rate=0.0)
        started = time.perf_counter()
        while waiting or active:
            while waiting and len(active) < batch_size and _fits(waiting[0], active):
                task = waiting.popleft()
                active.append(_Open(task, sessions.open(task)))
            before = sum(len(dialogue.answers) for dialogue in active)
            _step(active, ask_many, history)
            progress.advance(bar, sum(len(dialogue.answers) for dialogue in active) - before)
            progress.update(bar, rate=progress.tasks[bar].completed / (time.perf_counter() - started))
            for dialogue in active:
                if dialogue.done:
                    yield dialogue.task, dialogue.prediction()
            active = [dialogue for dialogue in active if not dialogue.done]


def _fits(task: Task, active: list[_Open]) -> bool:
    """One batch decodes its masks in one way."""
    return not active or active[0].task.bypass_alignment == task.bypass_alignment


def _step(active: list[_Open], ask_many: AskMany, history: History) -> None:
    """Ask the next question of every open dialogue."""
    started = time.perf_counter()
    questions = [dialogue.question for dialogue in active]
    # With gold history the model answers on a branch, and its conversation goes on with the true answer.
    asked = [dialogue.session if history == "own" else dialogue.session.branch() for dialogue in active]
    replies = _ask(asked, questions, ask_many)
    if history == "gold":
        for dialogue, question, reply in zip(active, questions, replies, strict=True):
            answer = dialogue.task.dialogue.answers[len(dialogue.answers)]
            if reply is not None and len(dialogue.answers) + 1 < len(dialogue.task.dialogue.questions):
                dialogue.session.force(question, answer)
    seconds = (time.perf_counter() - started) / len(active)
    for dialogue, reply in zip(active, replies, strict=True):
        dialogue.take(reply, seconds)


def _ask(sessions: list[Any], questions: list[str], ask_many: AskMany) -> list[Any]:
    """One reply for each question; None where the session refuses it."""
    try:
        return ask_many(sessions, questions)
    except SessionError:
        if len(sessions) == 1:
            return [None]
    # One refusal refuses the batch before anything is generated; halves find it.
    half = len(sessions) // 2
    return _ask(sessions[:half], questions[:half], ask_many) + _ask(sessions[half:], questions[half:], ask_many)


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} turns/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
