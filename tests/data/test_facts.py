"""Facts of classes: at least two clues each, none of which says the name, and names that imply each other."""

import json
from pathlib import Path

import pytest

from miras.data.facts import _group, fact, known_classes, related
from miras.data.phrasing import gives_away
from miras.errors import ConfigError


def test_no_fact_says_its_own_name() -> None:
    assert len(known_classes()) >= 204
    for name in known_classes():
        known = fact(name)
        assert len(set(known.clues)) >= 2
        for text in (*known.clues, known.kind, known.sort):
            assert not gives_away(text, name, name), (name, text)


def test_clues_of_a_group_differ() -> None:
    twins = {frozenset({"motorcycle", "motorbike"})}  # one thing under two names
    seen: dict[str, str] = {}
    for name in sorted(known_classes()):
        for clue in fact(name).clues:
            other = seen.setdefault(clue, name)
            assert other == name or frozenset({other, name}) in twins, (name, other, clue)


def test_names_without_entry_fall_back() -> None:
    assert fact("grizzly bear").kind == fact("bear").kind
    assert fact("grizzly bear").name == "grizzly bear"
    assert fact("Granny Smith").generic
    assert fact("xylorimba").group == "any thing"


def test_every_cutout_finds_a_category(shared_cutouts: Path) -> None:
    rows = [json.loads(line) for line in (shared_cutouts / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not [row["name"] for row in rows if fact(row["name"]).group == "any thing"]


@pytest.mark.parametrize(
    ("first", "second", "implied"),
    [
        ("Abyssinian cat", "cat", True),
        ("handbag", "bag", True),
        ("fried tofu", "tofu", True),
        ("person", "coat", True),
        ("car", "hood", True),
        ("purse", "bag", True),
        ("dog", "cat", False),
        ("hood", "front bumper", False),
        ("front left door", "front right door", False),
    ],
)
def test_related(first: str, second: str, implied: bool) -> None:
    assert related(first, second) is implied
    assert related(second, first) is implied


def test_a_wrong_entry_is_named() -> None:
    entry = {"sort": "item", "kind": "an item", "clues": ["is one"], "where": "here", "scene": ["it"], "usage": "none"}
    with pytest.raises(ConfigError, match=r"facts/odd.yaml: .*usage"):
        _group("odd", {**entry, "classes": {"odd": {}}}, "odd.yaml")
