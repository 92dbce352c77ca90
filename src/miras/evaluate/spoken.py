"""Replies beside the true ones as people read them, each measured once, however many figures are made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from miras import tokens
from miras.evaluate.cases import Case
from miras.metrics.bertscore import BertScore
from miras.metrics.text import pair_statistics
from miras.types import Prediction

__all__ = ["Spoken", "measure"]


@dataclass(frozen=True)
class Spoken:
    """One reply and what it has in common with the true one."""

    text: str
    """Special tokens taken out."""
    numbers: np.ndarray
    """(columns,) of `miras.metrics.text.pair_statistics`."""
    unit: str
    """See `Case.unit`."""
    last: bool
    """Whether it ends its conversation."""


def measure(
    cases: Sequence[Case], predictions: Sequence[Prediction], bertscore: BertScore | None = None
) -> list[Spoken]:
    """Every reply in the order of the cases, which the predictions share; with its BERTScore where one is given."""
    asked = [
        (case.unit, place == len(answered.turns), tokens.strip(true), tokens.strip(said.text))
        for case, answered in zip(cases, predictions, strict=True)
        for place, (true, said) in enumerate(zip(case.dialogue.answers, answered.turns, strict=True), 1)
    ]
    known = repeat(None) if bertscore is None else bertscore.scores([(true, said) for _, _, true, said in asked])
    return [
        Spoken(said, pair_statistics(true, said, bertscore=score), unit, last)
        for (unit, last, true, said), score in zip(asked, known, strict=False)
    ]
