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
from itertools import islice, starmap
from operator import add
from typing import Any, NamedTuple

import numpy as np

from miras.metrics.overlap import Pair, tables, two_sizes
from miras.types import Rle

__all__ = ["FIGURES", "THRESHOLDS", "UNIT", "Counts", "MaskSums", "Strata", "count_all", "counts", "mask_iou"]

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""IoU thresholds of Prec@X."""

UNIT = 2**50
"""Per-target figures are summed in units of 1 / UNIT: whole numbers, so no order of merging changes a bit."""

FIGURES = ("iou", "precision", "recall", "f1", "background")
"""Figures of one target; `background` is the IoU of what is not marked."""

_BATCHES = 64
"""Batches of pairs that are added up at once."""
_TENTHS = tuple(round(10 * threshold) for threshold in THRESHOLDS)


class Counts(NamedTuple):
    """The pixels of one target, or of many together."""

    tp: int
    """Pixels marked rightly."""
    fp: int
    """Pixels marked wrongly."""
    fn: int
    """Pixels missed."""
    tn: int
    """Pixels rightly left alone: all the others."""

    @classmethod
    def of(cls, predicted: np.ndarray | None, target: np.ndarray) -> "Counts":
        """The counts of two (H, W) bool masks; None is an empty mask. Raises MaskError when they differ in shape."""
        marked = int(np.count_nonzero(target))
        if predicted is None:
            return cls(0, 0, marked, target.size - marked)
        if predicted.shape != target.shape or target.ndim != 2:
            raise two_sizes(predicted.shape, target.shape)
        tp = int(np.count_nonzero(np.logical_and(predicted, target)))
        fp = int(np.count_nonzero(predicted)) - tp
        return cls(tp, fp, marked - tp, target.size - marked - fp)

    @property
    def fractions(self) -> dict[str, tuple[int, int]]:
        """(numerator, denominator) of each of FIGURES, the empty rule applied."""
        tp, fp, fn, tn = self
        wrong = fp + fn
        background = (tn, tn + wrong) if tn + wrong else (1, 1)
        if not tp + wrong:
            return dict.fromkeys(FIGURES, (1, 1)) | {"background": background}
        return {
            "iou": (tp, tp + wrong),
            "precision": (tp, tp + fp or 1),
            "recall": (tp, tp + fn or 1),
            "f1": (2 * tp, 2 * tp + wrong),
            "background": background,
        }

    @property
    def iou(self) -> float:
        """The IoU, 0..1."""
        numerator, denominator = self.fractions["iou"]
        return numerator / denominator


def counts(predicted: Rle | None, target: Rle) -> Counts:
    """The counts of two masks from their run lengths, without drawing them; None is an empty mask.

    Raises MaskError when the masks are not of one size or the runs of one do not fill it.
    """
    return count_all([(predicted, target)])[0]


def count_all(pairs: Iterable[Pair]) -> list[Counts]:
    """The counts of many pairs of predicted and true mask, see `counts`; many times as fast as one by one."""
    return [one for table in tables(pairs) for one in starmap(Counts, table.tolist())]


def mask_iou(predicted: np.ndarray | None, target: np.ndarray) -> float:
    """IoU of two (H, W) bool masks. Two empty masks give 1; one empty mask gives 0; None is an empty mask."""
    return Counts.of(predicted, target).iou


def _in_units(numerator: Any, denominator: Any) -> Any:
    """Fractions in units of 1 / UNIT, rounded to the nearest: of whole numbers, or of int64 arrays below 2**36."""
    whole, rest = divmod(numerator << 25, denominator)
    return (whole << 25) + ((rest << 26) + denominator) // (2 * denominator)


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
    tn: int = 0
    """Pixels rightly left alone, over all targets."""
    iou: int = 0
    """Sum of each target's IoU, in units of 2**-50."""
    precision: int = 0
    """Sum of each target's precision, in units of 2**-50."""
    recall: int = 0
    """Sum of each target's recall, in units of 2**-50."""
    f1: int = 0
    """Sum of each target's F1, in units of 2**-50."""
    background: int = 0
    """Sum of each target's IoU of what is not marked, in units of 2**-50."""
    empty: int = 0
    """Targets whose true mask is empty."""
    empty_right: int = 0
    """Those of them on which nothing was marked."""
    extra: int = 0
    """Targets that stand for a mask too many: nothing was asked for there."""
    hits: tuple[int, ...] = (0,) * len(THRESHOLDS)
    """Targets whose IoU reaches each of THRESHOLDS."""

    @classmethod
    def of(cls, one: Counts, *, extra: bool = False) -> "MaskSums":
        """The sums of one target; `extra` where it stands for a mask too many (`miras.metrics.matching`)."""
        tp, fp, fn, tn = one
        figures = {name: _in_units(*fraction) for name, fraction in one.fractions.items()}
        # Tenths as whole numbers: 3 of 5 pixels must reach 0.6, which floats do not promise.
        hits = tuple(int(10 * tp >= tenths * (tp + fp + fn)) for tenths in _TENTHS)
        nothing = not tp + fn and not extra
        return cls(1, tp, fp, fn, tn, **figures, empty=nothing, empty_right=nothing and not fp, extra=extra, hits=hits)

    @classmethod
    def of_all(cls, counted: Iterable[Counts]) -> "MaskSums":
        """The sums of many targets: what `update` gives with one after the other, several times as fast."""
        return cls._of_table(np.array(list(counted), dtype=np.int64).reshape(-1, 4))

    @classmethod
    def of_pairs(cls, pairs: Iterable[Pair]) -> "MaskSums":
        """The sums of many targets from predicted and true run lengths, which are read as they come; see `counts`."""
        sums, batches = cls(), tables(pairs)
        while some := list(islice(batches, _BATCHES)):
            sums += cls._of_table(np.concatenate(some))
        return sums

    @classmethod
    def _of_table(cls, table: np.ndarray) -> "MaskSums":
        if table.max(initial=0) >= 2**34:
            return sum(map(cls.of, starmap(Counts, table.tolist())), cls())
        tp, fp, fn, tn = table.T
        union, empty = tp + fp + fn, tp + fn == 0
        nothing = (union == 0).astype(np.int64)  # the empty rule: 1 of 1
        parts = (tp, union), (tp, tp + fp), (tp, tp + fn), (2 * tp, union + tp), (tn, tn + fp + fn)
        figures = {
            name: sum(_in_units(part + none, np.maximum(whole + none, 1)).tolist())
            for name, (part, whole), none in zip(FIGURES, parts, [nothing] * 4 + [tn + fp + fn == 0], strict=True)
        }
        hits = tuple(int((10 * tp >= tenths * union).sum()) for tenths in _TENTHS)
        pixels = dict(zip(Counts._fields, table.sum(axis=0).tolist(), strict=True))
        right = int((empty & (fp == 0)).sum())
        return cls(len(table), **pixels, **figures, empty=int(empty.sum()), empty_right=right, hits=hits)

    def update(self, one: Counts, *, extra: bool = False) -> None:
        """Count one target, see MaskSums.of."""
        self += MaskSums.of(one, extra=extra)

    def __iadd__(self, other: "MaskSums") -> "MaskSums":
        """The sums of the other set of targets are added to these."""
        mine, theirs = vars(self), vars(other)
        hits = tuple(map(add, self.hits, other.hits))
        for name in _WHOLE:
            mine[name] += theirs[name]
        self.hits = hits
        return self

    def __add__(self, other: "MaskSums") -> "MaskSums":
        """The sums of both sets of targets."""
        both = MaskSums()
        both += self
        both += other
        return both

    def compute(self) -> dict[str, Any]:
        """Every figure by name, 0..1, and how many targets `n` they are over; all None when there are none.

        `giou` is the mean of per-target IoU, `ciou` the IoU of all pixels together; `precision`, `recall` and
        `f1` come as `_micro` and `_macro`; `prec_at` holds the share of targets whose IoU is at least X;
        `empty_accuracy` the share of the targets with an empty true mask on which nothing was marked, None when
        there is no such target. `n_empty` of the `n` have an empty true mask, `n_extra` stand for a mask too many.
        """
        fractions = Counts(self.tp, self.fp, self.fn, self.tn).fractions
        micro = {name: self._known(a / b) for name, (a, b) in fractions.items()}
        result: dict[str, Any] = {"n": self.targets, "giou": self._mean(self.iou), "ciou": micro["iou"]}
        for name in ("precision", "recall", "f1"):
            result[f"{name}_micro"] = micro[name]
            result[f"{name}_macro"] = self._mean(getattr(self, name))
        result["prec_at"] = {
            str(threshold): self._known(count / max(self.targets, 1))
            for threshold, count in zip(THRESHOLDS, self.hits, strict=True)
        }
        result["empty_accuracy"] = self.empty_right / self.empty if self.empty else None
        return result | {"n_empty": self.empty, "n_extra": self.extra}

    def _known(self, value: float) -> float | None:
        return value if self.targets else None

    def _mean(self, total: int) -> float | None:
        return total / (UNIT * self.targets) if self.targets else None


_WHOLE = tuple(one.name for one in fields(MaskSums) if one.name != "hits")


@dataclass
class Strata:
    """The same sums over all targets and over each stratum of any number of groupings."""

    total: MaskSums = field(default_factory=MaskSums)
    groups: dict[str, dict[str, MaskSums]] = field(default_factory=dict)
    """Grouping, such as `by_size`, to stratum, such as `fine`, to its sums."""

    def update(self, one: Counts, labels: Mapping[str, str], *, extra: bool = False) -> None:
        """Count one target, see MaskSums.of; `labels` names its stratum in each grouping."""
        sums = MaskSums.of(one, extra=extra)
        self.total += sums
        for grouping, stratum in labels.items():
            mine = self.groups.setdefault(grouping, {}).setdefault(stratum, MaskSums())
            mine += sums

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
