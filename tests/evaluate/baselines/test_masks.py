"""Masks from boxes: the rule of the half-open pixel, and what becomes of each kind of reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.written import drawn

from miras.data.masks import box, encode
from miras.evaluate.baselines.ask import Held, Uttered
from miras.evaluate.baselines.masks import fill, mark_all
from miras.evaluate.cases import Case
from miras.types import Dialogue, Target, Turn


@pytest.mark.parametrize(
    ("corners", "rows"),
    [
        ((0, 0, 2, 4), ("##..", "##..", "##..", "##..")),
        ((2, 0, 4, 3), ("..##", "..##", "..##", "....")),
        ((0, 0, 4, 4), ("####", "####", "####", "####")),
        ((0.5, 0.5, 2.5, 1.5), ("##..", "....", "....", "....")),  # a centre on the left edge is in, on the right not
        ((0.6, 0, 1.4, 1), None),
        ((3, 3, 3, 4), None),
        ((4, 0, 4, 4), None),
    ],
)
def test_boxes_are_filled(corners: tuple[float, float, float, float], rows: tuple[str, ...] | None) -> None:
    mask = fill(corners, (4, 4))
    assert (None if mask is None else encode(mask)) == (None if rows is None else drawn(*rows))


@given(st.tuples(*[st.integers(0, 12)] * 4))
def test_a_filled_box_is_the_box_of_its_mask(corners: tuple[int, int, int, int]) -> None:
    left, right, top, bottom = *sorted(corners[:2]), *sorted(corners[2:])
    mask = fill((left, top, right, bottom), (12, 12))
    if left == right or top == bottom:
        assert mask is None
    else:
        assert mask is not None and box(mask) == (left, top, right, bottom)


def case(name: str, *answers: str) -> Case:
    turns = [turn for answer in answers for turn in (Turn("user", "Well?"), Turn("assistant", answer))]
    count = sum(answer.count("[SEG]") for answer in answers)
    return Case(name, Dialogue(tuple(turns), (Target("cat"),) * count, image="a.png"))


def held(name: str, *texts: str) -> Held:
    return Held(name, tuple(Uttered(text, 0.5) for text in texts), (4, 4), (4, 4))


def test_only_turns_that_ask_for_a_box_are_read() -> None:
    talk = case("a", "The cat.", "[OBJ]cat[SEG]"), held("a", "At (0, 0), (1, 1).", "<box>(0, 0), (2, 4)</box>")
    marked = mark_all([talk])
    [answered] = marked.answered
    assert answered.turns[0].masks == () and answered.turns[0].text == "At (0, 0), (1, 1)."
    [mark] = answered.turns[1].masks
    assert mark.mask == drawn("##..", "##..", "##..", "##..") and mark.score is None and mark.phrase == ""
    assert marked.reading.system == "pixels" and marked.counts["box"] == 1


def test_every_kind_of_reply_is_counted() -> None:
    said = ["<box>(0, 0), (4, 2)</box>", "<ref>cat</ref><box>(0, 0), (2, 4)</box> <box>(2, 2), (2, 3)</box>",
            "no detected", "What?", ""]  # fmt: skip
    talks = [(case(str(i), "[OBJ]cat[SEG]"), held(str(i), text)) for i, text in enumerate(said)]
    talks[4] = talks[4][0], Held("4", (Uttered("", refused=True),), (4, 4), (4, 4))
    talks.append((case("5", "[OBJ]cat[SEG]"), Held("5", (Uttered(""),))))
    marked = mark_all(talks, "pixels")
    assert marked.counts == {
        "box": 1, "several": 1, "none": 1, "unreadable": 1,
        "refused_by_server": 1, "cases_without_image": 1, "boxes": 3, "boxes_without_pixel": 1,
    }  # fmt: skip
    masks = [one.turns[0].masks for one in marked.answered]
    assert [len(one) for one in masks] == [1, 1, 0, 0, 0, 0] and masks[1][0].phrase == "cat"
