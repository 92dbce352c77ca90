"""Answers that are written side by side: questions join between two steps, and each leaves when it is done."""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from miras.engine.answering import Answering
from miras.engine.figures import Figures
from miras.errors import EngineStopped, MirasError, SessionGone
from miras.model.asking import Asking, decoding
from miras.model.miras import Miras
from miras.model.replies import Reply
from miras.model.session import Session

__all__ = ["Desk", "Question"]

_LOG = logging.getLogger("miras.engine")
_APART = 2
"""Tokens that are written between two passes that read: who comes meanwhile is read with the others."""


@dataclass(eq=False)
class Question:
    """A question that waits or is being answered."""

    name: str
    """Of its conversation."""
    text: str
    limit: int
    marked: bool = False
    """Whether its pieces show `[OBJ]` and `[SEG]`."""
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when nobody wants the answer any more."""
    asked: float = field(default_factory=time.perf_counter)
    asking: Asking | None = None
    told: bool = False
    """Whether its first word is out."""
    _answer: "weakref.ref[Answering] | None" = None

    def answering(self) -> Answering:
        """The answer for whoever asks, to be made once. Held weakly: when nobody holds it, nobody wants it."""
        answer = Answering(self.gone.set)
        self._answer = weakref.ref(answer)
        return answer

    @property
    def dropped(self) -> bool:
        """Whether the answer was cancelled, or nobody could read it."""
        return self.gone.is_set() or self._answer is None or self._answer() is None

    def put(self, piece: str | Reply | BaseException | None) -> None:
        """To whoever reads, if anybody does."""
        if self._answer is not None and (answer := self._answer()) is not None:
            answer.put(piece)


class Desk:
    """The answers under way of one model; only the engine's thread uses it."""

    def __init__(self, model: Miras, figures: Figures, done: Callable[[Question], None]) -> None:
        """`done` is called when a turn was written down, before the Reply is told."""
        self.model, self._figures, self._done = model, figures, done
        self._batch = decoding(model)
        self._under_way: dict[int, Question] = {}
        self._ended = deque[Question]()
        self._since_read = 0

    @property
    def names(self) -> set[str]:
        """Conversations with an answer under way."""
        return {question.name for question in [*self._under_way.values(), *self._ended]}

    @property
    def count(self) -> int:
        """Answers under way."""
        return len(self._under_way) + len(self._ended)

    def begin(self, question: Question, session: Session) -> None:
        """Take a question in, or tell whoever asks why not."""
        try:
            question.asking = Asking(session, question.text, limit=question.limit, started=question.asked)
            self._batch.join(question.asking.row)
            self._under_way[id(question.asking.row)] = question
        except Exception as error:
            self._figures.add("failed_total")
            question.put(error)

    def advance(self) -> None:
        """Let go of who has gone, read a piece of what is new, write one token of every answer, and mark one."""
        try:
            for question in [one for one in self._under_way.values() if one.dropped]:
                self.leave(question)
            if self._since_read >= _APART or not any(row.states for row in self._batch.rows):
                self._since_read = 0
                self._batch.read()
            self._since_read += 1
            self._figures_of_step(self._step())
        except Exception as error:  # the batch is no longer what it should be, so nobody in it can go on
            _LOG.exception("the answers under way are lost")
            for question in self._under_way.values():
                self._figures.add("failed_total")
                question.put(error)
            self._under_way.clear()
            self._batch = decoding(self.model)
        while self._ended and not self._finish(self._ended.popleft()):
            pass

    def leave(self, question: Question, error: BaseException | None = None) -> None:
        """Break an answer off, its session as it was."""
        if question.asking is not None and self._under_way.pop(id(question.asking.row), None) is not None:
            self._batch.leave(question.asking.row)
        elif question in self._ended:
            self._ended.remove(question)
        self._figures.add("cancelled_total")
        question.put(error)

    def leave_all(self, name: str | None = None) -> None:
        """Break off the answers of one conversation, which is closed, or all, because the engine stops."""
        error: MirasError = SessionGone("the conversation was closed while this answer was being written")
        if name is None:
            error = EngineStopped("the server stopped before this answer was written; ask again in a minute")
        for question in [*self._under_way.values(), *self._ended]:
            if name in (None, question.name):
                self.leave(question, error)

    def _step(self) -> list[Question]:
        moved = [self._under_way[id(row)] for row in self._batch.step()]
        for question in moved:
            assert question.asking is not None
            if question.asking.row.ended:
                del self._under_way[id(question.asking.row)]
                self._ended.append(question)
            elif piece := question.asking.piece(marked=question.marked):
                self._tell(question, piece)
        return moved

    def _tell(self, question: Question, piece: str) -> None:
        if not question.told:
            question.told = True
            self._figures.first_word(time.perf_counter() - question.asked)
        question.put(piece)

    def _figures_of_step(self, moved: list[Question]) -> None:
        if moved:
            self._figures.step(len(moved), sum(1 for one in moved if one.asking and not one.asking.row.ended))

    def _finish(self, question: Question) -> bool:
        """Mark what an answer asks for, write the turn down and tell it; whether that took long."""
        assert question.asking is not None
        if question.dropped:
            self._figures.add("cancelled_total")
            question.put(None)
            return False
        try:
            if piece := question.asking.piece(marked=question.marked):
                self._tell(question, piece)
            reply = question.asking.record(question.asking.mark())
        except Exception as error:
            self._figures.add("failed_total")
            question.put(error)
            return True
        self._done(question)
        self._figures.add("answers_total")
        self._figures.add("words_total", len(reply.plain.split()))
        question.put(reply)
        return bool(reply.targets)
