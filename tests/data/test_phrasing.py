"""Templates and English: enough of them, well filled, and a strict eye for what gives a target away."""

import re

import numpy as np
import pytest

from miras.data.phrasing import _lines, article, forms, gives_away, listing, number, plural, say, templates

KINDS = sorted(set(_lines()) - {"understood", "direct_bare"})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_turn_has_forty_forms(kind: str) -> None:
    assert len(templates(kind)) >= 40


@pytest.mark.parametrize("kind", KINDS)
def test_templates_are_whole(kind: str) -> None:
    for form in templates(kind):
        assert not re.search(r"[()|]|  | [.,?!]|\ba (?:a|e|i|o)\w", form), form
        assert form[-1] in ".?!", form


def test_say_takes_only_what_is_accepted() -> None:
    rng = np.random.default_rng(0)
    slots = {"color": "red", **forms("hood", "hood")}
    for _ in range(30):
        said = say("color_a", rng, slots, accept=lambda text: "red" in text.lower())
        assert said is not None
        assert said[0].isupper() and "{" not in said
    assert say("color_a", rng, slots, accept=lambda text: False) is None


def test_articles_and_plurals() -> None:
    assert [article(noun) for noun in ("elephant", "umbrella", "urban scene", "uniform", "hat")] == [
        "an elephant", "an umbrella", "an urban scene", "a uniform", "a hat",
    ]  # fmt: skip
    assert [plural(noun) for noun in ("wheel", "bus", "person", "wine glass", "knife", "butterfly", "toy")] == [
        "wheels", "buses", "people", "wine glasses", "knives", "butterflies", "toys",
    ]  # fmt: skip
    assert (number(3), number(17)) == ("three", "17")
    assert [listing(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("name", "count", "is_there", "some"),
    [
        ("dog", 1, "is there a dog", "a dog"),
        ("sunglasses", 1, "are there any sunglasses", "sunglasses"),
        ("rice", 1, "is there any rice", "rice"),
        ("window", 6, "are there any windows", "six windows"),
        ("window", None, "is there a window", "at least one window"),
    ],
)
def test_forms_of_a_noun(name: str, count: int | None, is_there: str, some: str) -> None:
    slots = forms(name, name, count)
    assert (slots["is_there"], slots["some"]) == (is_there, some)


@pytest.mark.parametrize(
    ("text", "phrase", "name", "leaks"),
    [
        ("Where is the Bumper?", "front bumper", "front bumper", True),
        ("Look at the bumpers.", "front bumper", "front bumper", True),
        ("Which part is at the front?", "front bumper", "front bumper", False),
        ("Who are these people?", "leftmost person", "person", True),
        ("Mark the one furthest to the left.", "leftmost person", "person", False),
        ("What is that?", "hat", "hat", False),
        ("Is there a handbag?", "bag", "bag", True),
        ("Is it a headlight?", "rear left light", "rear left light", True),
        ("A shirt?", "t-shirt", "t-shirt", True),
        ("An eye?", "eyes", "eyes", True),
        ("The color is orange.", "orange", "orange", True),
    ],
)
def test_gives_away(text: str, phrase: str, name: str, leaks: bool) -> None:
    assert gives_away(text, phrase, name) is leaks
