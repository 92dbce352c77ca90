"""Boxes: a table of replies in the manners of many models, and that no text whatever is too much."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.baselines.replies import REPLIES

from miras.evaluate.baselines.boxes import Found, read_boxes


@pytest.mark.parametrize(("reply", "meant"), REPLIES, ids=[repr(reply)[:60] for reply, _ in REPLIES])
def test_replies(reply: str, meant: Found) -> None:
    assert read_boxes(reply) == meant


def test_the_table_is_long_and_its_replies_differ() -> None:
    assert len({reply for reply, _ in REPLIES}) == len(REPLIES) >= 60
    assert {meant.kind for _, meant in REPLIES} == {"box", "several", "none", "unreadable"}


PIECES = ["<box>", "</box>", "(", ")", "[", "]", ",", " ", "1", "0.5", "-", "%", "no", "nan", "x1:", "{", "}", "and"]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_read_or_said_to_be_unreadable(text: str) -> None:
    found = read_boxes(text)
    assert (len(found.boxes), found.kind) in {(0, "none"), (0, "unreadable"), (1, "box")} or (
        found.kind == "several" and len(found.boxes) == len(set(found.boxes)) > 1
    )
    for box in found.boxes:
        x1, y1, x2, y2 = box.corners
        assert x1 <= x2 and y1 <= y2


@given(st.tuples(*[st.integers(0, 2000)] * 4), st.sampled_from(
    ["<box>({}, {}), ({}, {})</box> ", "[{},{},{},{}]", '{{"bbox_2d": [{}, {}, {}, {}], "label": ""}}', "{} {} {} {}"]
))  # fmt: skip
def test_all_numbers_come_through(corners: tuple[int, int, int, int], form: str) -> None:
    x1, y1, x2, y2 = corners
    [box] = read_boxes(form.format(*corners)).boxes
    assert box.corners == (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


@pytest.mark.parametrize(
    "text",
    ["1 " * 4000, "1" + " " * 20000, "(" * 10000, "1 and " * 4000, "<box>" * 3000, "x1: " * 3000, "(1,2)" * 3000,
     "1" * 20000, "no " * 5000, "not a " * 4000, "[1,2,3," * 3000, "{" * 9000 + "[1,2,3,4]" * 900, "<think>" * 4000,
     '{"label": "' * 2000 + "[1,2,3,4]" * 200, "< " * 9000],
    ids=lambda text: text[:10],
)  # fmt: skip
def test_a_model_that_runs_wild_is_read_soon(text: str) -> None:
    start = time.process_time()
    read_boxes(text)
    assert time.process_time() - start < 2
