"""A conversation about one image, in which nothing is computed twice.

The truth of a session is its token ids. The image is encoded once, its pixel features only when a first [SEG]
appears, and the keys and values of past turns are kept; whatever they do not cover is fed before the next answer.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from miras import tokens
from miras.data.images import load_image
from miras.errors import ContextFull, EmptyQuestion, MirasError, QuestionTooLong, SessionError
from miras.files import made_beside
from miras.model.asking import Asking, decoding
from miras.model.generation import Row, generate
from miras.model.memory import Memory
from miras.model.miras import Miras
from miras.model.replies import Reply
from miras.model.slots import KeyValues
from miras.types import Turn

__all__ = ["ANSWER_LIMIT", "Session", "ask_many"]

ANSWER_LIMIT = 96
"""Tokens after which an answer is cut, and said to be."""

_FILES = ("image.png", "session.json")


class Session:
    """A conversation; made by `Miras.session`."""

    def __init__(self, model: Miras, image: "str | Path | bytes | np.ndarray[Any, Any]") -> None:
        self.model = model
        self.memory = Memory(model, load_image(image))
        self._ids: list[int] = []
        self._starts: list[int] = []
        self._past: KeyValues | None = None
        self.turns: tuple[Turn, ...] = ()
        self.replies: tuple[Reply, ...] = ()
        self.bypass_alignment = False
        """Decode masks from the raw [SEG] state; a control for evaluation."""

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, upright."""
        return self.memory.image

    def ask(self, question: str, *, limit: int = ANSWER_LIMIT) -> Reply:
        """Answer a question. Raises EmptyQuestion, QuestionTooLong or ContextFull, the session unchanged."""
        return ask_many([self], [question], limit=limit)[0]

    def stream(self, question: str, *, limit: int = ANSWER_LIMIT) -> Iterator[str | Reply]:
        """Pieces of the answer as a person reads it, as they come, and at last the Reply.

        The pieces together are `Reply.plain`. Closing the iterator early leaves the session as it was.
        """
        asked = Asking(self, question, limit=limit)
        for _ in generate(decoding(self.model), [asked.row]):
            if piece := asked.piece():
                yield piece
        asked.check()
        yield asked.record(asked.mark())

    def force(self, question: str, answer: str) -> None:
        """Add a turn with a given answer, as the model's own; nothing is computed until the next question."""
        answered = self.model.processor.encoder.answer(answer)[:-1]
        self.record(question, Reply(answer), self._asked(question), answered, None)

    def undo(self) -> None:
        """Take back the last question and answer. Raises SessionError when there is none."""
        if not self._starts:
            raise SessionError("there is nothing to undo: no question has been asked yet")
        start = self._starts.pop()
        self._ids = self._ids[:start]
        if self._past is not None:
            self._past = [(keys[:, :, :start], values[:, :, :start]) for keys, values in self._past] if start else None
        self.turns, self.replies = self.turns[:-2], self.replies[:-1]

    def branch(self) -> "Session":
        """Another session with the same image and history; what is computed is shared, what follows is not."""
        twin = object.__new__(Session)
        twin.__dict__.update(self.__dict__)
        twin._ids, twin._starts = list(self._ids), list(self._starts)
        return twin

    def save(self, folder: str | Path) -> None:
        """Write the image, the token ids, turns and masks into a folder; keys and values are recomputed on load."""
        with made_beside(Path(folder), replacing=_FILES) as place:
            Image.fromarray(self.image).save(place / "image.png")
            (place / "session.json").write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """The session without its image, as `session.json` holds it."""
        return {
            "ids": self._ids,
            "starts": self._starts,
            "turns": [{"role": turn.role, "text": turn.text} for turn in self.turns],
            "replies": [reply.to_json() for reply in self.replies],
        }

    def parts(self) -> Iterator[np.ndarray | Tensor]:
        """What the session holds that takes room; branches hold the same objects, or views of them."""
        yield from self.memory.parts()
        yield from (part for pair in self._past or () for part in pair)
        for target in (target for reply in self.replies for target in reply.targets):
            yield target.mask
            if target.logits is not None:
                yield target.logits

    @property
    def length(self) -> int:
        """Tokens of all turns, the image's included."""
        return len(self._ids)

    @property
    def computed(self) -> bool:
        """Whether it holds keys and values of its own, which `forget` would let go."""
        return self._past is not None

    def forget(self) -> None:
        """Let go of keys and values; they are computed again, from the same token ids, before the next answer."""
        self._past = None

    @classmethod
    def load(cls, model: Miras, folder: Path) -> "Session":
        """Read what `save` wrote. Raises SessionError when the folder does not hold a session of such a model."""
        try:
            data = json.loads((folder / "session.json").read_text(encoding="utf-8"))
            session = cls(model, folder / "image.png")
            session._ids, session._starts = [int(i) for i in data["ids"]], [int(i) for i in data["starts"]]
            session.turns = tuple(Turn(turn["role"], turn["text"]) for turn in data["turns"])
            session.replies = tuple(Reply.from_json(reply) for reply in data["replies"])
        except (OSError, ValueError, KeyError, TypeError, MirasError) as error:
            raise SessionError(
                f"{folder} does not hold a saved session ({error}); give a folder written by save"
            ) from error
        session._check(folder)
        return session

    def _check(self, folder: Path) -> None:
        """Raise SessionError unless ids, turns and image belong together and to this model."""
        encoder, turns = self.model.processor.encoder, len(self._starts)
        if len(self.turns) != 2 * turns or len(self.replies) != turns or self._starts != sorted(set(self._starts)):
            raise SessionError(
                f"{folder} should hold {2 * turns} turns and {turns} replies, got {len(self.turns)} and "
                f"{len(self.replies)}; its session.json was changed"
            )
        size = self.model.language.base_size + len(tokens.SPECIAL)
        expected = int(self.memory.cells.sum())
        images = self._ids.count(encoder.image_id)
        if any(not 0 <= i < size for i in self._ids) or images != (expected if self._ids else 0):
            raise SessionError(
                f"{folder} should hold ids below {size} and {expected} image tokens, got {images} image tokens and ids "
                f"up to {max(self._ids, default=0)}; load it with the model that it was saved with"
            )

    def _asked(self, question: str) -> list[int]:
        if not tokens.strip(question).strip():
            raise EmptyQuestion("a question needs words, got an empty one; type what you want to know or see marked")
        image_tokens = None if self._ids else int(self.memory.cells.sum())
        return self.model.processor.encoder.question(question, image_tokens=image_tokens)

    @torch.inference_mode()
    def pending(self, question: str, limit: int) -> tuple[list[int], Row]:
        """The ids of a question, and all that is to be fed before its answer. Raises when it does not fit."""
        ids, context = self._asked(question), self.model.config.max_context
        if len(ids) + limit > context:
            raise QuestionTooLong(
                f"the question takes {len(ids)} tokens with its image, {context - limit} fit; say it in fewer words"
            )
        if (used := len(self._ids) + len(ids)) + limit > context:
            raise ContextFull(
                f"the conversation would take {used} tokens, {context - limit} fit; undo some turns or start a new one"
            )
        past = self._past or self.memory.opening()
        known, language = past[0][0].shape[2], self.model.language
        told = torch.tensor((self._ids + ids)[known:], device=language.rows.device)
        return ids, Row(language.embed(told[None])[0], past, limit)

    def record(
        self, question: str, reply: Reply, asked: list[int], answered: list[int], past: KeyValues | None
    ) -> None:
        """Write a turn down: its ids, and keys and values up to somewhere in it, None to leave them as they are."""
        self._starts.append(len(self._ids))
        self._ids = [*self._ids, *asked, *answered, self.model.processor.encoder.stop_id]
        self._past = past or self._past
        self.turns = (*self.turns, Turn("user", question.strip()), Turn("assistant", reply.text))
        self.replies = (*self.replies, reply)


@torch.inference_mode()
def ask_many(sessions: Sequence[Session], questions: Sequence[str], *, limit: int = ANSWER_LIMIT) -> list[Reply]:
    """Answer one question in each of several sessions of one model, in one batch; same answers as one by one."""
    if len({id(session) for session in sessions}) < len(sessions) or len({id(s.model) for s in sessions}) > 1:
        raise SessionError("a batch is of different sessions of one model, got one twice or two models; ask in turn")
    if not sessions:
        return []
    started, each = time.perf_counter(), zip(sessions, questions, strict=True)
    asked = [Asking(session, question, limit=limit, started=started) for session, question in each]
    for _ in generate(decoding(sessions[0].model), [one.row for one in asked]):
        pass
    marked = [one.mark() for one in asked]
    return [one.record(masks) for one, masks in zip(asked, marked, strict=True)]
