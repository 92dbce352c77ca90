"""What the repeats of a judge come to: mean and spread of each conversation, and means over all (paper, table 4)."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from miras.evaluate.judge.asking import Marks
from miras.evaluate.judge.figures import mean
from miras.evaluate.judge.forms import DIMENSIONS, MOST
from miras.evaluate.judge.talks import Talk

__all__ = ["COLUMNS", "OVERALL", "Scored", "score_table"]

OVERALL = "overall"
"""The mean of the four dimensions."""
COLUMNS = (*DIMENSIONS, OVERALL)


@dataclass(frozen=True)
class Scored:
    """One conversation, and what each repeat made of it."""

    talk: Talk
    repeats: tuple[Marks | None, ...]
    """None where no reply could be used."""

    def mean(self, column: str) -> float | None:
        """Mean over the repeats that there are; None where there is none."""
        return statistics.fmean(values) if (values := self._values(column)) else None

    def spread(self, column: str) -> float | None:
        """Standard deviation over the repeats; None for fewer than two."""
        return statistics.stdev(values) if len(values := self._values(column)) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Its means, their spread, and every repeat."""
        return {
            "id": self.talk.id,
            "group": self.talk.group,
            "words": self.talk.words,
            **{column: self.mean(column) for column in COLUMNS},
            "spread": {column: self.spread(column) for column in COLUMNS},
            "repeats": [None if one is None else {**one.marks, "summary": one.summary} for one in self.repeats],
        }

    def _values(self, column: str) -> list[float]:
        known = [one for one in self.repeats if one is not None]
        return [one.overall if column == OVERALL else one.marks[column] for one in known]


def score_table(scored: Sequence[Scored], seed: int = 0) -> dict[str, Any]:
    """Each dimension and their mean, over all conversations.

    `spread` is the mean over conversations of the standard deviation over their repeats; `at_top` the share of
    conversations whose every score is 5, which a judge gives all of them when it does not judge.
    """
    groups = [one.talk.group for one in scored]
    table: dict[str, Any] = {}
    for column in COLUMNS:
        spreads = [spread for one in scored if (spread := one.spread(column)) is not None]
        spread = statistics.fmean(spreads) if spreads else None
        table[column] = {**mean([one.mean(column) for one in scored], groups, seed).to_json(), "spread": spread}
    overall = [one.mean(OVERALL) for one in scored]
    at_top = mean([None if one is None else float(one == MOST) for one in overall], groups, seed)
    return {**table, "at_top": at_top.value}
