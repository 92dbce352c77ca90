"""One conversation that an engine keeps: what is known of it even while it lies on disk, and its file."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from miras import tokens
from miras.engine.corrections import Correction
from miras.errors import SessionError
from miras.files import made_beside, write_text
from miras.model.replies import Reply
from miras.model.session import Session
from miras.types import Turn

__all__ = ["IMAGE", "TALK", "Kept", "Said", "digest_of", "in_common", "read_kept", "write_kept"]

IMAGE = "image.png"
TALK = "session.json"


@dataclass(frozen=True)
class Said:
    """What a conversation holds at one moment."""

    turns: tuple[Turn, ...]
    replies: tuple[Reply, ...]
    corrections: Mapping[int, Correction]


@dataclass(eq=False)
class Kept:
    """A conversation by its name. Its fields change on the engine's thread only, each in one step."""

    name: str
    digest: str
    """Of the image's pixels."""
    size: tuple[int, int]
    """(height, width) of the image in pixels."""
    turns: tuple[Turn, ...] = ()
    corrections: Mapping[int, Correction] = field(default_factory=dict)
    session: Session | None = None
    """None while it lies on disk alone."""
    said: Said | None = None
    """For other threads to read; None while it lies on disk alone."""
    used: float = field(default_factory=time.time)
    """When it was last used, in seconds of the clock."""
    passing: int | None = None
    """Turns with which `resume` made it, until somebody comes back to it by its name; None for all others."""
    image_bytes: int = 0
    """Length of the image's file; 0 until it is written."""
    written: bool = False
    """Whether its file holds all of it."""

    def note(self) -> None:
        """Take over what the session holds now."""
        assert self.session is not None
        turns = len(self.session.replies)
        self.turns = self.session.turns
        self.corrections = {turn: one for turn, one in self.corrections.items() if turn < turns}
        self.said = Said(self.turns, self.session.replies, self.corrections)
        self.used, self.written = time.time(), False

    @property
    def spent(self) -> bool:
        """Whether the one request that `resume` made it for has been answered, so that nobody holds its name."""
        return self.passing is not None and len(self.turns) == 2 * self.passing + 2


def digest_of(image: np.ndarray) -> str:
    """The same for equal pixels only."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def in_common(turns: Sequence[Turn], history: Sequence[Turn]) -> int:
    """How many questions with their answers both begin with.

    A client may give an answer as it was written, or as a person reads it, without its special tokens.
    """
    count = 0
    for ours, theirs in zip(turns, history, strict=False):
        text = theirs.text.strip()
        if text not in (ours.text.strip(), tokens.strip(ours.text).strip()):
            break
        count += 1
    return count // 2


def write_kept(kept: Kept, folder: Path, image: Path | None = None) -> None:
    """Bring a conversation's folder up to date: its image once, the rest in one step.

    `image` is a file with the same image, which is given a second name instead of being written again.
    """
    assert kept.session is not None
    place = folder / kept.name
    if not kept.image_bytes:
        with made_beside(place, replacing=()) as making:
            _write_image(kept.session.image, making / IMAGE, image)
            size = (making / IMAGE).stat().st_size
            (making / TALK).write_text(_talk(kept, size), encoding="utf-8")
        kept.image_bytes = size
    else:
        write_text(place / TALK, _talk(kept, kept.image_bytes))
    kept.written = True


def _write_image(pixels: np.ndarray, path: Path, same: Path | None) -> None:
    try:
        if same is not None:
            os.link(same, path)
            return
    except OSError:  # the file is gone, or the file system knows no second names
        pass
    Image.fromarray(pixels).save(path, compress_level=1)


def _talk(kept: Kept, image_bytes: int) -> str:
    assert kept.session is not None
    more = {
        "digest": kept.digest,
        "size": list(kept.size),
        "image_bytes": image_bytes,
        "passing": kept.passing,
        "corrections": {str(turn): one.to_json() for turn, one in kept.corrections.items()},
    }
    return json.dumps({**kept.session.to_json(), **more}, ensure_ascii=False) + "\n"


def read_kept(place: Path) -> Kept:
    """What a folder holds, its image unread. Raises OSError, ValueError, KeyError, TypeError or SessionError."""
    talk = place / TALK
    data = json.loads(talk.read_text(encoding="utf-8"))
    turns = tuple(Turn(turn["role"], str(turn["text"])) for turn in data["turns"])
    corrections = {int(turn): Correction.from_json(one) for turn, one in data["corrections"].items()}
    height, width = map(int, data["size"])
    if len(turns) != 2 * len(data["replies"]) or (place / IMAGE).stat().st_size != data["image_bytes"]:
        raise SessionError("its image or its turns are not as they were written")
    return Kept(
        place.name,
        str(data["digest"]),
        (height, width),
        turns,
        corrections,
        used=talk.stat().st_mtime,
        passing=data["passing"],
        image_bytes=data["image_bytes"],
        written=True,
    )
