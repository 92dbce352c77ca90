"""Cases as cards: what was asked, what was replied, and the photo with the mask against the truth."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from miras.data.images import load_image
from miras.data.masks import decode
from miras.errors import ImageError, MaskError
from miras.evaluate.cases import Case
from miras.evaluate.report.content import UNKNOWN, Card, Picture
from miras.evaluate.report.failures import Replied
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.overlay import COLORS, MEANINGS, as_jpeg, marked_photo, swatch
from miras.evaluate.report.run import Run
from miras.types import Rle, Said

__all__ = ["LARGE", "MOST_BYTES", "SMALL", "card", "dialogue_card", "legend", "photo"]

LARGE, SMALL = 480, 320
"""Longest side of a picture in pixels, in the gallery and among the failures."""
MOST_BYTES = 64 * 1024
"""Of one picture; a busier photo is saved at a lower quality."""


def card(run: Run, one: Outcome | Replied, file: str, *, images: Path | None, longest: int = LARGE) -> Card:
    """The card of a target, or of a whole reply with all its masks."""
    if isinstance(one, Replied):
        shown = dialogue_card(run, one.case, one.said)
        picture = _reply_photo(run, one, file, images=images, longest=longest)
        return shown if picture is None else replace(shown, pictures=(picture,))
    picture = photo(run, one, file, images=images, longest=longest)
    facts = [
        f"confidence {_share(one.met.score)}",
        f"precision {_share(one.precision)}",
        f"recall {_share(one.recall)}",
        one.size,
        *([one.category] if one.category != one.met.phrase else []),
        f"case {one.case.id}",
    ]
    return Card(
        one.met.phrase or "no name", f"IoU {_share(one.iou)}", (picture,), _said(run, one.case, one.said), tuple(facts)
    )


def dialogue_card(run: Run, case: Case, said: Sequence[Said]) -> Card:
    """A case in words alone, up to the last of these replies."""
    marks = len(said[-1].masks)
    facts = (f"case {case.id}", f"turn {len(said)} of {len(case.dialogue.questions)}")
    badge = "marks nothing" if not marks else f"marks {marks}"
    return Card(case.dialogue.focus or f"case {case.id}", badge, (), _said(run, case, said, truth=True), facts)


def photo(
    run: Run, one: Outcome, file: str, *, images: Path | None, longest: int = LARGE, beside: Outcome | None = None
) -> Picture | str:
    """The photo with the mask against the truth, or why there is none; `beside` is shown in the picture next to it."""
    alt = f"{one.met.phrase}: {run.model}'s mask against the true one, IoU {_share(one.iou)}"
    masks = [None if mark is None else mark.mask for mark in (one.mark, beside.mark if beside is not None else None)]
    return _drawn(run, one.case, [one.truth], masks[:1], file, alt, images=images, longest=longest, beside=masks[1])


def _reply_photo(run: Run, one: Replied, file: str, *, images: Path | None, longest: int) -> Picture | str | None:
    """The photo with all masks of the reply against all that its turn asks for; None where it marks nothing."""
    marks = [mark.mask for mark in one.said[-1].masks]
    if not marks:
        return None
    truths = [target.mask for target in one.case.targets[one.turn]]
    alt = f"{run.model}'s masks in turn {one.turn + 1} against all that was asked for"
    return _drawn(run, one.case, truths, marks, file, alt, images=images, longest=longest)


def _drawn(
    run: Run,
    case: Case,
    truths: Sequence[Rle | None],
    marks: Sequence[Rle | None],
    file: str,
    alt: str,
    *,
    images: Path | None,
    longest: int,
    beside: Rle | None = None,
) -> Picture | str:
    assert run.cases is not None
    paths = [path for folder in (images, None) if (path := run.cases.image_path(case, folder)) is not None]
    path = next((path for path in paths if path.is_file()), paths[0] if paths else None)
    if path is None:
        return "The image of this case cannot be had."
    try:
        image = load_image(path)
        truth, marked = (_together(masks, image.shape[:2]) for masks in (truths, marks))
        drawn = marked_photo(image, truth, marked, longest, beside=None if beside is None else decode(beside))
    except (ImageError, MaskError) as error:
        return str(error)
    return Picture(file, as_jpeg(drawn, MOST_BYTES), drawn.shape[1], drawn.shape[0], alt)


def _together(masks: Sequence[Rle | None], shape: tuple[int, ...]) -> np.ndarray:
    """All known masks as one; none at all is an empty mask of the image's (H, W) shape."""
    known = [decode(mask) for mask in masks if mask is not None]
    return np.logical_or.reduce(known) if known else np.zeros(shape, dtype=bool)


def legend() -> tuple[tuple[Picture, str], ...]:
    """A patch of each colour as it is painted, with what it means."""
    return tuple(
        (Picture(f"legend-{name}.jpg", as_jpeg(swatch(name), MOST_BYTES), 26, 26, ""), MEANINGS[name])
        for name in COLORS
    )


def _said(run: Run, case: Case, said: Sequence[Said], *, truth: bool = False) -> tuple[tuple[str, str, str], ...]:
    turns = []
    for place, reply in enumerate(said):
        turns.append((case.dialogue.questions[place], run.model, reply.text))
        if truth:
            turns.append(("", "expected", case.dialogue.answers[place]))
    return tuple(turns)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"
