"""Intervals of the text figures, by the same draw of units as those of the mask figures (`miras.metrics.resample`).

Dist counts distinct n-grams, whose sets do not add up, and has no interval.
"""

from dataclasses import dataclass, field

import numpy as np

from miras.metrics.resample import Resamples, percentiles
from miras.metrics.text import COLUMNS, figures

__all__ = ["TextResamples"]


@dataclass(eq=False)
class TextResamples:
    """Sums of `pair_statistics` in many replicates, in each of which a unit counts as often as it is drawn."""

    draw: Resamples = field(default_factory=Resamples)
    """What says how often a unit is drawn; its own sums are not looked at."""
    sums: np.ndarray = field(init=False)
    """(replicates, columns) int64."""

    def __post_init__(self) -> None:
        self.sums = np.zeros((self.draw.replicates, len(COLUMNS)), dtype=np.int64)

    def update(self, row: np.ndarray, unit: str) -> None:
        """Count the numbers (columns,) of one pair, or the added ones of several, of a unit."""
        self.sums += self.draw.weights(unit)[:, None] * row

    def __add__(self, other: "TextResamples") -> "TextResamples":
        """The sums of both sets of answers. Raises ConfigError when they were not drawn alike."""
        self.draw.check_alike(other.draw)
        both = TextResamples(Resamples(self.draw.replicates, self.draw.seed))
        both.sums = self.sums + other.sums
        return both

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float] | None]:
        """The percentile interval of each of `figures`; None where no replicate has the figure."""
        drawn = [figures(row) for row in self.sums]
        names = drawn[0]
        return {name: percentiles(np.array([one[name] for one in drawn], dtype=np.float64), level) for name in names}
