"""What the numbers of a model's boxes count: pixels of the image it was sent, shares of its sides, or thousandths.

A single reply seldom tells pixels from thousandths, so that is decided once for a run, from all its boxes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any, Literal

from miras.errors import ConfigError
from miras.evaluate.baselines.boxes import Box

__all__ = ["Coordinates", "Reading", "Seen", "System", "decide", "in_pixels"]

System = Literal["pixels", "unit", "thousand"]
"""Pixels of the image that was sent, 0..1 of its sides, 0..1000 of its sides."""
Coordinates = Literal["auto", "pixels", "unit", "thousand"]
"""A system that is given, or `auto`: read off the replies."""

_SURE = log(20)
"""Odds at which a reading is taken."""
_STRAY = 1e-5
"""How likely a coordinate is that its system does not allow; those within are spread evenly, 1 / side each."""


@dataclass(frozen=True)
class Seen:
    """A box and the (height, width) of the image that the model was sent."""

    box: Box
    size: tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """How the boxes of a run are read."""

    asked: Coordinates
    system: System | None
    """Of the boxes that do not tell by themselves; None where there is none."""
    boxes: int = 0
    """How many those are."""
    log_odds: float | None = None
    """For thousandths over pixels, from the far corners of those boxes; None where the system was given."""
    percent: int = 0
    """Boxes written with percent signs, which are read as such whatever the system."""
    unit: int = 0
    """With `auto`: boxes within 0..1 that hold a fraction, which are read as shares."""

    def to_json(self) -> dict[str, Any]:
        """As the first line of the predictions holds it."""
        return asdict(self)


def decide(seen: Sequence[Seen], asked: Coordinates = "auto") -> Reading:
    """How the boxes of a run are read. Raises ConfigError where nothing tells pixels from thousandths.

    `auto` compares how likely the far corners are when they are spread evenly over the image in pixels of each image,
    or over 0..1000. A model that counts in thousandths soon leaves a small image; one that counts in pixels never
    uses most of 0..1000 on a small image, and passes 1000 on a large one.
    """
    percent = sum(one.box.percent for one in seen)
    rest = [one for one in seen if not one.box.percent]
    if asked != "auto":
        return Reading(asked, asked, len(rest), percent=percent)
    open_ones = [one for one in rest if not _within_one(one.box)]
    unit = len(rest) - len(open_ones)
    if not open_ones:
        return Reading(asked, None, percent=percent, unit=unit)
    odds = sum(
        log(_likelihood(value, 1000) / _likelihood(value, side))
        for one in open_ones
        for value, side in zip(one.box.corners[2:], one.size[::-1], strict=True)
    )
    if abs(odds) < _SURE:
        raise ConfigError(
            f"{len(open_ones)} boxes do not tell whether they are in pixels or in thousandths; all replies are kept, "
            "so start again with --coordinates pixels or --coordinates thousand, as the model's makers say"
        )
    return Reading(asked, "thousand" if odds > 0 else "pixels", len(open_ones), round(odds, 3), percent, unit)


def in_pixels(
    box: Box, reading: Reading, sent: tuple[int, int], original: tuple[int, int]
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in pixels of the original image, cut to it; both sizes are (height, width)."""
    if box.percent:
        sides = 100.0, 100.0
    elif reading.system == "unit" or (reading.asked == "auto" and _within_one(box)):
        sides = 1.0, 1.0
    elif reading.system == "thousand":
        sides = 1000.0, 1000.0
    else:
        sides = float(sent[1]), float(sent[0])
    height, width = original
    left, top, right, bottom = (
        min(max(value / side * full, 0.0), float(full))
        for value, side, full in zip(box.corners, sides * 2, (width, height) * 2, strict=True)
    )
    return left, top, right, bottom


def _within_one(box: Box) -> bool:
    """Whether a box can only be meant as shares of the sides."""
    return all(0 <= value <= 1 for value in box.corners) and any(value % 1 for value in box.corners)


def _likelihood(value: float, side: float) -> float:
    return 1 / side if 0 <= value <= side else _STRAY
