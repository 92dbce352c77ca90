"""Focus: its noun, what stands before it, its prepositions, and its category."""

import json
from pathlib import Path

import pytest
import yaml

from miras.prist.focus import Focus, categories, category, read_focus


@pytest.mark.parametrize(
    ("text", "noun", "adjectives", "prepositions"),
    [
        ("leather watch strap on a wrist", "strap", ("leather", "watch"), ("on",)),
        ("The word 'ROLEX' and crown symbol", "symbol", ("word", "crown"), ()),
        ("'illy' logo", "logo", (), ()),
        ("Label with “No. 1 in Europe”", "label", (), ("with",)),
        ("Person's hat under the left hand", "hat", ("person's",), ("under",)),
        ("Plate showing a dragon", "plate", (), ()),
        ("'ROLEX'", None, (), ()),
        ("on the left", "left", (), ("on",)),
        ("Über-alte Straße", "straße", ("über-alte",), ()),
        ("", None, (), ()),
    ],
)
def test_read_focus(text: str, noun: str | None, adjectives: tuple[str, ...], prepositions: tuple[str, ...]) -> None:
    assert read_focus(text) == Focus(noun, adjectives, prepositions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leather watch strap on a wrist", "clothes and wear"),
        ("watch", "devices and instruments"),
        ("The year 2018", "numbers and dates"),
        ("7", "numbers and dates"),
        ("'ROLEX'", "words and phrases"),
        ("two bottle caps", "containers, food and drink"),
        ("License plate MK59 CWK", "containers, food and drink"),
        ("leaves on a branch", "animals, plants and places"),
        ("player's posture", "people"),
        ("Xyzzy", None),
        ("", None),
    ],
)
def test_category(text: str, expected: str | None) -> None:
    assert category(text) == expected


def test_twelve_categories_in_four_types_and_no_word_in_two() -> None:
    names = [name for groups in categories().values() for name in groups]
    words = [word for groups in categories().values() for listed in groups.values() for word in listed]
    assert len(categories()) == 4 and len(names) == len(set(names)) == 12
    assert len(words) == len(set(words)) and all(isinstance(word, str) for word in words)
    with pytest.raises(TypeError):
        categories()["Textual Content"] = {}  # type: ignore[index]
    assert yaml.safe_load(yaml.safe_dump(words)) == words  # none that YAML would read as something else


def test_most_of_the_authors_focuses_are_in_one(shared_prist: Path) -> None:
    focuses = [record["focus"] for record in json.loads(shared_prist.read_text())]
    assert sum(category(focus) is None for focus in focuses) <= 25
