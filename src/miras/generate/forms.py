"""The forms that a language model fills in, step by step (paper figure 7), and the rules that a form must keep.

A form is what JSON must look like; its `check` raises ReplyRejected where what stands in it breaks a rule of the paper.
The model is told, and asked again.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from miras import tokens
from miras.data.phrasing import gives_away
from miras.errors import ReplyRejected
from miras.prist.check import TURNS

__all__ = ["Element", "Elements", "Form", "Node", "Path", "Question", "Round", "Rounds", "Score", "Tree", "Verdict"]

_MOST_CHILDREN = 3
"""Most child nodes of a node (section 3.2.2)."""
_ROUNDS = (4, 8)
"""Rounds that a model is asked for (figure 7c)."""
_LONGEST = 60
"""Most words of a question or an answer; the paper's longest answer has 27."""
_MARKS = re.compile(
    r"\b(segment|mark|outlin|highlight|trac|mask|pixel|delineat|draw|divid|contour|shade|colou?r in|"
    r"exact(ly)? (where|shape|area|extent)|cut (it|that|this) out)",
    re.IGNORECASE,
)


def _strict(schema: dict[str, Any]) -> None:
    """Every field is there and no other: what `strict` JSON schemas ask for."""
    schema["required"] = list(schema.get("properties", {}))
    schema["additionalProperties"] = False


class Form(BaseModel):
    """One JSON object, its texts without blanks around them and without the tokens that mark masks."""

    model_config = ConfigDict(json_schema_extra=_strict, str_strip_whitespace=True)

    @field_validator("*")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        if isinstance(value, str) and (tokens.SEG in value or tokens.OBJ in value):
            raise ValueError(f"{tokens.OBJ} and {tokens.SEG} are added later, leave them out")
        return value


class Element(Form):
    """Something visible, in figure 7a's fields."""

    name: str = Field(min_length=1, description="a short name, 1 to 5 words, different from all the others")
    text: str = Field(min_length=1, description="its colour, material, place and what is written on it")
    number: str | None = Field(default=None, description="how many there are, or null")
    caption: str = Field(min_length=1, description="one sentence that sets it in the scene")

    @property
    def listed(self) -> str:
        """As a prompt shows it."""
        number = f" ({self.number})" if self.number else ""
        return f"- {self.name}{number}: {self.text} {self.caption}"

    @field_validator("number", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) else value


class Elements(Form):
    """Step 1: what is visible."""

    elements: list[Element] = Field(description="at least 3")

    def check(self) -> None:
        """At least three, each with a name of its own."""
        names = [one.name.casefold() for one in self.elements]
        if len(names) < 3:
            raise ReplyRejected(f"at least 3 elements are needed, got {len(names)}", "too few")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ReplyRejected(f"each element has a name of its own, {twice} come more than once", "same name")


class Question(Form):
    """Step 2-1: the question that a dialogue is about."""

    question: str = Field(min_length=1, description="one question of at most 40 words")

    def check(self, target: str) -> None:
        """It is one question, and does not name what it asks for."""
        if not self.question.endswith("?"):
            raise ReplyRejected(f"{self.question!r} should be one question that ends with ?", "no question")
        _secret(self.question, target, "the question")
        _short(self.question, "the question")


class Score(Form):
    """Step 2-1: 1 to 3 points by figure 7b's criteria."""

    reason: str = Field(min_length=1, description="why, in one sentence")
    score: Literal[1, 2, 3]


class Path(Form):
    """The step of one path at a node."""

    path_name: str = Field(pattern=r"^Path [1-4]$", description="Path 1, Path 2, …")
    path_description: str = Field(min_length=1, description="what this step settles for the path")
    reasoning_question: str = Field(min_length=1)
    reasoning_answer: str = Field(min_length=1)


class Node(Form):
    """A node of the reasoning tree: a question and its answer for every path that goes through it."""

    node_name: str = Field(min_length=1, description="a name of its own")
    parent: str = Field(min_length=1, description="the name of the node above it, or the root node")
    overlap: str = Field(min_length=1, description="'Overlap of Path 1 and 3', or 'Path 2 Independent'")
    reasoning_paths: list[Path] = Field(min_length=1)

    @property
    def paths(self) -> list[str]:
        """The names of the paths that go through it."""
        return [one.path_name for one in self.reasoning_paths]


class Tree(Form):
    """Step 2-2: one path per question, from the root to its target."""

    root_node: str = Field(min_length=1, description="the scene that all paths begin with")
    inference_nodes: list[Node] = Field(min_length=1, description="from the root downwards")

    def check(self, paths: int) -> None:
        """It is a tree of at most three children per node; each path runs through 2 nodes or more, from the root down.

        Every overlap is named as it is.
        """
        above = {self.root_node: ""}
        for node in self.inference_nodes:
            if node.parent not in above:
                raise ReplyRejected(
                    f"node {node.node_name!r} has parent {node.parent!r}, which is not before it", "no tree"
                )
            if node.node_name in above:
                raise ReplyRejected(f"the name {node.node_name!r} comes more than once", "no tree")
            above[node.node_name] = node.parent
        for name in above:
            if (children := [*above.values()].count(name)) > _MOST_CHILDREN:
                raise ReplyRejected(
                    f"{name!r} has {children} children, at most {_MOST_CHILDREN} are allowed", "too wide"
                )
        for index in range(1, paths + 1):
            nodes = [node for node in self.inference_nodes if f"Path {index}" in node.paths]
            if len(nodes) < 2:
                raise ReplyRejected(f"Path {index} should run through at least 2 nodes, got {len(nodes)}", "short path")
            if [node.parent for node in nodes] != [self.root_node, *(node.node_name for node in nodes[:-1])]:
                raise ReplyRejected(
                    f"the nodes of Path {index} should follow each other from the root down", "broken path"
                )
        for node in self.inference_nodes:
            _overlap(node, paths)

    def path(self, index: int) -> list[Path]:
        """The steps of Path `index`, counted from 1, from the root down."""
        wanted = f"Path {index}"
        return [one for node in self.inference_nodes for one in node.reasoning_paths if one.path_name == wanted]


class Round(Form):
    """A question and its answer."""

    question: str = Field(min_length=1)
    answer: str = Field(description="the answer; empty in the last round")


class Rounds(Form):
    """Step 3: a dialogue about one target."""

    rounds: list[Round] = Field(description="4 to 8, the last one a request to mark the target without naming it")
    focus: str = Field(min_length=1, description="the target in 1 to 8 words")

    @property
    def listed(self) -> str:
        """As a prompt shows it."""
        return "\n".join(
            f"{index}. Person: {one.question}\n   Assistant: {one.answer}" for index, one in enumerate(self.rounds, 1)
        )

    def check(self, target: str) -> None:
        """4 to 8 different rounds towards the target, the last one a request for it that does not name it."""
        fewest, most = _ROUNDS
        if not fewest <= len(self.rounds) <= most:
            raise ReplyRejected(f"{fewest} to {most} rounds are needed, got {len(self.rounds)}", "rounds")
        if not gives_away(self.focus, target, target):
            raise ReplyRejected(f"focus should be {target!r}, in your words, got {self.focus!r}", "focus")
        if len(self.focus.split()) > 8:
            raise ReplyRejected(f"focus has at most 8 words, got {len(self.focus.split())}", "focus")
        *before, last = self.rounds
        if len({one.question.casefold() for one in self.rounds}) < len(self.rounds):
            raise ReplyRejected("a question is asked twice, each round should go on from the last", "repeats")
        for number, one in enumerate(before, 1):
            if not one.answer:
                raise ReplyRejected(f"round {number} has no answer", "no answer")
            _short(one.question, f"question {number}")
            _short(one.answer, f"answer {number}")
        for name in (target, self.focus):
            _secret(last.question, name, "the last request")
        _secret(self.rounds[0].question, self.focus, "the first question")
        if not _MARKS.search(last.question):
            raise ReplyRejected(f"the last round should ask to mark or segment, got {last.question!r}", "no request")


class Verdict(Form):
    """The feedback step: what is true of a dialogue and what is not."""

    wrong: list[str] = Field(description="each statement that the image or the elements contradict, or that is idle")
    drop: list[int] = Field(description="numbers of rounds to leave out, as they repeat or lead nowhere")
    verdict: Literal["accept", "repair", "reject"]

    def check(self, rounds: int) -> None:
        """What is left after dropping is 3 to 7 rounds with the last among them; a repair says what is wrong."""
        fewest, most = TURNS
        if set(self.drop) - set(range(1, rounds)):
            raise ReplyRejected(f"only rounds 1 to {rounds - 1} can be dropped, got {self.drop}", "drop")
        left = rounds - len(set(self.drop))
        if self.verdict == "accept" and not fewest <= left <= most:
            raise ReplyRejected(f"{fewest} to {most} rounds should be left, {left} of {rounds} are", "drop")
        if self.verdict != "accept" and not self.wrong:
            raise ReplyRejected(f"{self.verdict} needs at least one entry in wrong", "no reason")


def _secret(text: str, target: str, what: str) -> None:
    if gives_away(text, target, target):
        raise ReplyRejected(f"{what} {text!r} gives {target!r} away; describe it in other words", "names the target")


def _short(text: str, what: str) -> None:
    if (words := len(text.split())) > _LONGEST:
        raise ReplyRejected(f"{what} has {words} words, at most {_LONGEST} are allowed", "too long")


def _overlap(node: Node, paths: int) -> None:
    through = _numbers(node.paths)
    named = _numbers([node.overlap])
    if len(set(through)) < len(through):
        raise ReplyRejected(f"node {node.node_name!r} holds a path twice", "overlap")
    if max(through) > paths:
        raise ReplyRejected(f"node {node.node_name!r} holds Path {max(through)}, there are {paths} paths", "overlap")
    if sorted(named) != sorted(through):
        raise ReplyRejected(
            f"{node.overlap!r} of node {node.node_name!r} should name paths {sorted(through)}", "overlap"
        )


def _numbers(texts: Sequence[str]) -> list[int]:
    return [int(digits) for text in texts for digits in re.findall(r"\d+", text)]
