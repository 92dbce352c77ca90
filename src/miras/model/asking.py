"""A question under way: what is fed for it, what of the answer can be told, and the turn that comes of it."""

import time
from typing import TYPE_CHECKING

import torch

from miras import tokens
from miras.data.encode import Encoder
from miras.errors import SessionError
from miras.model.generation import Decoding, Marks
from miras.model.miras import Miras
from miras.model.replies import Reply, Segment

if TYPE_CHECKING:
    from miras.model.session import Session

__all__ = ["Asking", "decoding"]


def decoding(model: Miras) -> Decoding:
    """What decodes a model's answers: none holds an image, since it could not be shown one, nor a name left open."""
    encoder = model.processor.encoder
    marks = Marks(encoder.obj_id, encoder.seg_id)
    return Decoding(model.language, stop_id=encoder.stop_id, never=model.processor.never(), marks=marks)


class Asking:
    """One question to one session, which stays as it is until `record`."""

    def __init__(self, session: "Session", question: str, *, limit: int, started: float | None = None) -> None:
        """Raises EmptyQuestion, QuestionTooLong or ContextFull. `started` is when the clock began to run."""
        self.session, self.question = session, question
        self.started = time.perf_counter() if started is None else started
        self.ids, self.row = session.pending(question, limit)
        """The question with what stands around it, and the row to decode."""
        self._turn, self._told = len(session.replies), ""

    def piece(self, *, marked: bool = False) -> str:
        """What can be told of the answer since the last call: as a person reads it, or `marked` with special tokens."""
        text = self._encoder.decode(self.row.ids)
        text = text if marked else tokens.strip(text)
        if not self.row.ended and text.endswith("\N{REPLACEMENT CHARACTER}"):  # a character cut off half-way
            return ""
        piece, self._told = text[len(self._told) :], max(text, self._told, key=len)
        return piece

    @torch.inference_mode()
    def mark(self) -> tuple[Segment, ...]:
        """The masks that the answer asks for, decoded together."""
        session, row, encoder = self.session, self.row, self._encoder
        spans = tokens.spans(row.ids, obj_id=encoder.obj_id, seg_id=encoder.seg_id)
        if not spans:
            return ()
        model, memory = session.model, session.memory
        states = torch.stack(row.states)[None]  # (1, 1 + n, D): the last prompt token stands first
        span = torch.tensor([[span.start + 1, span.end + 1] for span in spans], device=states.device)
        here = torch.zeros(len(spans), dtype=torch.long, device=states.device)
        queries = model.queries(states, here, span, bypass=session.bypass_alignment)
        logits, scores = model.mark(queries, memory.features(), here)
        # one by one: of a large photo, a single mask's logits take a hundred megabytes
        masks = [(memory.canvas.to_original(each) > 0).cpu().numpy() for each in logits]
        names = [encoder.decode(row.ids[s.start + 1 : s.end]).strip() if s.end > s.start else "" for s in spans]
        return tuple(
            Segment(name, mask, float(score), logit)
            for name, mask, score, logit in zip(names, masks, scores, logits, strict=True)
        )

    def record(self, marked: tuple[Segment, ...]) -> Reply:
        """Write the turn down with its masks. Raises SessionError where the session has gone on meanwhile."""
        self.check()
        seconds = time.perf_counter() - self.started
        reply = Reply(self._encoder.decode(self.row.ids), marked, seconds, not self.row.stopped)
        self.session.record(self.question, reply, self.ids, self.row.ids, self.row.past)
        return reply

    def check(self) -> None:
        """Raise SessionError where the session has gone on meanwhile."""
        if len(self.session.replies) != self._turn:
            raise SessionError("the session went on while this answer was still being written; ask again")

    @property
    def _encoder(self) -> Encoder:
        return self.session.model.processor.encoder
