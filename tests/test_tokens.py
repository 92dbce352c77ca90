"""The `[OBJ]{class}[SEG]` template in text and in token ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miras.tokens import Span, parse, spans, strip, well_formed, write

words = st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="[]"), min_size=1).filter(str.strip)


@pytest.mark.parametrize(
    ("text", "phrases", "good"),
    [
        ("", [], False),
        ("No mask here.", [], False),
        ("[OBJ]cup[SEG]", ["cup"], True),
        ("Sure, [OBJ] red cup [SEG].", ["red cup"], True),
        ("[OBJ]cup[SEG] and [OBJ]plate[SEG]", ["cup", "plate"], True),
        ("[OBJ]cup\nof tea[SEG]", ["cup\nof tea"], True),
        ("[SEG]", [None], False),
        ("It is [SEG].", [None], False),
        ("[OBJ][SEG]", [""], False),
        ("[OBJ]  [SEG]", [""], False),
        ("[OBJ]cup", [], False),
        ("[SEG][OBJ]", [None], False),
        ("[OBJ]cup[OBJ]plate[SEG]", ["plate"], False),
        ("[OBJ]cup[SEG][SEG]", ["cup", None], False),
        ("[OBJ]cup[SEG] [OBJ]", ["cup"], False),
        ("[obj]cup[seg]", [], False),
    ],
)
def test_parse_and_well_formed(text: str, phrases: list[str | None], good: bool) -> None:
    assert parse(text) == phrases
    assert well_formed(text) is good


@given(st.lists(words, min_size=1, max_size=4))
def test_what_is_written_is_parsed(phrases: list[str]) -> None:
    text = " and ".join(map(write, phrases))
    assert parse(text) == [phrase.strip() for phrase in phrases]
    assert well_formed(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Sure, [OBJ]red cup[SEG].", "Sure, red cup."),
        ("<image>\nWhat?", "\nWhat?"),
        ("[SEG][SEG]", ""),
        ("a [list] of things", "a [list] of things"),
    ],
)
def test_strip_leaves_the_words(text: str, read: str) -> None:
    assert strip(text) == read


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], []),
        ([5, 6], []),
        ([5, 1, 6, 2, 7], [(1, 3)]),
        ([1, 2, 1, 5, 2], [(0, 1), (2, 4)]),
        ([5, 2], [(1, 1)]),
        ([1, 5, 1, 6, 2], [(2, 4)]),
        ([1, 5, 2, 6, 2], [(0, 2), (4, 4)]),
        ([2, 1], [(0, 0)]),
        ([1, 5], []),
    ],
)
def test_spans_of_ids(ids: list[int], expected: list[tuple[int, int]]) -> None:
    assert spans(ids, obj_id=1, seg_id=2) == [Span(*ends) for ends in expected]
