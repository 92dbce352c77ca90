"""Sessions by their names, and one thread that answers all of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from miras.data.images import load_image
from miras.engine.answering import Answering
from miras.engine.corrections import Correction
from miras.engine.desk import Desk, Question
from miras.engine.figures import Figures
from miras.engine.kept import Kept, Said, digest_of
from miras.engine.line import Line
from miras.engine.shelf import Shelf
from miras.errors import MirasError, SessionError, SessionGone
from miras.model.miras import Miras
from miras.model.replies import Reply
from miras.model.session import ANSWER_LIMIT, Session
from miras.types import Turn

__all__ = ["Engine", "EngineSettings", "View"]


@dataclass(frozen=True)
class EngineSettings:
    """What an engine may use."""

    sessions: int = 256
    """Most sessions that are kept, on disk included."""
    memory: int = 2**31
    """Bytes for images, features, keys and values; beyond, the least recently used sessions are put aside on disk."""
    batch: int = 8
    """Most answers that are written at once."""
    waiting: int = 64
    """Most questions that wait; more are refused."""
    idle: float = 6 * 3600.0
    """Seconds without use after which a session may be removed to make room for a new one."""


@dataclass(frozen=True)
class View:
    """What a session holds, as of now."""

    name: str
    size: tuple[int, int]
    """(height, width) of the image in pixels."""
    turns: tuple[Turn, ...]
    """Questions and answers by turns, as texts with their special tokens."""
    replies: tuple[Reply, ...]
    """The answers with their masks."""
    corrections: Mapping[int, Correction] = field(default_factory=dict)
    """What a person corrected, by the turn's number, from 0."""


class Engine:
    """Many conversations of one model; all methods may be called from any thread.

    Whoever knows a session's name may use it: names cannot be guessed. What is asked of one session happens in the
    order in which it was asked; several sessions are answered side by side. A folder belongs to one engine.
    """

    def __init__(self, model: Miras, folder: Path, settings: EngineSettings | None = None) -> None:
        """Sessions that an earlier engine kept in the folder are there again."""
        self.model, self.folder, self.settings = model, folder, settings or EngineSettings()
        allowed = self.settings
        self._shelf = Shelf(model, folder, memory=allowed.memory, sessions=allowed.sessions, idle=allowed.idle)
        self._figures = Figures()
        self._desk = Desk(model, self._figures, self._answered)
        self._line = Line(self._desk, self._begin, batch=allowed.batch, waiting=allowed.waiting)

    def open(self, image: np.ndarray) -> str:
        """A new session about an image (H, W, 3) uint8 RGB; its name.

        Raises EngineBusy where there are too many, EngineStopped, ImageError.
        """
        pixels = load_image(image)
        digest = digest_of(pixels)
        kept = self._line.do(lambda: self._add(self._new(pixels, digest), digest))
        self._shelf.write(kept)
        return kept.name

    def resume(self, image: np.ndarray, history: Sequence[Turn]) -> str:
        """A session about the image that has said exactly this; what a session here has in common is not computed.

        An answer of the history may lack its special tokens. The session is meant for one question: where that was
        answered and the next `resume` goes on from it, it is closed, unless somebody came back to it by its name.
        Raises EngineBusy, EngineStopped, ImageError, SessionError.
        """
        if [turn.role for turn in history] != ["user", "assistant"] * (len(history) // 2):
            raise SessionError(
                f"a history is questions and answers in turn, an answer last, got {[turn.role for turn in history]}"
            )
        pixels = load_image(image)
        digest = digest_of(pixels)
        kept = self._line.do(lambda: self._resumed(pixels, digest, history))
        self._shelf.write(kept)
        return kept.name

    def view(self, name: str) -> View:
        """What a session holds. Raises SessionGone."""
        kept = self._shelf.get(name)
        said = kept.said or self._line.do(lambda: self._brought(name)[1])
        kept.used = time.time()
        return _view(kept, said)

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises SessionGone."""
        session = self._shelf.get(name).session or self._line.do(lambda: self._brought(name)[0])
        return session.image

    def ask(self, name: str, question: str, *, limit: int = ANSWER_LIMIT, marked: bool = False) -> Answering:
        """Ask a session; its pieces are `marked` with `[OBJ]` and `[SEG]` or as a person reads them.

        Raises SessionGone, EngineBusy, EngineStopped; the answer raises what `Session.ask` does.
        """
        self._shelf.get(name)
        order = Question(name, question, limit, marked)
        answer = order.answering()
        self._line.ask(order)
        return answer

    def undo(self, name: str) -> View:
        """Take back the last question and answer. Raises SessionGone, SessionError."""

        def work() -> View:
            kept, session = self._shelf.bring(name)
            session.undo()
            return self._changed(kept)

        return self._line.do(work, name)

    def correct(self, name: str, turn: int, correction: Correction | None) -> View:
        """Keep how a turn (from 0) should have been, in place of what was kept before, or forget it where None.

        Raises SessionGone, SessionError where there is no such turn, MaskError for masks of another size.
        """
        if correction is not None:
            correction.check(self._shelf.get(name).size)

        def work() -> View:
            kept, session = self._shelf.bring(name)
            said = len(session.replies)
            if not 0 <= turn < said:
                raise SessionError(f"turn {turn} cannot be corrected, the conversation has {said}, counted from 0")
            others = {key: one for key, one in kept.corrections.items() if key != turn}
            kept.corrections = others if correction is None else {**others, turn: correction}
            return self._changed(kept)

        return self._line.do(work, name)

    def branch(self, name: str, turns: int | None = None) -> str:
        """Another session with the same image and the first `turns` questions and answers, or all; its name.

        Raises SessionGone, EngineBusy, EngineStopped, SessionError where there are not so many.
        """

        def work() -> str:
            kept, session = self._shelf.bring(name)
            said = len(session.replies)
            if turns is not None and not 0 <= turns <= said:
                raise SessionError(f"the first {turns} turns cannot be taken over, the conversation has {said}")
            twin = self._add(_first(session, said if turns is None else turns), kept.digest, kept.corrections)
            self._shelf.write(twin, kept)
            return twin.name

        return self._line.do(work, name)

    def close(self, name: str) -> None:
        """Forget a session, on disk as well; its answer is broken off. Raises SessionGone."""

        def work() -> None:
            self._shelf.get(name)
            self._desk.leave_all(name)
            self._shelf.remove(name)

        self._line.do(work)

    def figures(self) -> dict[str, float]:
        """Counters (`…_total`) and gauges by name, for Prometheus; docs/engine.md says what each counts."""
        kept = list(self._shelf.kept.values())
        here = sum(1 for one in kept if one.said is not None)
        return self._figures.read() | {
            "sessions": float(len(kept)),
            "sessions_in_memory": float(here),
            "sessions_put_aside": float(len(kept) - here),
            "bytes": float(self._shelf.bytes),
            "bytes_limit": float(self.settings.memory),
            "answering": float(self._desk.count),
            "waiting": float(self._line.waiting),
        }

    def stop(self, *, grace: float = 30.0) -> None:
        """Finish what runs for at most `grace` seconds, refuse the rest, and write all sessions into the folder."""
        self._line.stop(grace)
        for kept in list(self._shelf.kept.values()):
            self._shelf.write(kept)

    def _new(self, pixels: np.ndarray, digest: str) -> Session:
        session = Session(self.model, pixels)
        self._shelf.share(session, digest)
        return session

    def _add(
        self,
        session: Session,
        digest: str,
        corrections: Mapping[int, Correction] | None = None,
        passing: int | None = None,
    ) -> Kept:
        busy = self._line.busy
        kept = self._shelf.add(session, digest, busy=busy, passing=passing, corrections=corrections)
        self._shelf.fit({*busy, kept.name})
        return kept

    def _resumed(self, pixels: np.ndarray, digest: str, history: Sequence[Turn]) -> Kept:
        """The longest known beginning of the history, branched, and the rest of it; the first where it is spent."""
        source, turns = self._shelf.longest(digest, history) or (None, 0)
        try:
            session = _first(self._shelf.bring(source.name)[1], turns) if source and turns else None
        except SessionGone:
            session, turns = None, 0
        self._figures.add("prefix_hits_total" if session else "prefix_misses_total", bool(history))
        session = session or self._new(pixels, digest)
        self._figures.add("prefix_turns_total", turns)
        self._figures.add("prefix_tokens_total", session.length)
        rest = history[2 * turns :]
        for asked, said in zip(rest[::2], rest[1::2], strict=True):
            session.force(asked.text, said.text)
        kept = self._add(session, digest, passing=len(history) // 2)
        if source is not None:
            self._shelf.write(kept, source)
            whole = len(source.turns) == 2 * turns
            if whole and source.spent and source.name in self._shelf.kept and source.name not in self._line.busy:
                self._shelf.remove(source.name)
        return kept

    def _brought(self, name: str) -> tuple[Session, Said]:
        kept, session = self._shelf.bring(name)
        assert kept.said is not None
        found = session, kept.said
        self._shelf.fit({*self._line.busy, name})
        return found

    def _begin(self, question: Question) -> None:
        """Bring a question's session and begin its answer."""
        try:
            kept, session = self._shelf.bring(question.name)
        except MirasError as error:
            question.put(error)
            return
        if kept.spent:  # its one question has been answered: somebody holds its name
            kept.passing = None
        self._desk.begin(question, session)

    def _answered(self, question: Question) -> None:
        kept = self._shelf.get(question.name)
        kept.note()
        self._shelf.write(kept)
        self._shelf.fit(self._line.busy)

    def _changed(self, kept: Kept) -> View:
        """Write down what a person changed."""
        kept.passing = None
        kept.note()
        assert kept.said is not None
        view = _view(kept, kept.said)
        self._shelf.write(kept)
        self._shelf.fit(self._line.busy)
        return view


def _view(kept: Kept, said: Said) -> View:
    return View(kept.name, kept.size, said.turns, said.replies, said.corrections)


def _first(session: Session, turns: int) -> Session:
    """Another session with the first turns of one."""
    twin = session.branch()
    while len(twin.replies) > turns:
        twin.undo()
    return twin
