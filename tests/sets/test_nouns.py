"""Articles and numbers of names that no table knows."""

import numpy as np
import pytest
from tests.sets.words import boxed

from miras.sets.nouns import absent_slots, is_plural, region_slots, said_slots
from miras.sets.scene import Region


@pytest.mark.parametrize("name", ["stairs", "skis", "curtains", "sunglasses", "people", "kitchen scissors", "clothes"])
def test_plurals(name: str) -> None:
    assert is_plural(name)
    assert absent_slots(name)["there_is_no"] == f"there are no {name}"


@pytest.mark.parametrize("name", ["grass", "bus", "canvas", "tennis", "wine glass", "dog", "sand", "furniture", "lens"])
def test_singulars(name: str) -> None:
    assert not is_plural(name)
    assert absent_slots(name)["there_is_no"] == f"there is no {name}"


@pytest.mark.parametrize(
    ("said", "the"),
    [
        ("left dog", "the left dog"),
        ("The man in red.", "the man in red"),
        ("both boys", "both boys"),
        ("two boxes ", "the two boxes"),
        ("on the left", None),
        ("he is smiling", None),
        ("white, far right", None),
    ],
)
def test_what_people_said_takes_an_article_or_none(said: str, the: str | None) -> None:
    slots = said_slots(said)
    assert slots.get("the") == the
    assert slots["said"] == slots["name"] == said.strip().rstrip(".")


def test_quotes_and_space_within_are_tame() -> None:
    assert said_slots('sign  that says\n"stop"')["said"] == "sign that says 'stop'"


def test_classes_are_written_small_and_counted() -> None:
    rng = np.random.default_rng(0)

    def the(count: int | None) -> set[str]:
        region = Region((" Dining Table ",), lambda: boxed(0, 0, 1, 1), "thing", count=count)
        slots = [region_slots(region, rng) for _ in range(60)]
        assert {one["name"] for one in slots} == {"dining table"}
        return {one["the"] for one in slots}

    assert the(1) == {"the dining table"}
    assert the(None) == {"the dining table", "every dining table"}
    assert the(2) == {"every dining table", "all the dining tables", "the dining tables"}
