"""What every teacher is: something that makes dialogues from one image, and says what it could not make and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from miras.data.clues import same_region
from miras.data.photos import Photo, PhotoObject
from miras.data.phrasing import gives_away
from miras.data.prist import record
from miras.data.reasoning import multi_turn
from miras.errors import DialogueError
from miras.generate.images import Picture
from miras.prist.check import TURNS
from miras.types import Dialogue

__all__ = ["MOST_TARGETS", "AnnotationTeacher", "Rejected", "Taught", "Teacher", "broken_rule"]

MOST_TARGETS = 4
"""Most dialogues of one image (K in section 3.2.2)."""
_TRIES = 3
"""Draws of a dialogue about a target before another target is taken."""


@dataclass(frozen=True)
class Rejected:
    """Something that was wanted of an image and could not be had."""

    step: str
    """Where it ended: image, elements, question, tree, dialogue or feedback."""
    rule: str
    """Which rule it broke, in a word or two that can be counted."""
    reason: str
    """What exactly was wrong."""
    target: str | None = None
    """What the dialogue would have been about, once that was known."""


@dataclass(frozen=True)
class Taught:
    """All that came of one image."""

    dialogues: tuple[Dialogue, ...]
    rejected: tuple[Rejected, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON knows it: PRIST records under `records`, what was rejected under `rejected`."""
        return {
            "records": [record(dialogue) for dialogue in self.dialogues],
            "rejected": [vars(one) for one in self.rejected],
        }


class Teacher(Protocol):
    """Makes the dialogues of one image; what it makes depends on the image and the seed, never on the order."""

    async def teach(self, picture: Picture) -> Taught:
        """Dialogues of one image. Raises LlmError when the teacher itself fails, never for a bad reply."""
        ...


def broken_rule(dialogue: Dialogue) -> str | None:
    """The rule of section 3.2.3 that a dialogue breaks: 3 to 7 rounds, and a last request that keeps its secret."""
    fewest, most = TURNS
    if not fewest <= len(dialogue.questions) <= most:
        return f"it has {len(dialogue.questions)} rounds, {fewest} to {most} are kept"
    if dialogue.focus and gives_away(dialogue.questions[-1], dialogue.focus, dialogue.focus):
        return f"the last request {dialogue.questions[-1]!r} names the target {dialogue.focus!r}"
    try:
        record(dialogue)
    except DialogueError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class AnnotationTeacher:
    """Tells what is annotated in photos, without a language model: true, offline, at once."""

    photos: Mapping[str, Photo]
    """Name of a picture → its photo and annotations."""
    seed: int = 0

    async def teach(self, picture: Picture) -> Taught:
        """One dialogue with its mask for each of up to four things; a photo with one thing gives one, marked single."""
        photo, rng = self.photos[picture.name], np.random.default_rng([self.seed, *picture.name.encode()])
        made: list[tuple[PhotoObject, Dialogue]] = []
        rejected: list[Rejected] = []
        for target in (photo.objects[index] for index in rng.permutation(len(photo.objects))):
            if len(made) == MOST_TARGETS:
                break
            if any(same_region(target, other) for other, _ in made):
                continue
            drawn = (multi_turn(photo, target, rng) for _ in range(_TRIES))
            found = next((one for one in drawn if one is not None and broken_rule(one) is None), None)
            if found is None:
                rejected.append(Rejected("dialogue", "not pinned", "no clues single it out", target.phrase))
            else:
                made.append((target, _documented(found, photo)))
        return Taught(tuple(dialogue for _, dialogue in made), tuple(rejected))


def _documented(dialogue: Dialogue, photo: Photo) -> Dialogue:
    meta = {name: dialogue.meta[name] for name in ("source", "class")}
    single = {"single": True} if len(photo.objects) == 1 else {}
    return replace(dialogue, meta={**meta, "license": photo.license, "teacher": "annotation", **single})
