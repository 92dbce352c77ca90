"""Balanced questions and what is right."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from miras.data import dialogues
from miras.data.photos import Photo
from miras.evaluate.photos.answers import CAPS, answer_figures, balanced_questions

COLOURS = ("red", "blue", "blue", "green", "green", "green")


@pytest.fixture
def many(photos: list[Photo], monkeypatch: pytest.MonkeyPatch) -> dict[int, Photo]:
    """120 photos whose colours repeat red, blue, blue, green, green, green; nothing else is asked about them."""

    def question(photo: Photo, kind: str, rng: np.random.Generator, vocabulary: Any) -> Any:
        colour = COLOURS[int(photo.path.stem) % 6]
        return (
            SimpleNamespace(kind=kind, text=f"Colour {rng.random()}?", answer=colour, reply=colour)
            if kind == "colors"
            else None
        )

    monkeypatch.setattr(dialogues, "question", question)
    return {place: replace(photos[0], path=photos[0].path.with_name(f"{place}.png")) for place in range(120)}


def test_commoner_answers_are_held_at_the_cap(many: dict[int, Photo]) -> None:
    asked = balanced_questions(many, {}, seed=0)
    assert Counter(a.question.answer for a in asked) == dict.fromkeys(("red", "blue", "green"), CAPS["colors"])
    assert len({a.photo.name for a in asked}) == len(asked)


def test_rare_answers_are_all_asked_and_the_cap_scales(many: dict[int, Photo]) -> None:
    few = {place: many[place] for place in range(18)}
    counts = Counter(a.question.answer for a in balanced_questions(few, {}, seed=0))
    assert counts == {"red": 3, "blue": 6, "green": 9}
    assert len(balanced_questions(many, {}, seed=0, share=0.2)) == 9
    assert len(balanced_questions(many, {}, seed=0, share=0.001)) == 3


def test_the_choice_is_seeded(many: dict[int, Photo]) -> None:
    names = [[a.photo.name for a in balanced_questions(many, {}, seed=seed)] for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


def test_a_photo_gives_each_answer_once(photos: list[Photo]) -> None:
    asked = balanced_questions(dict(enumerate(photos)), {}, seed=0)
    assert len({(a.photo.name, a.question.kind, a.question.answer) for a in asked}) == len(asked)
    counts = Counter((a.question.kind, a.question.answer) for a in asked)
    assert counts == {("objects", "yes"): 3, ("objects", "no"): 3, ("colors", "navy"): 3, ("places", "left"): 1}


def test_figures_by_hand(photos: list[Photo]) -> None:
    asked = balanced_questions(dict(enumerate(photos)), {}, seed=0)
    wrong_colours = [a.question.reply if a.question.kind != "colors" else "It is hard to say." for a in asked]
    figures = answer_figures(asked, wrong_colours, ["Yes."] * len(asked))
    assert figures["by_kind"]["objects"] == {
        "accuracy": 1, "blank_image": 0.5, "majority": 0.5, "n": 6, "unread": 0, "counts": {"no": 3, "yes": 3}
    }  # fmt: skip
    assert figures["by_kind"]["colors"] == {
        "accuracy": 0, "blank_image": 0, "majority": 1, "n": 3, "unread": 3, "counts": {"navy": 3}
    }  # fmt: skip
    assert figures["accuracy"] == pytest.approx((1 + 0 + 1) / 3)
    assert figures["blank_image"] == pytest.approx(0.5 / 3)
    assert figures["majority"] == pytest.approx(2.5 / 3)


def test_no_questions_give_none() -> None:
    figures = answer_figures([], [], [])
    assert (figures["accuracy"], figures["majority"], figures["n"]) == (None, None, 0)
    assert figures["by_kind"]["places"]["blank_image"] is None
