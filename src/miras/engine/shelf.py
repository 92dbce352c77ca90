"""All conversations of an engine, within a bound of memory: those used last in memory, all of them on disk."""

import logging
import secrets
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from miras.engine.corrections import Correction
from miras.engine.heap import Heap
from miras.engine.kept import IMAGE, Kept, in_common, read_kept, write_kept
from miras.errors import EngineBusy, MirasError, SessionError, SessionGone
from miras.model.miras import Miras
from miras.model.session import Session
from miras.types import Turn

__all__ = ["Shelf"]

_LOG = logging.getLogger("miras.engine")
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, MirasError)


class Shelf:
    """Conversations by name. Only the engine's thread calls its methods, `write` of a new one excepted."""

    def __init__(self, model: Miras, folder: Path, *, memory: int, sessions: int, idle: float) -> None:
        """Conversations that the folder holds are there again; what cannot be read is left out with a warning."""
        self.model, self.folder = model, folder
        self.bytes = 0
        """Held by conversations in memory, when last counted."""
        self.kept: dict[str, Kept] = {}
        self._memory, self._sessions, self._idle = memory, sessions, idle
        self._heap = Heap()
        folder.mkdir(parents=True, exist_ok=True)
        for place in sorted(folder.iterdir()):
            if ".making-" in place.name:  # left by a process that was killed
                shutil.rmtree(place, ignore_errors=True)
            elif place.is_dir() and not place.name.startswith("."):
                self._find(place)

    def add(
        self,
        session: Session,
        digest: str,
        *,
        busy: Collection[str] = (),
        passing: int | None = None,
        corrections: Mapping[int, Correction] | None = None,
    ) -> Kept:
        """Keep a session under a new name, not yet on disk. Raises EngineBusy where there are too many."""
        self._make_room(busy)
        height, width = session.image.shape[:2]
        kept = Kept(
            secrets.token_urlsafe(18), digest, (height, width), corrections=corrections or {}, session=session,
            passing=passing,
        )  # fmt: skip
        kept.note()
        self.kept[kept.name] = kept
        return kept

    def get(self, name: str) -> Kept:
        """What is known of a conversation, wherever it lies. Raises SessionGone."""
        if (kept := self.kept.get(name)) is None:
            raise SessionGone("there is no such conversation; it was closed or never begun, open a new one")
        return kept

    def bring(self, name: str) -> tuple[Kept, Session]:
        """A conversation in memory, as it was. Raises SessionGone, also where its folder was spoilt meanwhile."""
        kept = self.get(name)
        kept.used = time.time()
        if kept.session is None:
            try:
                session = Session.load(self.model, self.folder / name)
            except SessionError as error:
                _LOG.warning("conversation %s… cannot be read any more and is left out", name[:6])
                del self.kept[name]
                raise SessionGone("this conversation's files were damaged, it is lost; open a new one") from error
            self.share(session, kept.digest)
            kept.session = session
            kept.note()
            kept.written = True
        assert kept.session is not None
        return kept, kept.session

    def share(self, session: Session, digest: str) -> None:
        """Let a session use what is already computed of its image."""
        other = next((one.session for one in self.kept.values() if one.digest == digest and one.session), None)
        if other is not None:
            session.memory = other.memory

    def longest(self, digest: str, history: Sequence[Turn]) -> tuple[Kept, int] | None:
        """Of the conversations about an image, the one that begins with most of the history; how many turns."""
        found = [(in_common(one.turns, history), one) for one in self.kept.values() if one.digest == digest]
        if not found:
            return None
        turns, kept = max(found, key=lambda each: (each[0], each[1].session is not None, each[1].spent, each[1].used))
        return kept, turns

    def write(self, kept: Kept, source: Kept | None = None) -> None:
        """Bring a conversation's folder up to date; `source` has the same image. A full disk is logged."""
        if kept.session is None or kept.written:
            return
        try:
            image = self.folder / source.name / IMAGE if source is not None and source.image_bytes else None
            write_kept(kept, self.folder, image)
        except OSError as error:
            _LOG.warning("conversation %s… could not be written: %s", kept.name[:6], error.strerror)

    def remove(self, name: str) -> None:
        """Forget a conversation, on disk as well."""
        del self.kept[name]
        place, gone = self.folder / name, self.folder / f".{name}.making-none"
        try:
            place.rename(gone)  # in one step, so that no half of it is found again
        except OSError:
            gone = place
        shutil.rmtree(gone, ignore_errors=True)

    def fit(self, busy: Collection[str]) -> None:
        """Keep within the bound of memory: what was used least lately first lets go of what can be computed again,
        then goes to disk.
        """
        free = sorted((one for one in self.kept.values() if one.session and one.name not in busy), key=_used)
        self._count()
        for kept in free:
            if self.bytes > self._memory and kept.session is not None:
                self._forget(kept.session)
                self._count()
        for kept in free:
            # what has no file yet is about to get one by whoever opened it
            if self.bytes > self._memory and kept.image_bytes:
                self.write(kept)
                if kept.written:
                    kept.said = kept.session = None
                    self._count()
        self._heap.tidy()

    def _forget(self, session: Session) -> None:
        """Let go of keys and values, and of features when the last session that shares them does."""
        session.forget()
        sharing = (one.session for one in self.kept.values() if one.session)
        if not any(other.computed for other in sharing if other.memory is session.memory):
            session.memory.forget()

    def _count(self) -> None:
        """Add up what is held, what several sessions share once."""
        held = dict[int, int]()
        for kept in list(self.kept.values()):
            for part in kept.session.parts() if kept.session else ():
                place, size = _storage(part)
                held[place] = size
        self.bytes = sum(held.values())

    def _make_room(self, busy: Collection[str]) -> None:
        if len(self.kept) < self._sessions:
            return
        free = sorted((one for one in self.kept.values() if one.name not in busy), key=_used)
        old = next((one for one in free if one.spent), next(iter(free), None))
        if old is None or not (old.spent or time.time() - old.used >= self._idle):
            raise EngineBusy(f"{len(self.kept)} conversations are kept, no more fit; close one or try again later")
        self.remove(old.name)

    def _find(self, place: Path) -> None:
        try:
            self.kept[place.name] = read_kept(place)
        except _BROKEN as error:
            _LOG.warning("conversation %s… cannot be read and is left out (%s)", place.name[:6], type(error).__name__)


def _used(kept: Kept) -> float:
    return kept.used


def _storage(part: np.ndarray | Tensor) -> tuple[int, int]:
    """What tells the memory behind a part from any other, and its bytes."""
    if isinstance(part, Tensor):
        storage: Any = part.untyped_storage()
        return storage.data_ptr(), storage.nbytes()
    while isinstance(part.base, np.ndarray):
        part = part.base
    return id(part), part.nbytes
