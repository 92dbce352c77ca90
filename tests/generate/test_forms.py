"""The rules of each step: what keeps them passes, and each way of breaking one is named."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from miras.errors import ReplyRejected
from miras.generate.forms import Elements, Question, Rounds, Score, Tree, Verdict


def _element(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "text": "It is brown.", "caption": "It stands there.", **more}


def _node(name: str, parent: str, overlap: str, *paths: int) -> dict[str, Any]:
    step = {"path_description": "d", "reasoning_question": "q?", "reasoning_answer": "a"}
    through = [{"path_name": f"Path {path}", **step} for path in paths]
    return {"node_name": name, "parent": parent, "overlap": overlap, "reasoning_paths": through}


def _tree(*nodes: dict[str, Any]) -> Tree:
    return Tree.model_validate({"root_node": "root", "inference_nodes": nodes})


START = _node("start", "root", "Overlap of Path 1 and 2", 1, 2)
ENDS = (_node("mug", "start", "Path 1 Independent", 1), _node("spoon", "start", "Path 2 Independent", 2))
WIDE = [_node(name, "root", f"Path {i} Independent", i) for i, name in enumerate("abcd", 1)]


def _rounds(last: str = "Please mark it.", focus: str = "the brown mug", count: int = 3, **more: str) -> Rounds:
    said = [{"question": f"What is thing {i}?", "answer": f"Something, number {i}."} for i in range(count)]
    said[0] |= more
    return Rounds.model_validate({"rounds": [*said, {"question": last, "answer": ""}], "focus": focus})


def test_what_keeps_the_rules_passes() -> None:
    Elements.model_validate({"elements": [_element(name) for name in "abc"]}).check()
    Question(question="What would one drink from?").check("mug")
    _tree(START, *ENDS).check(2)
    assert [one.path_name for one in _tree(START, *ENDS).path(2)] == ["Path 2", "Path 2"]
    _rounds().check("mug")
    Verdict(wrong=[], drop=[2], verdict="accept").check(8)


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("too few", lambda: Elements.model_validate({"elements": [_element("a"), _element("b")]}).check()),
        ("same name", lambda: Elements.model_validate({"elements": [_element(n) for n in ("a", "b", "A")]}).check()),
        ("no question", lambda: Question(question="Drink.").check("mug")),
        ("names the target", lambda: Question(question="Where are the mugs?").check("red mug")),
        ("too long", lambda: Question(question=f"Why {'so ' * 60}?").check("mug")),
        ("no tree", lambda: _tree(ENDS[0], START).check(1)),
        ("no tree", lambda: _tree(START, START, *ENDS).check(2)),
        ("too wide", lambda: _tree(*WIDE).check(4)),
        ("short path", lambda: _tree(START, ENDS[0]).check(2)),
        ("broken path", lambda: _tree(START, ENDS[0], _node("spoon", "root", "Path 2 Independent", 2)).check(2)),
        ("overlap", lambda: _tree({**START, "overlap": "Path 1 Independent"}, *ENDS).check(2)),
        ("overlap", lambda: _tree(START, *ENDS, _node("fork", "spoon", "Path 3 Independent", 3)).check(2)),
        ("overlap", lambda: _tree(_node("start", "root", "Path 1 and 1", 1, 1), ENDS[0]).check(1)),
        ("rounds", lambda: _rounds(count=2).check("mug")),
        ("rounds", lambda: _rounds(count=8).check("mug")),
        ("focus", lambda: _rounds(focus="the spoon").check("mug")),
        ("focus", lambda: _rounds(focus="the mug that stands to the left of everything").check("mug")),
        ("repeats", lambda: _rounds(question="What is thing 1?").check("mug")),
        ("no answer", lambda: _rounds(answer=" ").check("mug")),
        ("too long", lambda: _rounds(answer="so " * 61).check("mug")),
        ("names the target", lambda: _rounds("Mark the mug.").check("mug")),
        ("names the target", lambda: _rounds("Mark the cup.", focus="mug, a cup").check("mug")),
        ("names the target", lambda: _rounds(question="Is this a mug?").check("mug")),
        ("no request", lambda: _rounds("And what is it?").check("mug")),
        ("drop", lambda: Verdict(wrong=[], drop=[4], verdict="accept").check(4)),
        ("drop", lambda: Verdict(wrong=[], drop=[1, 2], verdict="accept").check(4)),
        ("drop", lambda: Verdict(wrong=[], drop=[], verdict="accept").check(8)),
        ("no reason", lambda: Verdict(wrong=[], drop=[], verdict="repair").check(4)),
    ],
)  # fmt: skip
def test_each_broken_rule_is_named(rule: str, broken: Callable[[], None]) -> None:
    with pytest.raises(ReplyRejected) as told:
        broken()
    assert told.value.rule == rule


def test_forms_are_cleaned_and_closed() -> None:
    found = Elements.model_validate({"elements": [_element(" mug ", number=2, mood="calm")]})
    assert found.elements[0].name == "mug" and found.elements[0].number == "2"
    for broken in (_element("the [SEG]"), _element(" "), {"name": "a"}):
        with pytest.raises(ValidationError):
            Elements.model_validate({"elements": [broken]})
    with pytest.raises(ValidationError):
        Score.model_validate({"reason": "r", "score": 4})
    schema = Elements.model_json_schema()
    for part in (schema, schema["$defs"]["Element"]):  # what strict servers ask for
        assert part["additionalProperties"] is False and set(part["required"]) == set(part["properties"])
