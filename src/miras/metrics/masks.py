"""Mask figures that add whole numbers and divide once.

With tp, fp and fn the pixels that are marked rightly, marked wrongly and missed::

    IoU = tp / (tp + fp + fn)    precision = tp / (tp + fp)    recall = tp / (tp + fn)    F1 = 2 tp / (2 tp + fp + fn)

`micro` figures (cIoU is one) divide the pixels of all targets together, so large targets weigh more; `macro`
figures (gIoU is one) are the mean of each target's own figure, so every target weighs the same.

Empty rule, the same for every figure: where prediction and target are both empty it is 1; where exactly one of
them is empty it is 0. Over no targets at all it is None. No prediction (None) counts as an empty mask.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from miras.errors import MaskError

__all__ = ["THRESHOLDS", "MaskSums", "Strata", "mask_iou"]

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""IoU thresholds of Prec@X."""

_UNIT = 2**50
"""Per-target figures are summed in units of 1 / _UNIT: whole numbers, so no order of merging changes a bit."""


def _pixels(predicted: np.ndarray | None, target: np.ndarray) -> tuple[int, int, int]:
    """tp, fp and fn of two (H, W) bool masks. Raises MaskError when they are not of one shape."""
    marked = int(np.count_nonzero(target))
    if predicted is None:
        return 0, 0, marked
    if predicted.shape != target.shape or target.ndim != 2:
        raise MaskError(
            f"prediction and target are (H, W) masks of one image, got {predicted.shape} and {target.shape}; "
            "bring the prediction to original pixels first"
        )
    tp = int(np.count_nonzero(np.logical_and(predicted, target)))
    return tp, int(np.count_nonzero(predicted)) - tp, marked - tp


def _fractions(tp: int, fp: int, fn: int) -> dict[str, tuple[int, int]]:
    """(numerator, denominator) of each figure, the empty rule applied."""
    if tp + fp + fn == 0:
        return dict.fromkeys(("iou", "precision", "recall", "f1"), (1, 1))
    return {
        "iou": (tp, tp + fp + fn),
        "precision": (tp, max(tp + fp, 1)),
        "recall": (tp, max(tp + fn, 1)),
        "f1": (2 * tp, 2 * tp + fp + fn),
    }


def _in_units(numerator: int, denominator: int) -> int:
    """The fraction in units of 1 / _UNIT, rounded to the nearest."""
    return (2 * numerator * _UNIT + denominator) // (2 * denominator)


def mask_iou(predicted: np.ndarray | None, target: np.ndarray) -> float:
    """IoU of two (H, W) bool masks. Two empty masks give 1; one empty mask gives 0; None is an empty mask."""
    numerator, denominator = _fractions(*_pixels(predicted, target))["iou"]
    return numerator / denominator


@dataclass
class MaskSums:
    """Everything that the mask figures of a set of targets need; its size does not grow with the set."""

    targets: int = 0
    """Number of targets."""
    tp: int = 0
    """Pixels marked rightly, over all targets."""
    fp: int = 0
    """Pixels marked wrongly, over all targets."""
    fn: int = 0
    """Pixels missed, over all targets."""
    iou: int = 0
    """Sum of each target's IoU, in units of 2**-50."""
    precision: int = 0
    """Sum of each target's precision, in units of 2**-50."""
    recall: int = 0
    """Sum of each target's recall, in units of 2**-50."""
    f1: int = 0
    """Sum of each target's F1, in units of 2**-50."""
    hits: tuple[int, ...] = (0,) * len(THRESHOLDS)
    """Targets whose IoU reaches each of THRESHOLDS."""

    def update(self, predicted: np.ndarray | None, target: np.ndarray) -> None:
        """Count one target: (H, W) bool prediction, None where the model marked nothing, and (H, W) bool truth.

        Raises MaskError when the two are not of one shape.
        """
        tp, fp, fn = _pixels(predicted, target)
        self.targets += 1
        self.tp, self.fp, self.fn = self.tp + tp, self.fp + fp, self.fn + fn
        for name, fraction in _fractions(tp, fp, fn).items():
            setattr(self, name, getattr(self, name) + _in_units(*fraction))
        # Tenths as whole numbers: 3 of 5 pixels must reach 0.6, which floats do not promise.
        reached = (10 * tp >= round(10 * threshold) * (tp + fp + fn) for threshold in THRESHOLDS)
        self.hits = tuple(count + hit for count, hit in zip(self.hits, reached, strict=True))

    def __add__(self, other: "MaskSums") -> "MaskSums":
        """The sums of both sets of targets."""
        added = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "hits"}
        return MaskSums(**added, hits=tuple(a + b for a, b in zip(self.hits, other.hits, strict=True)))

    def compute(self) -> dict[str, Any]:
        """Every figure by name, 0..1, with `n` the number of targets; all None when there are none.

        `giou` is the mean of per-target IoU, `ciou` the IoU of all pixels together; `precision`, `recall` and
        `f1` come as `_micro` and `_macro`; `prec_at` holds the share of targets whose IoU is at least X.
        """
        micro = {name: self._known(a / b) for name, (a, b) in _fractions(self.tp, self.fp, self.fn).items()}
        result: dict[str, Any] = {"n": self.targets, "giou": self._mean(self.iou), "ciou": micro["iou"]}
        for name in ("precision", "recall", "f1"):
            result[f"{name}_micro"] = micro[name]
            result[f"{name}_macro"] = self._mean(getattr(self, name))
        result["prec_at"] = {
            str(threshold): self._known(count / max(self.targets, 1))
            for threshold, count in zip(THRESHOLDS, self.hits, strict=True)
        }
        return result

    def _known(self, value: float) -> float | None:
        return value if self.targets else None

    def _mean(self, total: int) -> float | None:
        return total / (_UNIT * self.targets) if self.targets else None


@dataclass
class Strata:
    """The same sums over all targets and over each stratum of any number of groupings."""

    total: MaskSums = field(default_factory=MaskSums)
    groups: dict[str, dict[str, MaskSums]] = field(default_factory=dict)
    """Grouping, such as `by_size`, to stratum, such as `fine`, to its sums."""

    def update(self, predicted: np.ndarray | None, target: np.ndarray, labels: Mapping[str, str]) -> None:
        """Count one target, see MaskSums.update; `labels` names its stratum in each grouping."""
        one = MaskSums()
        one.update(predicted, target)
        self.total += one
        for grouping, stratum in labels.items():
            strata = self.groups.setdefault(grouping, {})
            strata[stratum] = strata.get(stratum, MaskSums()) + one

    def __add__(self, other: "Strata") -> "Strata":
        """The sums of both; a stratum that only one of them has is kept."""
        groups = {
            grouping: {
                stratum: self._sums(grouping, stratum) + other._sums(grouping, stratum)
                for stratum in _union(self.groups.get(grouping, {}), other.groups.get(grouping, {}))
            }
            for grouping in _union(self.groups, other.groups)
        }
        return Strata(self.total + other.total, groups)

    def _sums(self, grouping: str, stratum: str) -> MaskSums:
        return self.groups.get(grouping, {}).get(stratum, MaskSums())

    def compute(self) -> dict[str, Any]:
        """The figures of MaskSums.compute over all targets and, under each grouping's name, of each stratum."""
        by_group = {
            grouping: {stratum: sums.compute() for stratum, sums in sorted(strata.items())}
            for grouping, strata in sorted(self.groups.items())
        }
        return {**self.total.compute(), **by_group}


def _union(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return sorted({*first, *second})
