"""Conversations changed on purpose: padded by empty phrases, which should not move a score, or spoilt, which should."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from miras.evaluate.judge.talks import Talk

__all__ = ["SPOILT", "emptied", "foreign", "padded", "shuffled"]

_PHRASES = (
    "That is a very good question, and it is worth taking a moment over it.",
    "There is a great deal that could be said about this.",
    "Of course, it is important to look at this carefully and from every side.",
    "As always, all of the details matter here.",
    "I hope that this is helpful and gives a clear and complete picture.",
    "In summary, this is what can be said about it, all things considered.",
    "Please let me know if there is anything else that you would like to know.",
    "It should go without saying that this deserves our full attention.",
)


def padded(talk: Talk, rng: random.Random) -> Talk:
    """Every answer between three phrases that say nothing; a missing answer stays missing."""

    def pad(answer: str) -> str:
        before, *after = rng.sample(_PHRASES, 3)
        return " ".join([before, answer, *after])

    return replace(talk, rounds=tuple((question, pad(answer) if answer else "") for question, answer in talk.rounds))


def shuffled(talk: Talk, others: Sequence[Talk], rng: random.Random) -> Talk | None:
    """Its rounds in another order; None where there is but one, or all are the same."""
    orders = list(dict.fromkeys(tuple(rng.sample(talk.rounds, len(talk.rounds))) for _ in range(20)))
    other = next((order for order in orders if order != talk.rounds), None)
    return None if other is None else replace(talk, rounds=other)


def foreign(talk: Talk, others: Sequence[Talk], rng: random.Random) -> Talk | None:
    """The answers of a conversation about another image; None where there is none."""
    strangers = [one for one in others if one.group != talk.group]
    if not strangers:
        return None
    answers = rng.choice(strangers).answers
    rounds = [(question, answers[place % len(answers)]) for place, (question, _) in enumerate(talk.rounds)]
    return replace(talk, rounds=tuple(rounds))


def emptied(talk: Talk, others: Sequence[Talk], rng: random.Random) -> Talk | None:
    """No answer to any question."""
    return replace(talk, rounds=tuple((question, "") for question, _ in talk.rounds))


SPOILT: Mapping[str, Callable[[Talk, Sequence[Talk], random.Random], Talk | None]] = {
    "shuffled": shuffled,
    "foreign": foreign,
    "emptied": emptied,
}
"""Name → what makes a conversation worse, given all others to take answers from."""
