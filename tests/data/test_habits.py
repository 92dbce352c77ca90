"""Habits: counted as they are, and questions drawn with them leave little to the name alone."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from miras.data.habits import Habits
from miras.data.photos import Photo, load_photos
from miras.data.questions import QuestionKind, question, vocabulary


def _guessed(photos: list[Photo], kind: QuestionKind, habits: Habits | None) -> float:
    """Share of questions answered rightly by the answer that is most frequent for the name asked about."""
    rng, known = np.random.default_rng(0), vocabulary(photos)
    by_name: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for photo in photos * 6:
        if asked := question(photo, kind, rng, known, habits):
            by_name[asked.about][asked.answer] += 1
    total = sum(answers.total() for answers in by_name.values())
    assert total > 500
    return sum(max(answers.values()) for answers in by_name.values()) / total


def test_counts(garage: Photo) -> None:
    empty = replace(garage, objects=())
    habits = Habits([garage, empty, replace(garage, source="street")])
    assert habits.lacking("garage", "wheel") == pytest.approx(1 / 2)
    assert habits.lacking("garage", "hood") == 1
    assert habits.lacking("street", "wheel") == pytest.approx(0.02)  # all of them hold one
    mirror, _, black, _ = garage.objects
    assert habits.surprise("places", mirror) == 1  # two of two
    assert habits.surprise("colors", black) == pytest.approx((6 + 1) / (2 + 1))
    assert habits.surprise("colors", replace(black, color="pink")) == 7
    assert Habits([garage] * 9).surprise("colors", replace(black, color="pink")) == 8  # not more


@pytest.mark.parametrize("kind", ["objects", "colors", "places"])
def test_a_name_says_less(kind: QuestionKind, shared_photos: Path) -> None:
    photos = load_photos(shared_photos, "val")
    assert _guessed(photos, kind, Habits(photos)) < _guessed(photos, kind, None) - 0.02
