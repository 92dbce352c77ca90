"""Questions without masks: balanced, true of the annotations, and read back exactly."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from miras.data.photos import Photo, load_photos
from miras.data.questions import (
    COLORS,
    POSITIONS,
    QuestionKind,
    absent_names,
    ask_several,
    question,
    read_answer,
    vocabulary,
)

KINDS: tuple[QuestionKind, ...] = ("objects", "colors", "places")


@pytest.mark.parametrize(
    ("kind", "reply", "answer"),
    [
        ("objects", "Yes, there is a dog.", "yes"),
        ("objects", "no.", "no"),
        ("objects", "There is no dog here.", "no"),
        ("objects", "There is a dog on the grass.", "yes"),
        ("objects", "I cannot tell.", None),
        ("objects", "No idea.", None),
        ("objects", "Yes and no.", None),
        ("objects", "I do not see a dog.", "no"),
        ("objects", "A dog.", None),
        ("colors", "The orange is yellow.", "yellow"),
        ("colors", "It looks grey.", "gray"),
        ("colors", "It is black or white.", None),
        ("colors", "It is dark.", None),
        ("colors", "The orange is ripe.", None),
        ("colors", "It is not red.", None),
        ("colors", "Brown is the main colour.", "brown"),
        ("places", "In the Top-Left corner.", "top left"),
        ("places", "It is in the upper centre of the photo.", "top center"),
        ("places", "Somewhere on the left.", None),
        ("places", "Between the top left and the bottom right.", None),
        ("places", "", None),
    ],
)
def test_read_answer(kind: QuestionKind, reply: str, answer: str | None) -> None:
    assert read_answer(kind, reply) == answer


def test_handmade_questions_are_true(garage: Photo) -> None:
    rng, known = np.random.default_rng(0), {"garage": Counter({"wheel", "left mirror", "hood", "car"})}
    assert absent_names(garage, known) == ["hood"]  # a car is there whenever its parts are
    for kind in KINDS:
        for _ in range(60):
            asked = question(garage, kind, rng, known)
            assert asked is not None
            assert read_answer(kind, asked.reply) == asked.answer
            if kind == "objects":
                assert asked.reply.startswith(asked.answer.capitalize())
                assert ("hood" in asked.text) is (asked.answer == "no")
            elif kind == "colors":
                side = "leftmost" if asked.answer == "black" else "rightmost"
                assert asked.answer in ("black", "gray") and f"{side} wheel" in asked.text
            else:
                assert asked.answer in POSITIONS and asked.answer in asked.reply.lower()


def test_a_question_about_several_things_is_answered_one_by_one(garage: Photo) -> None:
    rng = np.random.default_rng(1)
    colors = {f"the {o.phrase} is {o.color}": o.phrase for o in garage.objects}
    for _ in range(40):
        asked = ask_several(garage, "colors", rng)
        assert asked is not None
        text, reply, phrases = asked
        said = re.split(", | and ", reply[0].lower() + reply[1:-1])
        assert [colors[each] for each in said] == phrases and len(phrases) >= 2
        assert all(phrase in text for phrase in phrases)
    assert ask_several(garage, "colors", rng, told=["leftmost wheel"]) is None  # one other has a colour of its own
    places = ask_several(garage, "places", rng)
    assert places is not None and len(places[2]) >= 2
    assert all(f"in the {o.position}" in places[1] for o in garage.objects if o.phrase in places[2])


def test_what_is_not_decided_is_not_asked(garage: Photo) -> None:
    rng = np.random.default_rng(0)
    assert question(garage, "objects", rng, vocabulary([garage])) is None
    assert question(garage, "objects", rng, {}) is None
    plain = Photo(garage.path, garage.objects[:2], "garage")
    assert question(plain, "colors", rng, {}) is None
    with pytest.raises(ValueError, match="'sizes'"):
        question(garage, "sizes", rng, {})  # type: ignore[arg-type]


def test_real_questions_read_back_and_balance(shared_photos: Path) -> None:
    photos = load_photos(shared_photos, "val")
    known, rng = vocabulary(photos), np.random.default_rng(0)
    answers: Counter[str] = Counter()
    for photo in photos * 4:
        for kind in KINDS:
            if asked := question(photo, kind, rng, known):
                assert read_answer(kind, asked.reply) == asked.answer
                assert kind == "objects" or asked.answer in (COLORS if kind == "colors" else POSITIONS)
                answers[asked.answer] += 1
    assert 0.44 <= answers["yes"] / (answers["yes"] + answers["no"]) <= 0.56
