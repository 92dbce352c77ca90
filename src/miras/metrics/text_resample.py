"""Intervals of the text figures, and two models, by the same draw of units as for masks (`miras.metrics.resample`).

Dist counts distinct n-grams, whose sets do not add up: it has neither interval nor p.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from miras.metrics.paired import Permutations, p_of, swapped
from miras.metrics.resample import Difference, Replicas, Resamples, percentiles
from miras.metrics.text import COLUMNS, figures

__all__ = ["TextReplicas", "TextResamples", "text_difference", "text_p_values"]


@dataclass(eq=False)
class TextReplicas:
    """Sums of `pair_statistics` in many replicates, in each of which a unit has the weight that `draw` gives it."""

    draw: Replicas
    """Its own sums are not looked at."""
    sums: np.ndarray = field(init=False)
    """(1 + replicates, columns) int64; the first are the sums as they are."""

    def __post_init__(self) -> None:
        self.sums = np.zeros((1 + self.draw.replicates, len(COLUMNS)), dtype=np.int64)

    def update(self, row: np.ndarray, unit: str) -> None:
        """Count the numbers (columns,) of one pair, or the added ones of several, of a unit."""
        self.sums += np.concatenate([[1], self.draw.weights(unit)])[:, None] * row
        self.draw.count_unit(unit)

    def __add__(self, other: Self) -> Self:
        """The sums of both sets of answers. Raises ConfigError when they were not drawn alike."""
        both = type(self)(self.draw + other.draw)
        both.sums = self.sums + other.sums
        return both


@dataclass(eq=False)
class TextResamples(TextReplicas):
    """Replicates of the Poisson bootstrap."""

    draw: Replicas = field(default_factory=Resamples)
    """How often a unit is drawn; its own sums are not looked at."""

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float] | None]:
        """The percentile interval of each of `figures`; None where no replicate has the figure."""
        return {name: percentiles(values[1:], level) for name, values in _figures(self.sums).items()}


def text_difference(first: TextResamples, second: TextResamples, level: float = 0.95) -> dict[str, Difference | None]:
    """First less second of each of `figures`, with its interval, over the same units drawn alike.

    Raises DataError when the two do not answer the same, ConfigError when they were not drawn alike.
    """
    first.draw.check_paired(second.draw)
    return {name: Difference.of(values, level) for name, values in _apart(first.sums, second.sums).items()}


def text_p_values(first: TextReplicas, second: TextReplicas) -> dict[str, float | None]:
    """Two-sided p of each of `figures`, both drawn by `Permutations` (see `miras.metrics.paired`).

    Raises DataError when the two do not answer the same, ConfigError when they were not drawn by the same coins.
    """
    for one in (first, second):
        one.draw.check_alike(Permutations(one.draw.replicates, one.draw.seed))
    first.draw.check_paired(second.draw)
    apart = _apart(swapped(first.sums, second.sums), swapped(second.sums, first.sums))
    return {name: p_of(values) for name, values in apart.items()}


def _apart(mine: np.ndarray, theirs: np.ndarray) -> dict[str, np.ndarray]:
    ours, others = _figures(mine), _figures(theirs)
    return {name: ours[name] - others[name] for name in ours}


def _figures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """(n, columns) sums → (n,) of each of `figures`, NaN where there is none."""
    rows = [figures(row) for row in sums]
    return {name: np.array([one[name] for one in rows], dtype=np.float64) for name in rows[0]}
