"""Dist-1 and Dist-2: how varied the words of a set of answers are (Li et al. 2016).

Distinct n-grams over all n-grams, counted over the whole set. Sets of answers merge by uniting what is distinct, so
the figures have no per-answer values; a larger set has lower figures, and only sets of about one size compare.
"""

from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Distinct"]


@dataclass
class Distinct:
    """Distinct words and pairs of neighbouring words of a set of answers, and how many there are of either."""

    words: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    all_words: int = 0
    all_pairs: int = 0

    def update(self, answer: str) -> None:
        """Count one answer: lower-cased, cut at white space; no pair reaches over the end of an answer."""
        words = answer.lower().split()
        pairs = list(pairwise(words))
        self.words.update(words)
        self.pairs.update(pairs)
        self.all_words += len(words)
        self.all_pairs += len(pairs)

    def __add__(self, other: "Distinct") -> "Distinct":
        """The counts of both sets of answers."""
        return Distinct(
            self.words | other.words,
            self.pairs | other.pairs,
            self.all_words + other.all_words,
            self.all_pairs + other.all_pairs,
        )

    def compute(self) -> dict[str, float | None]:
        """`dist_1` and `dist_2`, distinct over all, 0..1; None where there is nothing to count."""
        return {
            "dist_1": len(self.words) / self.all_words if self.all_words else None,
            "dist_2": len(self.pairs) / self.all_pairs if self.all_pairs else None,
        }
