"""A conversation about one image, in which nothing is computed twice.

The truth of a session is its token ids. The image is encoded once, its pixel features only when a first [SEG]
appears, and the keys and values of past turns are kept; whatever they do not cover is fed before the next answer.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from miras import tokens
from miras.data.images import Canvas, load_image
from miras.data.masks import decode, encode
from miras.errors import ContextFull, EmptyQuestion, QuestionTooLong, SessionError
from miras.model.generation import KeyValues, Row, generate
from miras.model.miras import Miras, Seen
from miras.model.pixel import PixelFeatures
from miras.types import Turn

__all__ = ["Reply", "Segment", "Session", "ask_many"]

ANSWER_LIMIT = 96
"""Tokens after which an answer is cut, and said to be."""


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


class _Memory:
    """What is computed of an image, once, however many sessions talk about it."""

    def __init__(self, model: Miras, image: np.ndarray) -> None:
        self.model, self.image = model, image
        self.canvas = Canvas(*image.shape[:2])
        self._seen: Seen | None = None
        self._features: PixelFeatures | None = None

    @property
    def cells(self) -> Tensor:
        return self.canvas.cells(self.model.config.image_grid)

    def view(self, size: int) -> Tensor:
        like = self.model.mask_projector.mean
        return self.canvas.view(self.image, size)[None].to(like)

    def seen(self) -> Seen:
        if self._seen is None:
            views = self.model.processor.views
            high = self.view(views.high).contiguous(memory_format=torch.channels_last)
            low = self.view(views.low).contiguous(memory_format=torch.channels_last)
            self._seen = self.model.see(low, high, torch.tensor([self.canvas.content]).to(low))
        return self._seen

    def features(self) -> PixelFeatures:
        if self._features is None:
            size = self.model.processor.views.pixel
            pixels = self.view(size) if size else torch.empty(0)
            self._features = self.model.pixel.encode(pixels, self.seen().maps)
        return self._features


class Session:
    """A conversation; made by `Miras.session`."""

    def __init__(self, model: Miras, image: "str | Path | bytes | np.ndarray[Any, Any]") -> None:
        self.model = model
        self._memory = _Memory(model, load_image(image))
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
        return self._memory.image

    def ask(self, question: str, *, limit: int = ANSWER_LIMIT) -> Reply:
        """Answer a question. Raises EmptyQuestion, QuestionTooLong or ContextFull, the session unchanged."""
        return ask_many([self], [question], limit=limit)[0]

    def stream(self, question: str, *, limit: int = ANSWER_LIMIT) -> Iterator[str | Reply]:
        """Pieces of the answer as a person reads it, as they come, and at last the Reply.

        Closing the iterator early leaves the session as it was.
        """
        row, asked, started = self._row(question, limit), self._asked(question), time.perf_counter()
        encoder, told = self.model.processor.encoder, ""
        for _ in generate(self.model.language, [row], stop_id=encoder.stop_id, limit=limit):
            plain = tokens.strip(encoder.decode(row.ids))
            if len(plain) > len(told) and not plain.endswith("\N{REPLACEMENT CHARACTER}"):
                yield plain[len(told) :]
                told = plain
        yield _finish([self], [question], [asked], [row], started)[0]

    def force(self, question: str, answer: str) -> None:
        """Add a turn with a given answer, as the model's own; nothing is computed until the next question."""
        asked = self._asked(question)
        self._record(question, Reply(answer), asked, self.model.processor.encoder.answer(answer)[:-1])

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
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.image).save(folder / "image.png")
        data = {
            "ids": self._ids,
            "starts": self._starts,
            "turns": [{"role": turn.role, "text": turn.text} for turn in self.turns],
            "replies": [_to_json(reply) for reply in self.replies],
        }
        beside = folder / "session.json.part"
        beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        beside.replace(folder / "session.json")

    @classmethod
    def load(cls, model: Miras, folder: Path) -> "Session":
        """Read what `save` wrote. Raises SessionError when the folder does not hold a session."""
        try:
            data = json.loads((folder / "session.json").read_text(encoding="utf-8"))
            session = cls(model, folder / "image.png")
            session._ids, session._starts = list(data["ids"]), list(data["starts"])
            session.turns = tuple(Turn(turn["role"], turn["text"]) for turn in data["turns"])
            session.replies = tuple(_from_json(reply) for reply in data["replies"])
        except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise SessionError(
                f"{folder} does not hold a saved session ({error}); give a folder written by save"
            ) from error
        return session

    def _asked(self, question: str) -> list[int]:
        if not question.strip():
            raise EmptyQuestion("a question needs words, got an empty one; type what you want to know or see marked")
        image_tokens = 0 if self._ids else int(self._memory.cells.sum())
        return self.model.processor.encoder.question(question.strip(), image_tokens=image_tokens)

    def _row(self, question: str, limit: int) -> Row:
        """What is to be fed before the answer. Raises when it does not fit the context."""
        asked, context = self._asked(question), self.model.config.max_context
        if len(asked) + limit > context:
            raise QuestionTooLong(
                f"the question takes {len(asked)} tokens with its image, {context - limit} fit; say it in fewer words"
            )
        if (used := len(self._ids) + len(asked)) + limit > context:
            raise ContextFull(
                f"the conversation would take {used} tokens, {context - limit} fit; undo some turns or start a new session"
            )
        known = self._past[0][0].shape[2] if self._past else 0
        ids = torch.tensor([(self._ids + asked)[known:]])
        image = self.model.processor.encoder.image_id
        language = self.model.language
        embeddings = language.embed(ids.to(language.rows.device))
        if not known:
            seen = self._memory.seen()
            tokens_ = seen.tokens[:, self._memory.cells.to(seen.tokens.device)]
            places = (ids == image).to(embeddings.device)
            embeddings = embeddings.masked_scatter(places[..., None], tokens_.to(embeddings))
        return Row(embeddings[0], self._past)

    def _record(self, question: str, reply: Reply, asked: list[int], answered: list[int]) -> None:
        self._starts.append(len(self._ids))
        self._ids = [*self._ids, *asked, *answered, self.model.processor.encoder.stop_id]
        self.turns = (*self.turns, Turn("user", question.strip()), Turn("assistant", reply.text))
        self.replies = (*self.replies, reply)


@torch.inference_mode()
def ask_many(sessions: Sequence[Session], questions: Sequence[str], *, limit: int = ANSWER_LIMIT) -> list[Reply]:
    """Answer one question in each of several sessions of one model, in one batch; same answers as one by one."""
    if not sessions:
        return []
    started = time.perf_counter()
    rows = [session._row(question, limit) for session, question in zip(sessions, questions, strict=True)]
    asked = [session._asked(question) for session, question in zip(sessions, questions, strict=True)]
    encoder = sessions[0].model.processor.encoder
    for _ in generate(sessions[0].model.language, rows, stop_id=encoder.stop_id, limit=limit):
        pass
    return _finish(sessions, questions, asked, rows, started)


@torch.inference_mode()
def _finish(
    sessions: Sequence[Session],
    questions: Sequence[str],
    asked: Sequence[list[int]],
    rows: Sequence[Row],
    started: float,
) -> list[Reply]:
    """Mark what the answers ask for, and write the turns down."""
    encoder = sessions[0].model.processor.encoder
    segments = [_segments(session, row) for session, row in zip(sessions, rows, strict=True)]
    seconds = time.perf_counter() - started
    replies = []
    for session, question, ids, row, marked in zip(sessions, questions, asked, rows, segments, strict=True):
        reply = Reply(encoder.decode(row.ids), marked, seconds, not row.stopped)
        session._record(question, reply, ids, row.ids)
        session._past = row.past
        replies.append(reply)
    return replies


def _segments(session: Session, row: Row) -> tuple[Segment, ...]:
    """The masks of one answer, decoded together."""
    model, encoder, memory = session.model, session.model.processor.encoder, session._memory
    spans = tokens.spans(row.ids, obj_id=encoder.obj_id, seg_id=encoder.seg_id)
    if not spans:
        return ()
    states = torch.stack(row.states)[None]  # (1, 1 + n, D): the last prompt token stands first
    span = torch.tensor([[span.start + 1, span.end + 1] for span in spans], device=states.device)
    here = torch.zeros(len(spans), dtype=torch.long, device=states.device)
    queries = model.queries(states, here, span, bypass=session.bypass_alignment)
    logits, scores = model.mark(queries, memory.features(), here)
    masks = (memory.canvas.to_original(logits) > 0).cpu().numpy()
    names = [encoder.decode(row.ids[s.start + 1 : s.end]).strip() if s.end > s.start else "" for s in spans]
    return tuple(
        Segment(name, mask, float(score), logit)
        for name, mask, score, logit in zip(names, masks, scores, logits, strict=True)
    )


def _to_json(reply: Reply) -> dict[str, Any]:
    targets = [{"phrase": t.phrase, "score": t.score, "mask": encode(t.mask)} for t in reply.targets]
    return {"text": reply.text, "seconds": reply.seconds, "cut": reply.cut, "targets": targets}


def _from_json(data: dict[str, Any]) -> Reply:
    targets = tuple(Segment(t["phrase"], decode(t["mask"]), t["score"]) for t in data["targets"])
    return Reply(data["text"], targets, data["seconds"], data["cut"])
