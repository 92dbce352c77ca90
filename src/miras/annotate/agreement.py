"""How far two annotators agree: IoU and Cohen's kappa per group, with intervals (paper, section 3.3 and table 1).

Over the items that both annotators gave, an empty mask where one says that the image does not show the item::

    IoU            mean over items of |first and second| / |first or second|
    IoU, pooled    the same areas added up over all items and divided once
    kappa, pixels  kappa of the table of all pixels of all items: each annotator says marked or not
    kappa, mean    mean over items of each item's own kappa of its pixels
    kappa, items   kappa over items: each annotator's mask is fine, medium, coarse or absent (paper, table 2)

    kappa = (po - pe) / (1 - pe)

po is the share on which both say the same; pe is what it would be by chance, each annotator saying each class as often
as they do (Cohen, 1960).

Empty rules: IoU is 1 where both masks are empty, 0 where one is; kappa is 1 where both annotators say one and the same
class throughout. Over no items every figure is None. Items that one of the two did not give are counted, not scored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from miras.annotate.collect import Work
from miras.annotate.plan import Group, Item
from miras.data.masks import area, granularity
from miras.metrics.masks import counts
from miras.types import Rle

__all__ = ["CLASSES", "GATES", "Agreement", "Figure", "FigureName", "Tally", "agreement", "cohen_kappa"]

FigureName = Literal["iou", "iou_pooled", "kappa_pixels", "kappa_mean", "kappa_items"]

CLASSES = ("absent", "fine", "medium", "coarse")
"""What an annotator's mask of an item can be, for kappa over items."""

GATES: Mapping[FigureName, float] = {"iou": 0.80, "kappa_pixels": 0.75, "kappa_items": 0.75}
"""Least figures of a group (paper, section 3.3), its one kappa asked of both of ours."""

_LEVEL = 0.95


@dataclass(frozen=True)
class Figure:
    """A figure and the interval that holds 95 % of its bootstrap draws; None where there is nothing to reckon from."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Agreement:
    """How far the two annotators of a group agree."""

    group: str
    images: int
    """Images with at least one item that both gave."""
    items: int
    """Items that both gave."""
    missing: int
    """Items that at least one did not give."""
    figures: Mapping[FigureName, Figure]

    def passes(self, gates: Mapping[FigureName, float] = GATES) -> dict[FigureName, bool | None]:
        """Whether each figure that has a gate reaches it; None where there is no figure."""
        values = {name: self.figures[name].value for name in gates}
        return {name: None if (value := values[name]) is None else value >= gate for name, gate in gates.items()}


def cohen_kappa(table: np.ndarray) -> np.ndarray:
    """(..., K, K) counts, first annotator by second, → (...) kappa: 1 where all counts lie in one and the same class.

    NaN where there are no counts.
    """
    counts = np.asarray(table, dtype=np.float64)
    total = counts.sum(axis=(-2, -1))
    alike = np.diagonal(counts, axis1=-2, axis2=-1)
    chance = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = (total * alike.sum(axis=-1) - chance) / (total**2 - chance)
    return np.where((alike.max(axis=-1) == total) & (total > 0), 1.0, kappa)


@dataclass
class Tally:
    """The sums of one image, from which every figure follows; they can be added up."""

    items: int = 0
    iou: float = 0.0
    """Sum of the items' IoU."""
    kappa: float = 0.0
    """Sum of the items' kappa."""
    pixels: np.ndarray = field(default_factory=lambda: np.zeros((2, 2), dtype=np.int64))
    """Pixels by what the first and the second annotator say: not marked, marked."""
    classes: np.ndarray = field(default_factory=lambda: np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64))
    """Items by the class of the first and of the second annotator's mask."""

    def update(self, first: Rle, second: Rle) -> None:
        """Count one item. Raises MaskError when the two masks are not of one size."""
        one = counts(first, second)
        table = np.array([[one.tn, one.fn], [one.fp, one.tp]], dtype=np.int64)
        self.items += 1
        self.iou += one.iou
        self.kappa += float(cohen_kappa(table))
        self.pixels += table
        self.classes[_class(first), _class(second)] += 1

    def row(self) -> np.ndarray:
        """The sums side by side."""
        return np.concatenate([[self.items, self.iou, self.kappa], self.pixels.ravel(), self.classes.ravel()])


def _class(mask: Rle) -> int:
    marked, (height, width) = area(mask), mask["size"]
    return CLASSES.index(granularity(marked / (height * width))) if marked else 0


def agreement(
    group: Group, wanted: Iterable[Item], first: Work, second: Work, *, seed: int = 0, draws: int = 2000
) -> Agreement:
    """The figures of a group over its wanted items.

    The intervals come from `draws` bootstrap samples of whole images by the seed, since items of one image are alike.
    """
    tallies: dict[str, Tally] = {}
    missing = 0
    for item in wanted:
        if item in first.masks and item in second.masks:
            tallies.setdefault(item.image, Tally()).update(first.masks[item], second.masks[item])
        else:
            missing += 1
    rows = np.array([tally.row() for tally in tallies.values()]).reshape(len(tallies), Tally().row().size)
    return Agreement(group.name, len(rows), int(rows[:, 0].sum()), missing, _with_intervals(rows, seed, draws))


def _with_intervals(rows: np.ndarray, seed: int, draws: int) -> dict[FigureName, Figure]:
    """(I, sums) of the images → each figure with its interval; no interval where there are fewer than two images."""
    names = _figures(rows.sum(axis=0))
    if not len(rows):
        return {name: Figure(None) for name in names}
    values = {name: float(value) for name, value in names.items()}
    if len(rows) < 2:
        return {name: Figure(value) for name, value in values.items()}
    times = np.random.default_rng(seed).multinomial(len(rows), [1 / len(rows)] * len(rows), size=draws)  # (draws, I)
    drawn = _figures(times @ rows)
    tails = [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]
    ends = {name: np.quantile(drawn[name], tails) for name in values}
    return {name: Figure(value, float(ends[name][0]), float(ends[name][1])) for name, value in values.items()}


def _figures(sums: np.ndarray) -> dict[FigureName, np.ndarray]:
    """(..., sums) → (...) of each figure; NaN where there are no items."""
    items, pixels = sums[..., 0], sums[..., 3:7].reshape(*sums.shape[:-1], 2, 2)
    union = sums[..., 4:7].sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "iou": sums[..., 1] / items,
            "iou_pooled": np.where((union == 0) & (items > 0), 1.0, sums[..., 6] / union),
            "kappa_pixels": cohen_kappa(pixels),
            "kappa_mean": sums[..., 2] / items,
            "kappa_items": cohen_kappa(sums[..., 7:].reshape(*sums.shape[:-1], len(CLASSES), len(CLASSES))),
        }
