"""Questions with short answers about objects, colours and places, balanced so that guessing does not pay."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from miras.data import dialogues
from miras.data.photos import Photo
from miras.types import Dialogue, Turn

__all__ = ["CAPS", "Asked", "answer_figures", "balanced_questions"]

CAPS: dict[dialogues.QuestionKind, int] = {"objects": 60, "colors": 15, "places": 15}
"""Kind of question to the most questions per true answer."""

_ROUNDS = 8
"""How often each photo is asked for a question of each kind before balancing."""


@dataclass(frozen=True)
class Asked:
    """One question about one photo."""

    photo: Photo
    question: dialogues.Question

    @property
    def dialogue(self) -> Dialogue:
        """The question and its true answer."""
        turns = (Turn("user", self.question.text), Turn("assistant", self.question.reply))
        return Dialogue(turns, image=self.photo.name, kind="question")


def balanced_questions(
    photos: Mapping[int, Photo], vocabulary: dialogues.Vocabulary, *, seed: int, share: float = 1.0
) -> list[Asked]:
    """Equally many questions per true answer within each kind, as far as the photos allow.

    `photos` are keyed by their place in the split, which seeds their questions. No answer gets more than its
    kind's cap, times `share`; rare answers get all that there are. A photo gives each answer at most once.
    """
    chosen: list[Asked] = []
    for number, (kind, cap) in enumerate(CAPS.items()):
        room = Counter[str]()
        for asked in _pool(photos, vocabulary, kind, seed=seed, stream=10 + number):
            if room[asked.question.answer] < max(1, round(cap * share)):
                room[asked.question.answer] += 1
                chosen.append(asked)
    return chosen


def _pool(
    photos: Mapping[int, Photo],
    vocabulary: dialogues.Vocabulary,
    kind: dialogues.QuestionKind,
    *,
    seed: int,
    stream: int,
) -> list[Asked]:
    """Questions of one kind, each answer at most once per photo: the same thing in other words is no new question.

    In each round every photo that has a question gives one, in seeded order.
    """
    found: dict[tuple[int, str], Asked] = {}
    places = sorted(photos)
    for turn in range(_ROUNDS):
        for choice in np.random.default_rng([seed, stream, turn]).permutation(len(places)):
            place = places[choice]
            rng = np.random.default_rng([seed, place, stream, turn])
            question = dialogues.question(photos[place], kind, rng, vocabulary)
            if question is not None:
                found.setdefault((place, question.answer), Asked(photos[place], question))
    return list(found.values())


def answer_figures(asked: Sequence[Asked], seen: Sequence[str], blank: Sequence[str]) -> dict[str, Any]:
    """Share of right answers with the photo and with a blank image, and the share of the commonest true answer.

    `seen` and `blank` are the replies to `asked`, in order. A reply that no answer can be read from is wrong and
    counted in `unread`. The figures over all are the mean over kinds; None without questions.
    """
    by_kind = {}
    for kind in CAPS:
        rows = [row for row in zip(asked, seen, blank, strict=True) if row[0].question.kind == kind]
        read = [dialogues.read_answer(kind, reply) for _, reply, _ in rows]
        read_blank = [dialogues.read_answer(kind, reply) for _, _, reply in rows]
        true = [row.question.answer for row, _, _ in rows]
        by_kind[kind] = {
            "accuracy": _agreement(read, true),
            "blank_image": _agreement(read_blank, true),
            "majority": max(Counter(true).values()) / len(true) if true else None,
            "n": len(true),
            "unread": read.count(None),
            "counts": dict(sorted(Counter(true).items())),
        }
    overall = {name: _mean([by_kind[kind][name] for kind in CAPS]) for name in ("accuracy", "blank_image", "majority")}
    return {**overall, "n": len(asked), "by_kind": by_kind}


def _agreement(read: Sequence[str | None], true: Sequence[str]) -> float | None:
    return _mean([float(mine == yours) for mine, yours in zip(read, true, strict=True)])


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None
