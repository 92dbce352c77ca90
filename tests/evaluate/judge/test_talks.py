"""Conversations as a judge reads them, and what makes them worse or merely longer."""

import random
from pathlib import Path

import pytest
from tests.evaluate.written import answer_lines, case_lines, write_lines

from miras.errors import DataError
from miras.evaluate.cases import read_cases
from miras.evaluate.judge.spoilt import emptied, foreign, padded, shuffled
from miras.evaluate.judge.talks import Talk, as_read, talks, true_talks
from miras.evaluate.predictions import read_predictions

TALK = Talk("a", (("Who?", "You."), ("Why?", "For fun."), ("Mark it.", "Here it is.")), "you", "a.png")
OTHER = Talk("b", (("When?", "Now."), ("Mark it.", "There.")), "now", "b.png")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It is [OBJ]the cat[SEG].", "It is the cat."),
        ("[OBJ]cup[SEG] and [OBJ]plate[SEG]", "cup and plate"),
        ("Certainly, [SEG].", "Certainly, (a marked region)."),
        ("[OBJ] [SEG]", "(a marked region)"),
        ("[OBJ]a[OBJ]b[SEG]", "ab"),
        ("<image>\n Two\nlines ", "Two lines"),
        ("", ""),
    ],
)
def test_answers_are_read_as_people_read_them(text: str, read: str) -> None:
    assert as_read(text) == read


def test_a_talk_is_what_was_asked_and_what_was_answered(tmp_path: Path) -> None:
    cases = read_cases(write_lines(tmp_path / "c.jsonl", case_lines()))
    answers = read_predictions(write_lines(tmp_path / "p.jsonl", answer_lines()), cases)
    cat, both = talks(cases, answers, show_images=False)
    assert cat.rounds == (("Who meows?", "The cat."), ("Mark it.", "It is cat."))
    assert cat.goal == "cat" and cat.group == "a.png" and cat.words == 5 and both.goal is None
    assert both.answers == ("plate, cup",)
    assert true_talks(cases, show_images=False)[1].answers == ("cup and plate",)
    with pytest.raises(DataError, match=r"no image at i/a\.png, which case 'cat' is about"):
        talks(cases, answers)
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    assert [talk.image for talk in talks(cases, answers, tmp_path)] == [tmp_path / "a.png", tmp_path / "b.png"]


def test_padding_adds_words_and_takes_none() -> None:
    longer = padded(TALK, random.Random(0))
    assert longer == padded(TALK, random.Random(0)) and longer.words > 5 * TALK.words
    assert all(answer in more for answer, more in zip(TALK.answers, longer.answers, strict=True))
    empty = emptied(TALK, [], random.Random(0))
    assert empty is not None and padded(empty, random.Random(0)) == empty


def test_shuffled_rounds_are_the_same_in_another_order() -> None:
    for seed in range(20):
        mixed = shuffled(TALK, [], random.Random(seed))
        assert mixed is not None and mixed.rounds != TALK.rounds and sorted(mixed.rounds) == sorted(TALK.rounds)
    assert shuffled(Talk("one", TALK.rounds[:1], None, "x"), [], random.Random(0)) is None
    assert shuffled(Talk("same", TALK.rounds[:1] * 3, None, "x"), [], random.Random(0)) is None


def test_foreign_answers_are_of_another_image() -> None:
    same_image = Talk("c", (("Who?", "Me."),), "me", "a.png")
    strange = foreign(TALK, [TALK, same_image, OTHER], random.Random(0))
    assert strange is not None and strange.answers == ("Now.", "There.", "Now.")
    assert [question for question, _ in strange.rounds] == ["Who?", "Why?", "Mark it."]
    assert foreign(TALK, [TALK, same_image], random.Random(0)) is None
