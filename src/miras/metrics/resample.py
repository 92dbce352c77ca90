"""Intervals that stream: the Poisson bootstrap over whole images.

Targets of one image are alike, so whole images, or any other units that the caller names, are drawn. In each replicate
a unit counts as often as it is drawn, which is Poisson with mean 1: what drawing with replacement comes to where there
are many units (Chamandy et al. 2012). The draw depends on the seed, the unit's name and the replicate, and on nothing
else: so the sums of shards are to the bit those of the whole in any order, memory does not grow with the targets, and
two models that are scored on the same units are drawn alike, which makes the interval of their difference a paired one.

A figure that no replicate has is None. Replicates that lack a figure, because no unit that has it was drawn, are left
out of its interval.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np

from miras.errors import ConfigError, DataError
from miras.metrics.masks import FIGURES, THRESHOLDS, UNIT, Counts, MaskSums

__all__ = ["EVERYTHING", "Difference", "Replicas", "Resamples", "difference", "nested", "paired_figures", "percentiles"]

_COLUMNS = tuple(one.name for one in fields(MaskSums) if one.name != "hits")
_SHARES = [_COLUMNS.index(name) for name in FIGURES]
_COARSE = UNIT // 2**32
"""Per-target figures are kept in units of 2**-32 here, so that the sums of two thousand million targets fit."""
EVERYTHING = ("", "")
"""Where the sums over all targets are kept."""
_POISSON = np.floor(np.cumsum([math.exp(-1) / math.factorial(k) for k in range(13)]) * 2**32)
"""Words of 32 bits below the first are no draw, below the second one, and so on."""


@lru_cache(maxsize=64)  # the targets of an image mostly come one after the other
def _words(name: str, replicates: int) -> np.ndarray:
    """(replicates,) random words of 32 bits, the same on every machine and in every version of numpy."""
    return np.frombuffer(hashlib.shake_256(name.encode()).digest(4 * replicates), dtype="<u4")


@dataclass(eq=False)
class Replicas:
    """The sums of `MaskSums` in many replicates, in each of which a unit has a weight of its own.

    Subclasses say which weight. Before the replicates stand the sums as they are, each weight 1.
    """

    replicates: int = 1000
    seed: int = 0
    sums: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    """(1 + replicates, columns) int64 for each grouping and stratum."""
    units: int = 0
    """Sum of the hashes of the targets' units, modulo 2**64: the same for models scored on the same targets."""

    def __post_init__(self) -> None:
        if self.replicates < 1:
            raise ConfigError(f"at least 1 replicate is needed, got {self.replicates}; 1000 is usual")

    def weights(self, unit: str) -> np.ndarray:
        """(replicates,) whole numbers: the weight of the unit in each replicate."""
        raise NotImplementedError

    def words(self, unit: str) -> np.ndarray:
        """(replicates,) uint32 from which the weights are made."""
        return _words(f"{type(self).__name__}\0{self.seed}\0{unit}", self.replicates)

    def update(self, one: Counts, unit: str, labels: Mapping[str, str] | None = None, *, extra: bool = False) -> None:
        """Count one target of a unit; `labels` names its stratum in each grouping, see `miras.metrics.masks.Strata`."""
        sums = MaskSums.of(one, extra=extra)
        row = np.array([*(getattr(sums, name) for name in _COLUMNS), *sums.hits], dtype=np.int64)
        row[_SHARES] = (row[_SHARES] + _COARSE // 2) // _COARSE
        weighted = np.concatenate([[1], self.weights(unit)])[:, None] * row
        for place in (EVERYTHING, *(labels or {}).items()):
            if place in self.sums:
                self.sums[place] += weighted
            else:
                self.sums[place] = weighted.copy()
        if not extra:
            self.count_unit(unit)

    def count_unit(self, unit: str) -> None:
        """Note that one more target, or answer, is of that unit."""
        self.units = (self.units + int.from_bytes(hashlib.blake2b(unit.encode(), digest_size=8).digest())) % 2**64

    def __add__(self, other: Self) -> Self:
        """The sums of both sets of targets; a stratum that only one of them has is kept."""
        self.check_alike(other)
        sums = {place: one.copy() for place, one in self.sums.items()}
        for place, one in other.sums.items():
            sums[place] = sums[place] + one if place in sums else one.copy()
        return type(self)(self.replicates, self.seed, sums, (self.units + other.units) % 2**64)

    def check_paired(self, other: "Replicas") -> None:
        """Raise DataError when the two were not scored on the same targets, ConfigError when not drawn alike."""
        self.check_alike(other)
        if self.units != other.units:
            raise DataError(
                "two models are compared on the same targets of the same units, got others; score both anew"
            )

    def check_alike(self, other: "Replicas") -> None:
        """Raise ConfigError unless both have replicates of one kind, number and seed."""
        mine, theirs = ((type(one).__name__, one.replicates, one.seed) for one in (self, other))
        if mine != theirs:
            raise ConfigError(
                f"replicates of one kind, number and seed are needed, got {mine} and {theirs}; redraw one"
            )

    def figures(self) -> dict[tuple[str, str], dict[str, np.ndarray]]:
        """Of each stratum each figure's (1 + replicates,) values, NaN where there is none; the first is the figure."""
        return {place: _figures(self.sums[place]) for place in sorted(self.sums)}


def _figures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """(n, columns) sums → (n,) of each figure of `MaskSums.compute`, NaN for None; numbers of targets are left out.

    The shares of `prec_at` are called `prec_at@0.5` and so on; `nested` lays them out as `compute` does.
    """
    column = dict(zip(_COLUMNS, sums.T.astype(np.float64), strict=False))
    targets, tp, fp, fn = (column[name] for name in ("targets", "tp", "fp", "fn"))
    known = np.where(targets, 1, np.nan)
    counted = np.maximum(targets, 1)

    def pooled(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return known * np.where(tp + fp + fn, part / np.maximum(whole, 1), 1)

    figures = {"ciou": pooled(tp, tp + fp + fn), "precision_micro": pooled(tp, tp + fp)}
    figures |= {"recall_micro": pooled(tp, tp + fn), "f1_micro": pooled(2 * tp, 2 * tp + fp + fn)}
    for name in ("iou", "precision", "recall", "f1"):
        figures["giou" if name == "iou" else f"{name}_macro"] = known * column[name] / (2**32 * counted)
    for threshold, hits in zip(THRESHOLDS, sums.T[len(_COLUMNS) :], strict=True):
        figures[f"prec_at@{threshold}"] = known * hits / counted
    right, empty = column["empty_right"], column["empty"]
    figures["empty_accuracy"] = np.where(empty, right / np.maximum(empty, 1), np.nan)
    return figures


class Resamples(Replicas):
    """Replicates of the Poisson bootstrap."""

    def weights(self, unit: str) -> np.ndarray:
        """(replicates,) how often the unit is drawn in each replicate."""
        return _POISSON.searchsorted(self.words(unit), side="right")

    def intervals(self, level: float = 0.95) -> dict[str, Any]:
        """The percentile interval of each figure, as (low, high) where `Strata.compute` has the figure."""
        return nested(self.figures(), lambda values: percentiles(values[1:], level))


class Difference(NamedTuple):
    """How much more the first of two models has of a figure."""

    value: float
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""

    @classmethod
    def of(cls, values: np.ndarray, level: float) -> "Difference | None":
        """(1 + replicates,) differences, the observed one first; None where a model lacks the figure."""
        interval = percentiles(values[1:], level)
        return None if interval is None or np.isnan(values[0]) else cls(float(values[0]), *interval)


def difference(first: Resamples, second: Resamples, level: float = 0.95) -> dict[str, Any]:
    """First less second of each figure, with its interval, over the same units drawn alike.

    Raises DataError when the two were not scored on the same targets, ConfigError when they were not drawn alike.
    """
    mine, theirs = paired_figures(first, second)
    apart = {place: {name: mine[place][name] - theirs[place][name] for name in mine[place]} for place in mine}
    return nested(apart, lambda values: Difference.of(values, level))


def paired_figures(first: Replicas, second: Replicas) -> tuple[dict[tuple[str, str], dict[str, np.ndarray]], ...]:
    """The figures of both, of the strata that both have.

    Raises DataError when the two were not scored on the same targets, ConfigError when they were not drawn alike.
    """
    first.check_paired(second)
    mine, theirs = first.figures(), second.figures()
    return tuple({place: one[place] for place in mine if place in theirs} for one in (mine, theirs))


def percentiles(values: np.ndarray, level: float) -> tuple[float, float] | None:
    """(n,) values → the interval that holds `level` of them, NaN left out; None where all are NaN."""
    if not 0 < level < 1:
        raise ConfigError(f"the level of an interval lies between 0 and 1, got {level}; 0.95 is usual")
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def nested(
    figures: Mapping[tuple[str, str], Mapping[str, np.ndarray]], made: Callable[[np.ndarray], Any]
) -> dict[str, Any]:
    """What is made of the values of each figure, laid out as by `Strata.compute`; {} over no targets."""
    result: dict[str, Any] = {}
    for (grouping, stratum), values in figures.items():
        place = result.setdefault(grouping, {}).setdefault(stratum, {}) if grouping else result
        for name, value in values.items():
            figure, _, threshold = name.partition("@")
            if threshold:
                place.setdefault(figure, {})[threshold] = made(value)
            else:
                place[figure] = made(value)
    return result
