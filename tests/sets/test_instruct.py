"""Words for scenes: true to what is there, every line of every kind in use, the same for the same seed."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.sets.words import boxed, full_scene

from miras import tokens
from miras.data.phrasing import _lines
from miras.sets.instruct import Manner, instructions
from miras.sets.scene import Region, Scene
from miras.types import Dialogue


def many(scene: Scene, count: int = 600, manner: Manner | None = None) -> list[Dialogue]:
    rng = np.random.default_rng(0)
    return [told for _ in range(count) for told in instructions(scene, rng, manner or Manner())]


def test_the_seed_decides() -> None:
    first, again, other = (
        instructions(full_scene(), np.random.default_rng(seed), Manner(absent=0.3)) for seed in (4, 4, 5)
    )
    assert first == again != other


def test_names_are_those_of_the_targets() -> None:
    for told in many(full_scene()):
        written = [name for answer in told.answers for name in tokens.parse(answer)]
        assert [name or target.phrase for name, target in zip(written, told.targets, strict=True)] == [
            target.phrase for target in told.targets
        ]
        assert all(target.mask is not None for target in told.targets)
        assert told.image == "a.jpg"
        assert tokens.OBJ not in told.questions[0]
        if told.kind in ("class", "part", "several", "referring"):
            asked = told.questions[0].lower().replace("people", "person")
            assert all(target.phrase in asked for target in told.targets)
        assert not re.search(r"[{}()|]|  ", told.questions[0] + told.answers[0])


def test_kinds_are_those_of_the_regions() -> None:
    def kinds(*of: str) -> set[str]:
        return {told.kind for told in many(full_scene(*of), manner=Manner(absent=0.0))}

    assert kinds("expression") == {"referring"}
    assert kinds("question") == {"reasoning", "explained", "words"}
    assert kinds("part") == {"part"}
    assert kinds("thing", "stuff") == {"class", "several", "everything"}
    assert "everything" not in kinds("thing", "part")


def test_a_part_is_named_in_both_ways_alike_often() -> None:
    names = Counter(told.targets[0].phrase for told in many(full_scene("part")) if told.targets)
    assert set(names) == {"ear of the dog", "dog ear"}
    assert 0.8 < names["ear of the dog"] / names["dog ear"] < 1.25


def test_number_is_true() -> None:
    asked = {name: [t.questions[0] for t in many(full_scene("thing", "stuff")) if t.kind == "class" and
             t.targets[0].phrase == name] for name in ("dog", "cup", "person", "sky")}  # fmt: skip
    assert all(asked.values())
    assert any("every dog" in text.lower() for text in asked["dog"]) and any("the dog" in text for text in asked["dog"])
    assert not any(re.search("every (cup|sky)", text) for text in asked["cup"] + asked["sky"])
    assert any("the people" in text for text in asked["person"])
    assert not any(re.search("the person", text) for text in asked["person"])


def test_refusals_come_at_their_share_and_hold_no_mask() -> None:
    told = many(full_scene(), 1000, Manner(absent=0.2))
    refused = [one for one in told if one.kind == "absent"]
    assert not any(one.targets or tokens.SEG in one.answers[0] for one in refused)
    assert 0.17 < len(refused) / len(told) < 0.24
    assert any("there are no stairs" in one.answers[0].lower() for one in refused)
    assert any("there is no sofa" in one.answers[0].lower() for one in refused)
    assert not [one for one in many(full_scene(), 200, Manner(absent=0.0)) if one.kind == "absent"]
    assert {one.kind for one in many(replace(full_scene(), regions=()), 50, Manner(absent=1.0))} == {"absent"}


def test_several_and_all_have_a_mask_each() -> None:
    told = many(full_scene("thing", "stuff"), 1000)
    assert {len(one.targets) for one in told if one.kind == "several"} <= {2, 3}
    assert {len(one.targets) for one in told if one.kind == "everything"} == {4}
    several = next(one for one in told if one.kind == "several")
    assert several.answers[0].count(tokens.SEG) == len(several.targets) == len({t.phrase for t in several.targets})


def test_explanations_come_before_the_mask_or_alone() -> None:
    explained = [one for one in many(full_scene("question")) if "Dogs do that." in one.answers[0]]
    shares = Counter(one.kind for one in explained)
    assert set(shares) == {"explained", "words"} and 2.5 < shares["explained"] / shares["words"] < 8
    for one in explained:
        assert one.answers[0].startswith("Dogs do that.")
        assert len(one.targets) == (one.kind == "explained")


@pytest.mark.parametrize("targets", [1, 3])
def test_at_most_so_many_about_an_image(targets: int) -> None:
    counts = {len(instructions(full_scene(), np.random.default_rng(seed), Manner(targets))) for seed in range(40)}
    assert max(counts) == targets


def test_only_what_is_chosen_is_drawn_and_empty_regions_give_way() -> None:
    drawn = []

    def draw(name: str) -> np.ndarray:
        drawn.append(name)
        return boxed(0, 0, 4, 4) if name == "full" else np.zeros((64, 64), dtype=bool)

    scene = Scene(Path("a.jpg"), tuple(Region((f"{n} thing",), lambda: draw("full"), "part", "cup") for n in range(30)))
    assert len(instructions(scene, np.random.default_rng(0), Manner(2))) == 2 == len(drawn)
    nothing = Scene(Path("a.jpg"), (Region(("hole",), lambda: draw("empty"), "thing"),))
    assert instructions(nothing, np.random.default_rng(0), Manner()) == ()
    some = Scene(Path("a.jpg"), (*nothing.regions, scene.regions[0]))
    assert {len(instructions(some, np.random.default_rng(seed), Manner(1))) for seed in range(9)} == {1}


def test_pixels_that_do_not_count_come_along() -> None:
    told = many(full_scene("question"))
    [target] = next(one.targets for one in told if [t.phrase for t in one.targets] == ["what barks"])
    assert target.ignore is not None


SIDES = {
    "class_q": 0, "mark_a": 1, "refer_q": 0, "quote_q": 0, "reason_q": 0, "reason_a": 1, "explain_q": 0, "explain_a": 1,
    "everything_q": 0, "everything_a": 1, "several_q": 0, "several_a": 1, "absent_a": 1,
}  # fmt: skip


def test_every_line_is_in_use_and_there_are_enough() -> None:
    told = many(full_scene(), 3000, Manner(absent=0.1)) + many(full_scene("thing", "stuff"), 6000)
    for kind, side in SIDES.items():
        texts = {one.turns[side].text for one in told}
        lines = _lines()[kind]
        assert len(set(lines)) >= 15
        for line in lines:
            pattern = "|".join(re.sub(r"\\\{\w+\\\}", ".+", re.escape(form[0].upper() + form[1:])) for form in line)
            spoken = re.compile(pattern, re.IGNORECASE)
            assert any(spoken.fullmatch(text) for text in texts), (kind, line[0])
