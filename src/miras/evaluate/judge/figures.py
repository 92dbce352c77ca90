"""Figures of a judge: means, shares and rank correlations with intervals, and kappa between those who score.

An interval holds 95 % of bootstrap draws of whole groups (images), since conversations about one image are alike; they
are those of the mask and text figures (`miras.metrics.resample`), so that two judged runs are drawn alike. What is
not known (None) is left out and counted. Over nothing every figure is None; over one group there is no interval.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from miras.metrics.resample import Resamples, percentiles

__all__ = ["Figure", "band", "kappa", "mean", "spearman"]

_DRAWS = 2000
_LEVEL = 0.95
_BANDS = (1.5, 3.5)
"""Scores between the rubric's bands, 0-1, 2-3 and 4-5, count to the nearer one."""


@dataclass(frozen=True)
class Figure:
    """A figure, its interval, and over how many it is."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    missing: int = 0
    """How many were left out because they are not known."""

    @property
    def differs(self) -> bool | None:
        """Whether 0 lies outside the interval; None where there is none."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def mean(values: Sequence[float | None], groups: Sequence[str], seed: int = 0) -> Figure:
    """The mean of the values, or of a yes and no as 1 and 0 a share; `groups` holds each value's group."""
    known = [(value, group) for value, group in zip(values, groups, strict=True) if value is not None]
    array = np.array([value for value, _ in known], dtype=np.float64)
    times = _drawn([group for _, group in known], seed)  # (draws, n)
    value = float(array.mean()) if len(array) else None
    return _figure(value, times @ array / times.sum(axis=1), len(values) - len(array), len(array))


def spearman(
    first: Sequence[float | None], second: Sequence[float | None], groups: Sequence[str], seed: int = 0
) -> Figure:
    """Spearman's rank correlation, over the pairs of which both are known; None where one of the two never changes."""
    known = [
        (one, other, group)
        for one, other, group in zip(first, second, groups, strict=True)
        if one is not None and other is not None
    ]
    pairs = np.array([(one, other) for one, other, _ in known], dtype=np.float64).reshape(-1, 2)
    [value] = _rank_correlations(pairs, np.ones((1, len(pairs)), dtype=np.int64))
    draws = _rank_correlations(pairs, _drawn([group for _, _, group in known], seed))
    return _figure(None if np.isnan(value) else float(value), draws, len(first) - len(pairs), len(pairs))


def _rank_correlations(pairs: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n, 2) pairs, (draws, n) how often each is drawn → (draws,), NaN where one side is always the same."""
    total = times.sum(axis=1, keepdims=True)
    centred = []
    for values in pairs.T:
        _, place = np.unique(values, return_inverse=True)
        counts = np.stack([np.bincount(place, row, minlength=1) for row in times]) if len(times) else times
        ranks = (counts.cumsum(axis=1) - (counts - 1) / 2)[:, place]  # what is equal shares the middle of its ranks
        with np.errstate(invalid="ignore"):
            centred.append(ranks - (times * ranks).sum(axis=1, keepdims=True) / total)
    first, second = centred
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (times * first**2).sum(axis=1) * (times * second**2).sum(axis=1)
        found: np.ndarray = (times * first * second).sum(axis=1) / np.sqrt(spread)
    return found


def _drawn(groups: Sequence[str], seed: int) -> np.ndarray:
    """(draws, n) how often each value is drawn, its whole group at once; no draws for fewer than two groups."""
    if len(set(groups)) < 2:
        return np.zeros((0, len(groups)), dtype=np.int64)
    draw = Resamples(_DRAWS, seed)
    times = np.stack([draw.weights(group) for group in groups], axis=1)
    drawn: np.ndarray = times[times.any(axis=1)]  # of few groups a draw may hold none
    return drawn


def _figure(value: float | None, draws: np.ndarray, missing: int, n: int) -> Figure:
    low, high = (None if value is None else percentiles(draws, _LEVEL)) or (None, None)
    return Figure(value, low, high, n, missing)


def band(score: float) -> int:
    """The band of a score: 0 for 0-1, 1 for 2-3, 2 for 4-5."""
    return sum(score >= edge for edge in _BANDS)


def kappa(first: Sequence[int], second: Sequence[int], *, classes: int = 3, quadratic: bool = False) -> float | None:
    """Cohen's kappa between two who put the same things into classes 0, 1, …; None where it is not defined.

    `quadratic` counts a difference by its square, so that neighbours are less apart (Cohen, 1968). It is not defined
    over nothing, nor where both say one and the same class throughout.
    """
    table = np.zeros((classes, classes))
    np.add.at(table, (np.asarray(first, dtype=int), np.asarray(second, dtype=int)), 1)
    away = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes)))
    weights = away**2 if quadratic else (away > 0).astype(int)
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(1.0, table.sum())
    expected = float((weights * chance).sum())
    return None if expected == 0 else 1 - float((weights * table).sum()) / expected
