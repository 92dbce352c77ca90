"""A paired permutation test between two models, over whole images, that streams.

If it did not matter which model answered, the two could change places in any image. In each replicate a coin is thrown
for every unit, and where it falls so, the sums of both models for that unit change places; then each figure's
difference is computed from the sums. p is the share of replicates, the observed one among them, in which the
difference is at least as large as observed, in either direction::

    p = (1 + #{|d*| >= |d|}) / (1 + replicates)

The coin depends on the seed, the unit's name and the replicate alone, as in `miras.metrics.resample`: each model is
scored by itself, in shards if need be, and memory does not grow with the targets.
"""

from typing import Any

import numpy as np

from miras.metrics.resample import EVERYTHING, Replicas, nested, paired_figures

__all__ = ["Permutations", "p_of", "p_values", "swapped"]

_CLOSE = 1e-9
"""Differences this close count as equal: per-target figures are rounded to 2**-32."""


class Permutations(Replicas):
    """For each throw of coins the sums of the units that change places."""

    def weights(self, unit: str) -> np.ndarray:
        """(replicates,) 1 where the unit changes places, else 0."""
        return (self.words(unit) & 1).astype(np.int64)


def p_values(first: Permutations, second: Permutations) -> dict[str, Any]:
    """p of each figure, two-sided, where `Strata.compute` has the figure; None where a model lacks the figure.

    Raises DataError when the two were not scored on the same targets, ConfigError when not by the same coins.
    """
    one, other = paired_figures(_swapped(first, second), _swapped(second, first))
    apart = {place: {name: one[place][name] - other[place][name] for name in one[place]} for place in one}
    return nested(apart, p_of)


def _swapped(mine: Permutations, theirs: Permutations) -> Permutations:
    """The sums of a model once the units that change places have done so; the observed sums stay first."""
    mine.check_alike(theirs)
    sums = {}
    for place in {*mine.sums, *theirs.sums}:
        own, others = (one.sums.get(place, 0 * one.sums[EVERYTHING]) for one in (mine, theirs))
        sums[place] = swapped(own, others)
    return Permutations(mine.replicates, mine.seed, sums, mine.units)


def swapped(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """(1 + replicates, columns) observed sums and those of the units that change places → sums once they have."""
    return np.concatenate([mine[:1], mine[:1] - mine[1:] + theirs[1:]])


def p_of(apart: np.ndarray) -> float | None:
    """(1 + replicates,) differences, the observed one first → p. A replicate without a figure counts as a large one."""
    observed, others = abs(apart[0]), np.abs(apart[1:])
    if np.isnan(observed):
        return None
    return float((1 + np.count_nonzero(~(others < observed - _CLOSE))) / (1 + len(others)))
