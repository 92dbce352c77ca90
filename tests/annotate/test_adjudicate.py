"""Each rule on masks made for it, what it says about them, and what happens when a third person has looked."""

from collections.abc import Mapping

import numpy as np
import pytest

from miras.annotate.adjudicate import RULES, Decision, Thresholds, adjudicate, describe_rules
from miras.annotate.collect import Work
from miras.annotate.consensus import middle
from miras.annotate.plan import Group, Item
from miras.data.masks import decode, encode
from miras.errors import ConfigError

GROUP = Group("G1", ("ann", "bob"), "cem", ("a.png",))
CUP, MUG = Item("a.png", "cup"), Item("a.png", "mug")


def square(top: int, left: int, side: int = 10) -> np.ndarray:
    """(40, 40) bool with one square."""
    mask = np.zeros((40, 40), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


EMPTY = square(0, 0, 0)


def decided(given: Mapping[str, Mapping[Item, np.ndarray]], item: Item = CUP) -> Decision:
    works = {name: Work(name, {at: encode(mask) for at, mask in masks.items()}) for name, masks in given.items()}
    (found,) = adjudicate(GROUP, [item], works, "rea")
    return found


def of_two(first: np.ndarray | None, second: np.ndarray | None, **third: np.ndarray) -> Decision:
    drawn = {"ann": first, "bob": second, **third}
    return decided({name: {CUP: mask} for name, mask in drawn.items() if mask is not None})


def test_two_that_agree_meet_in_the_middle() -> None:
    first, second = square(5, 5, 20), square(5, 6, 20)
    found = of_two(first, second)
    assert (found.rule, found.settled, found.people, found.next) == ("agree", True, ("ann", "bob"), None)
    assert found.ious == {"ann, bob": pytest.approx(380 / 420)}
    assert found.mask is not None and np.array_equal(decode(found.mask), middle(first, second))


def test_the_threshold_is_reached_at_the_threshold() -> None:
    four_fifths = square(5, 5)
    four_fifths[13:] = False
    assert of_two(four_fifths, square(5, 5)).rule == "agree"
    four_fifths[12] = False
    assert of_two(four_fifths, square(5, 5)).rule == "differ"


def test_small_things_may_differ_at_the_edge() -> None:
    # 6 x 6 inside 7 x 7: IoU 36 / 49, outlines half a pixel apart, less than 0.6 % of a diagonal of 141
    small, larger = np.zeros((100, 100), dtype=bool), np.zeros((100, 100), dtype=bool)
    small[10:16, 10:16] = larger[10:17, 10:17] = True
    assert of_two(small, larger).rule == "edge"
    thicker = np.zeros((100, 100), dtype=bool)
    thicker[9:17, 9:17] = True  # IoU 36 / 64, a pixel apart on every side
    assert of_two(small, thicker).rule == "differ"
    moved = np.roll(small, 2, axis=1)  # IoU 1/2: could be half of the thing
    assert of_two(small, moved).rule == "differ"
    tail = small.copy()
    tail[12, 16:30] = True  # IoU 36 / 50, far away at one place
    assert of_two(small, tail).rule == "differ"


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        (square(0, 0), square(0, 20), "apart"),
        (square(0, 0), square(0, 5), "differ"),
        (square(0, 0), EMPTY, "empty"),
        (EMPTY, square(0, 0), "empty"),
        (square(0, 0), None, "missing"),
        (None, None, "missing"),
    ],
)
def test_what_the_rules_do_not_settle_goes_to_the_resolver(
    first: np.ndarray | None, second: np.ndarray | None, rule: str
) -> None:
    found = of_two(first, second)
    assert (found.rule, found.settled, found.mask, found.next) == (rule, False, None, "cem")


def test_who_is_to_blame_is_said() -> None:
    assert of_two(square(0, 0), None).text == "not given by bob"
    assert of_two(None, None).text == "not given by ann and bob"
    assert of_two(EMPTY, square(0, 0)).text == "ann says that it is absent"


def test_swapped_labels_are_seen_on_both_items() -> None:
    cup, mug = square(0, 0), square(0, 20)
    swapped = {"ann": {CUP: cup, MUG: mug}, "bob": {CUP: mug, MUG: cup}}
    assert (decided(swapped).rule, decided(swapped).text) == ("swapped", "with 'mug'")
    assert (decided(swapped, MUG).rule, decided(swapped, MUG).text) == ("swapped", "with 'cup'")
    wrong = {"ann": {CUP: cup, MUG: mug}, "bob": {CUP: mug, MUG: mug}}
    assert (decided(wrong).rule, decided(wrong).text) == ("other", "bob marked what ann calls 'mug'")
    assert decided(wrong, MUG).rule == "agree"


def test_two_who_say_absent_settle_it_without_a_mask() -> None:
    found = of_two(EMPTY, EMPTY)
    assert (found.rule, found.settled, found.mask) == ("absent", True, None)


def test_the_resolver_sides_with_one() -> None:
    found = of_two(square(0, 0), square(20, 20), cem=square(20, 20))
    assert (found.rule, found.people) == ("two of three", ("bob", "cem"))
    assert found.mask == encode(square(20, 20))
    assert set(found.ious) == {"ann, bob", "ann, cem", "bob, cem"}
    assert of_two(None, square(20, 20), cem=square(20, 20)).rule == "two of three"
    absent = of_two(square(0, 0), EMPTY, cem=EMPTY)
    assert (absent.rule, absent.settled, absent.mask) == ("two of three", True, None)


def test_the_resolver_between_both_makes_a_majority() -> None:
    first, third, second = square(0, 0, 20), square(0, 2, 20), square(0, 4, 20)
    assert of_two(first, second).rule == "differ"
    found = of_two(first, second, cem=third)
    assert found.rule == "majority"
    votes = first.astype(int) + second + third
    assert found.mask == encode(votes >= 2)


def test_three_ways_go_to_the_reviewer_who_has_the_last_word() -> None:
    found = of_two(square(0, 0), square(20, 20), cem=square(0, 20))
    assert (found.rule, found.settled, found.next) == ("three ways", False, "rea")
    assert (of_two(square(0, 0), None, cem=square(0, 20)).next) == "rea"
    last = of_two(square(0, 0), square(0, 0), cem=square(0, 0), rea=square(9, 9))
    assert (last.rule, last.mask) == ("reviewer", encode(square(9, 9)))
    gone = of_two(square(0, 0), square(0, 0), rea=EMPTY)
    assert (gone.rule, gone.settled, gone.mask) == ("reviewer", True, None)


def test_every_rule_is_described_with_its_thresholds() -> None:
    described = describe_rules(Thresholds(agree=0.9))
    assert set(described) == set(RULES)
    assert "reaches 0.90" in described["agree"] and "0.6% of the image's diagonal" in described["edge"]
    assert not any("{" in text for text in described.values())


@pytest.mark.parametrize("wrong", [{"agree": 0.5}, {"gross": 0.6}, {"agree": 1.1}, {"edge": 0.1}, {"gross": -0.1}])
def test_thresholds_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="gross <= overlap <= agree"):
        Thresholds(**wrong)
