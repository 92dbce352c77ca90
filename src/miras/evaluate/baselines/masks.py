"""From what a model said to what it marked: its boxes become masks, by the same rule for every model."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from miras.data.masks import encode
from miras.evaluate.baselines.ask import Held, asks_for_box
from miras.evaluate.baselines.boxes import Box, Found, read_boxes
from miras.evaluate.baselines.coordinates import Coordinates, Reading, Seen, decide, in_pixels
from miras.evaluate.cases import Case
from miras.types import Mark, Prediction, Said

__all__ = ["MASKS", "Marked", "Refine", "fill", "mark_all"]

MASKS = "boxes as they are"
"""What the predictions say of their masks: each box is filled, several boxes are several masks."""

Refine = Callable[[Case, str, np.ndarray], np.ndarray | None]
"""Case, label of a box and the filled box (H, W) → a mask inside it; None where the box is to stay as it is."""


@dataclass(frozen=True)
class Marked:
    """The answers of a run, and how they were come by."""

    answered: tuple[Prediction, ...]
    """In the order of the cases."""
    reading: Reading
    counts: Mapping[str, int]
    """Replies to requests for a box by what they hold (box, several, none, unreadable), and what went otherwise."""


def mark_all(
    talks: Sequence[tuple[Case, Held]], coordinates: Coordinates = "auto", refine: Refine | None = None
) -> Marked:
    """All conversations as answers with masks: filled boxes, or what `refine` makes of them.

    Raises ConfigError where coordinates cannot be told, see `decide`.
    """
    found = {
        (case.id, turn): read_boxes(said.text)
        for case, held in talks
        for turn, said in enumerate(held.uttered)
        if asks_for_box(case, turn) and held.sent is not None and not said.refused
    }
    seen = [
        Seen(box, held.sent)
        for case, held in talks
        for turn in range(len(held.uttered))
        if held.sent is not None and (case.id, turn) in found
        for box in found[case.id, turn].boxes
    ]
    reading = decide(seen, coordinates)
    counts = Counter(dict.fromkeys(("box", "several", "none", "unreadable"), 0))
    counts.update(one.kind for one in found.values())
    counts["refused_by_server"] = sum(said.refused for _, held in talks for said in held.uttered)
    counts["cases_without_image"] = sum(held.sent is None for _, held in talks)
    counts["boxes"], counts["boxes_without_pixel"] = len(seen), 0
    if refine is not None:
        counts["boxes_as_they_are"] = 0
    answered = []
    for case, held in talks:
        turns = []
        for turn, said in enumerate(held.uttered):
            boxes = found.get((case.id, turn), Found("none")).boxes
            marks = _marks(case, held, boxes, reading, refine, counts)
            turns.append(Said(said.text, marks, said.seconds))
        answered.append(Prediction(case.id, tuple(turns)))
    return Marked(tuple(answered), reading, dict(counts))


def _marks(
    case: Case, held: Held, boxes: Sequence[Box], reading: Reading, refine: Refine | None, counts: Counter[str]
) -> tuple[Mark, ...]:
    """The masks of one reply."""
    marks: list[Mark] = []
    for box in boxes:
        assert held.sent is not None and held.original is not None  # boxes are read only where an image was shown
        mask = fill(in_pixels(box, reading, held.sent, held.original), held.original)
        if mask is None:
            counts["boxes_without_pixel"] += 1
            continue
        if refine is not None:
            finer = refine(case, box.label, mask)
            counts["boxes_as_they_are"] += finer is None
            mask = mask if finer is None else finer
        marks.append(Mark(encode(mask), box.label))
    return tuple(marks)


def fill(corners: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray | None:
    """(left, top, right, bottom) in pixels → (H, W) bool, True inside; None where the box holds no pixel.

    A pixel is inside where its centre is: left and top edges belong to the box, right and bottom edges do not, so the
    box (2, 0, 4, 3) holds columns 2 and 3 of rows 0, 1 and 2.
    """
    left, top, right, bottom = (max(0, ceil(value - 0.5)) for value in corners)
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask if mask.any() else None
