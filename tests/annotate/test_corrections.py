"""Corrections of dialogues: what both change alike is taken, all else waits for a person, and every word is kept."""

from copy import deepcopy
from typing import Any

import pytest
from tests.prist.conftest import turns

from miras.annotate.collect import Work
from miras.annotate.corrections import TextDecision, changes, decide_texts, difference
from miras.annotate.plan import Group, Record

GROUP = Group("G1", ("ann", "bob"), "cem", ("a.png",))
TALK = turns("What is there?", "Two cups.\nBoth red.", "Mark it.", "Sure, [SEG].")
RECORD: Record = {"img_id": "a.png", "dialogue": TALK, "focus": "cup", "n": 1}


def said(text: str | None = None, **fields: Any) -> Record:
    record = {**deepcopy(RECORD), **fields}
    if text is not None:
        record["dialogue"][1]["value"] = text
    return record


def decided(looked: tuple[str, ...] = (), **versions: Record) -> TextDecision:
    works = {
        name: Work(name, records={0: record}, looked=frozenset({0} if name in looked else ()))
        for name, record in versions.items()
    }
    (found,) = decide_texts(GROUP, [0], [RECORD], works, "rea")
    return found


def test_what_nobody_changed_stays() -> None:
    for version in (said(), said("Two cups. Both  red.")):
        found = decided(ann=version, bob=said())
        assert (found.rule, found.settled, found.changes, found.differences) == ("unchanged", True, (), {})
        assert found.record is RECORD


def test_the_same_words_are_taken() -> None:
    found = decided(ann=said("One cup."), bob=said("One  cup. "))
    assert (found.rule, found.settled) == ("both", True)
    assert found.record == said("One cup.")
    assert [(change.person, change.where, change.before, change.after) for change in found.changes] == [
        ("ann", "turn 1", "Two cups.\nBoth red.", "One cup."), ("bob", "turn 1", "Two cups.\nBoth red.", "One  cup. "),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ann", "bob", "rule"),
    [
        (said("One cup."), said(), "one alone"),
        (said(), said(focus="mug"), "one alone"),
        (said("One cup."), said("No cup."), "two ways"),
        (said("One cup."), said("One cup.", focus="mug"), "two ways"),
    ],
)
def test_other_words_wait_for_a_person(ann: Record, bob: Record, rule: str) -> None:
    found = decided(ann=ann, bob=bob, cem=said("Three."))
    assert (found.rule, found.settled, found.record) == (rule, False, RECORD)


def test_resolver_and_reviewer_decide_where_they_looked() -> None:
    first, second, third = said("One cup."), said("No cup."), said("A cup.")
    found = decided(("cem",), ann=first, bob=second, cem=third)
    assert (found.rule, found.record) == ("resolver", third)
    kept = decided(("cem",), ann=first, bob=second, cem=said())
    assert (kept.rule, kept.settled, kept.record) == ("resolver", True, RECORD)
    last = decided(("cem", "rea"), ann=first, bob=second, cem=third, rea=second)
    assert (last.rule, last.record) == ("reviewer", second)
    assert set(last.differences or {}) == {"ann", "bob", "cem", "rea"}


def test_a_text_that_did_not_come_back_is_not_taken_for_unchanged() -> None:
    works = {"ann": Work("ann", records={0: said("One cup.")}), "bob": Work("bob")}
    (found,) = decide_texts(GROUP, [0], [RECORD], works, "rea")
    assert (found.rule, found.settled, found.record) == ("missing", False, RECORD)
    works["cem"] = Work("cem", records={0: said()}, looked=frozenset({0}))
    assert decide_texts(GROUP, [0], [RECORD], works, "rea")[0].rule == "resolver"


def test_turns_that_come_or_go_are_one_change() -> None:
    longer = said(dialogue=[*turns("Hm?", "Yes."), *TALK])
    (change,) = changes(RECORD, longer, "ann")
    assert (change.where, change.after.splitlines()[:3]) == ("dialogue", ["focus: cup", "human: Hm?", "gpt: Yes."])


def test_the_difference_is_a_unified_diff() -> None:
    assert difference(RECORD, said("Two cups.\nOne red.", focus="mug"), "record 0", "ann").splitlines() == [
        "--- record 0", "+++ record 0, ann", "@@ -1,6 +1,6 @@", "-focus: cup", "+focus: mug", " human: What is there?",
        " gpt: Two cups.", "-Both red.", "+One red.", " human: Mark it.", " gpt: Sure, [SEG].",
    ]  # fmt: skip
