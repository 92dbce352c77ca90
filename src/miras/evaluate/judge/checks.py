"""Checks of a judge: whether the order of its rubric, mere length or nothing at all moves its scores.

Each check asks once more about a seeded sample of the conversations, changed in a known way, and compares.

    order     the dimensions in the three other orders of a turn-around    3 requests a conversation
    padding   the answers padded by phrases that say nothing               1 request
    planted   the true answers, and three versions of them that are worse  4 requests
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from miras.evaluate.judge.asking import Marks, Wanted
from miras.evaluate.judge.figures import mean, spearman
from miras.evaluate.judge.forms import DIMENSIONS
from miras.evaluate.judge.scores import OVERALL, Scored
from miras.evaluate.judge.spoilt import SPOILT, padded
from miras.evaluate.judge.talks import Talk

__all__ = ["Check", "OrderCheck", "PaddingCheck", "PlantedCheck", "drawn", "length_figures"]

_LETTERS = tuple(DIMENSIONS)


@dataclass(frozen=True)
class Check(ABC):
    """Requests to make, and what follows from their answers."""

    talks: tuple[Talk, ...]
    seed: int = 0

    @abstractmethod
    def wanted(self) -> list[Wanted]:
        """What is asked."""

    @abstractmethod
    def report(self, answers: Sequence[Marks | None], plain: Mapping[str, Scored]) -> dict[str, Any]:
        """The figures of the check; `plain` holds the usual scores by the id of the conversation."""


def drawn(talks: Sequence[Talk], count: int, seed: int, check: str) -> tuple[Talk, ...]:
    """So many of the conversations, drawn by the seed and the name of the check."""
    return tuple(random.Random(f"{seed} {check}").sample(list(talks), min(count, len(talks))))


class OrderCheck(Check):
    """Does a dimension score higher because it is named first?"""

    def wanted(self) -> list[Wanted]:
        """Three requests a conversation; with the usual order each dimension has then stood at each place."""
        return [
            Wanted(talk, self.seed, _LETTERS[shift:] + _LETTERS[:shift])
            for talk in self.talks
            for shift in range(1, len(_LETTERS))
        ]

    def report(self, answers: Sequence[Marks | None], plain: Mapping[str, Scored]) -> dict[str, Any]:
        """`by_place`: how far a score at that place lies above the mean of the same score over all places."""
        turns = len(_LETTERS) - 1
        effects: list[np.ndarray | None] = []
        for number, talk in enumerate(self.talks):
            usual = {letter: plain[talk.id].mean(letter) for letter in _LETTERS}
            turned = answers[number * turns : (number + 1) * turns]
            effects.append(_place_effect(usual, turned))
        groups = [talk.group for talk in self.talks]
        places = [
            mean([None if one is None else float(one[place]) for one in effects], groups, self.seed)
            for place in range(len(_LETTERS))
        ]
        return {
            "requests": len(answers),
            "by_place": [figure.to_json() for figure in places],
            "biased": places[0].differs,
        }


def _place_effect(usual: Mapping[str, float | None], turned: Sequence[Marks | None]) -> np.ndarray | None:
    """(4,) by place; None where a score is missing."""
    if None in usual.values() or None in turned:
        return None
    rows = [usual, *(one.marks for one in turned if one is not None)]
    scores = np.array([[row[letter] for row in rows] for letter in _LETTERS], dtype=np.float64)  # (letter, shift)
    letters, shifts = np.indices(scores.shape)
    at_place = np.empty_like(scores)
    at_place[letters, (letters - shifts) % len(_LETTERS)] = scores
    effect: np.ndarray = (at_place - at_place.mean(axis=1, keepdims=True)).mean(axis=0)
    return effect


class PaddingCheck(Check):
    """Does a conversation score higher when its answers are padded by phrases that say nothing?"""

    def wanted(self) -> list[Wanted]:
        """One request a conversation."""
        return [Wanted(padded(talk, random.Random(f"{self.seed} {talk.id}")), self.seed) for talk in self.talks]

    def report(self, answers: Sequence[Marks | None], plain: Mapping[str, Scored]) -> dict[str, Any]:
        """`rise`: padded less plain, the mean of the four dimensions."""
        rises = [
            None if answer is None or (usual := plain[talk.id].mean(OVERALL)) is None else answer.overall - usual
            for talk, answer in zip(self.talks, answers, strict=True)
        ]
        rise = mean(rises, [talk.group for talk in self.talks], self.seed)
        before, after = (sum(talk.words for talk in talks) for talks in (self.talks, [w.talk for w in self.wanted()]))
        return {
            "requests": len(answers),
            "rise": rise.to_json(),
            "times_longer": after / before if before else None,
            "biased": None if rise.low is None else rise.low > 0,
        }


class PlantedCheck(Check):
    """Does it score true conversations above spoilt ones? `talks` hold the true answers."""

    def _versions(self) -> list[dict[str, Talk | None]]:
        def spoilt(talk: Talk, name: str) -> Talk | None:
            return SPOILT[name](talk, self.talks, random.Random(f"{self.seed} {name} {talk.id}"))

        return [{"true": talk, **{name: spoilt(talk, name) for name in SPOILT}} for talk in self.talks]

    def wanted(self) -> list[Wanted]:
        """One request for each version of a conversation that there can be, four at most."""
        return [Wanted(talk, self.seed) for one in self._versions() for talk in one.values() if talk is not None]

    def report(self, answers: Sequence[Marks | None], plain: Mapping[str, Scored]) -> dict[str, Any]:
        """For each way of spoiling: how often the true one scores higher, ties, and by how much on the mean."""
        given = iter(answers)
        rows = [{name: None if talk is None else next(given) for name, talk in one.items()} for one in self._versions()]
        spoilt = {name: self._against(rows, name) for name in SPOILT}
        known = [one["above"]["low"] for one in spoilt.values() if one["above"]["low"] is not None]
        return {"requests": len(answers), **spoilt, "told_apart": all(low > 0 for low in known) if known else None}

    def _against(self, rows: Sequence[Mapping[str, Marks | None]], name: str) -> dict[str, Any]:
        above = [
            None if (true := row["true"]) is None or (other := row[name]) is None else true.overall - other.overall
            for row in rows
        ]
        groups = [talk.group for talk in self.talks]
        higher = mean([None if one is None else float(one > 0) for one in above], groups, self.seed)
        return {
            "higher": higher.to_json(),
            "ties": sum(one == 0 for one in above),
            "above": mean(above, groups, self.seed).to_json(),
        }


def length_figures(scored: Sequence[Scored], seed: int = 0) -> dict[str, Any]:
    """How the mean of the four dimensions goes with the number of words of the answers, by Spearman's rank correlation.

    It asks nothing. Longer answers may well be better ones: the padding check tells a bias from that.
    """
    words = [float(one.talk.words) for one in scored]
    overall = [one.mean(OVERALL) for one in scored]
    groups = [one.talk.group for one in scored]
    return {"words": mean(words, groups, seed).to_json(), "spearman": spearman(words, overall, groups, seed).to_json()}
