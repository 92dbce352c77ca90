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
from typing import Any, Protocol

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from miras.data.masks import encode
from miras.errors import SessionError
from miras.evaluate.predictions import History
from miras.types import Dialogue, Mark, Said

__all__ = ["AskMany", "Chat", "Task", "predict"]

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
    said: list[Said] = field(default_factory=list)

    @property
    def question(self) -> str:
        return self.task.dialogue.questions[len(self.said)]

    @property
    def left(self) -> int:
        return len(self.task.dialogue.questions) - len(self.said)

    def take(self, reply: Any, seconds: float) -> None:
        """Note the reply to the present question; None, a refused question, ends the dialogue with empty answers."""
        if reply is None:
            self.said += [Said("", (), seconds), *(Said("", (), 0.0) for _ in range(self.left - 1))]
        else:
            marks = tuple(Mark(encode(t.mask), t.phrase or "", float(t.score)) for t in reply.targets)
            self.said.append(Said(reply.text, marks, seconds))


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
) -> Iterator[tuple[Task, tuple[Said, ...]]]:
    """Run every task and yield it with the reply to each of its questions, as dialogues end.

    Tasks start in the given order: neighbours should share an image or at least a length. `images` is how many
    encoded images are kept. `Said.seconds` is the reply's share of the time of its batch, so the sum over all
    replies is the time spent. A question that a session refuses (SessionError) ends its dialogue: that answer
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
            before = sum(dialogue.left for dialogue in active)
            _step(active, ask_many, history)
            progress.advance(bar, before - sum(dialogue.left for dialogue in active))
            progress.update(bar, rate=progress.tasks[bar].completed / (time.perf_counter() - started))
            for dialogue in active:
                if not dialogue.left:
                    yield dialogue.task, tuple(dialogue.said)
            active = [dialogue for dialogue in active if dialogue.left]


def _fits(task: Task, active: list[_Open]) -> bool:
    """One batch decodes its masks in one way."""
    return not active or active[0].task.bypass_alignment == task.bypass_alignment


def _step(active: list[_Open], ask_many: AskMany, history: History) -> None:
    """Ask the next question of every open dialogue."""
    started = time.perf_counter()
    questions = [dialogue.question for dialogue in active]
    # With another history than its own the model answers on a branch; with gold the true answer follows.
    asked = [dialogue.session if history == "own" else dialogue.session.branch() for dialogue in active]
    replies = _ask(asked, questions, ask_many)
    if history == "gold":
        for dialogue, question, reply in zip(active, questions, replies, strict=True):
            if reply is not None and dialogue.left > 1:
                dialogue.session.force(question, dialogue.task.dialogue.answers[len(dialogue.said)])
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
