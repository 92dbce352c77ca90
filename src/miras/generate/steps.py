"""The paper's three steps (section 3.2, figures 2 and 7) and its feedback loop, asked of a language model that sees.

Every reply is checked against its form and its rules by the client, which asks again; what still fails is rejected with
the rule that it broke.
"""

import asyncio
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from miras import tokens
from miras.data.phrasing import say
from miras.data.reasoning import talk
from miras.errors import ImageError, ReplyRejected
from miras.generate.forms import Element, Elements, Path, Question, Rounds, Score, Tree, Verdict
from miras.generate.images import Picture
from miras.generate.prompts import PROMPTS
from miras.generate.teachers import MOST_TARGETS, Rejected, Taught, broken_rule
from miras.llm.client import Client
from miras.llm.pictures import sent
from miras.types import Dialogue, Target

__all__ = ["ModelTeacher"]

_FEWEST_TARGETS = 2
_ENOUGH = 2
"""Points that a question needs (figure 7b)."""
_ROUNDS = 3
"""Times that a question is asked for, and that a dialogue is written, until it is good enough."""


@dataclass(frozen=True)
class _Told:
    """What is known of an image after step 1."""

    picture: Picture
    image: str
    """As a data URI."""
    elements: tuple[Element, ...]

    @property
    def listed(self) -> str:
        """The elements as a prompt shows them."""
        return "\n".join(one.listed for one in self.elements)


@dataclass(frozen=True)
class _Theme:
    """What one dialogue is about."""

    target: Element
    question: str


@dataclass(frozen=True)
class ModelTeacher:
    """Asks a model for elements, questions, a tree and dialogues, and lets it check what it wrote."""

    client: Client
    seed: int = 0

    async def teach(self, picture: Picture) -> Taught:
        """2 to 4 dialogues of one image, without masks; fewer where what was asked for could not be had."""
        try:
            told = await self._elements(picture)
        except ImageError as error:
            return Taught((), (Rejected("image", "unreadable", str(error)),))
        except ReplyRejected as error:
            return Taught((), (Rejected("elements", error.rule, str(error)),))
        rng = random.Random(f"{self.seed} {picture.name}")
        targets = rng.sample(told.elements, rng.randint(_FEWEST_TARGETS, min(len(told.elements), MOST_TARGETS)))
        themes: list[_Theme] = []
        rejected: list[Rejected] = []
        for target in targets:
            try:
                themes.append(_Theme(target, await self._question(told, target)))
            except ReplyRejected as error:
                rejected.append(Rejected("question", error.rule, str(error), target.name))
        try:
            tree = await self._tree(told, themes) if themes else None
        except ReplyRejected as error:
            rejected += [Rejected("tree", error.rule, str(error), theme.target.name) for theme in themes]
            tree = None
        dialogues: list[Dialogue] = []
        for index, theme in enumerate(themes, 1):
            if tree is None:
                break
            try:
                dialogues.append(await self._dialogue(told, theme, tree.path(index)))
            except ReplyRejected as error:
                rejected.append(Rejected("dialogue", error.rule, str(error), theme.target.name))
        return Taught(tuple(dialogues), tuple(rejected))

    async def _elements(self, picture: Picture) -> _Told:
        """Step 1: what is visible."""
        image = (await asyncio.to_thread(sent, picture.path)).uri
        captions = "".join(f"People described it so: {caption}\n" for caption in picture.captions)
        asked = PROMPTS.messages("elements", {"captions": captions}, image)
        found = await self.client.ask(asked, Elements, Elements.check)
        return _Told(picture, image, tuple(found.elements))

    async def _question(self, told: _Told, target: Element) -> str:
        """Step 2-1: a question worth 2 points or more, asked for up to three times."""
        slots = {"elements": told.listed, "target": target.name}
        earlier = ""
        for _ in range(_ROUNDS):
            asked = PROMPTS.messages("question", {**slots, "earlier": earlier}, told.image)
            question = (await self.client.ask(asked, Question, lambda one: one.check(target.name))).question
            points = await self.client.ask(PROMPTS.messages("score", {**slots, "question": question}), Score)
            if points.score >= _ENOUGH:
                return question
            earlier += f"Not good enough, {points.score} of 3 points: {question} ({points.reason})\n"
        raise ReplyRejected(f"{_ROUNDS} questions in turn were too poor: {earlier}", "score")

    async def _tree(self, told: _Told, themes: Sequence[_Theme]) -> Tree:
        """Step 2-2: one path to each target."""
        lines = [f"Path {index}: {one.question} (target: {one.target.name})" for index, one in enumerate(themes, 1)]
        asked = PROMPTS.messages("tree", {"elements": told.listed, "questions": "\n".join(lines)}, told.image)
        return await self.client.ask(asked, Tree, lambda one: one.check(len(themes)))

    async def _dialogue(self, told: _Told, theme: _Theme, path: Sequence[Path]) -> Dialogue:
        """Step 3, and the feedback on it until it is accepted."""
        name, wrong = theme.target.name, ""
        steps = "\n".join(f"{one.reasoning_question} → {one.reasoning_answer}" for one in path)
        slots = {"elements": told.listed, "question": theme.question, "target": name, "path": steps}
        for _ in range(_ROUNDS):
            asked = PROMPTS.messages("dialogue", {**slots, "wrong": wrong}, told.image)
            talked = await self.client.ask(asked, Rounds, lambda one: one.check(name))
            asked = PROMPTS.messages(
                "feedback", {**slots, "dialogue": talked.listed, "target": talked.focus}, told.image
            )
            verdict = await self.client.ask(asked, Verdict, partial(Verdict.check, rounds=len(talked.rounds)))
            if verdict.verdict == "accept":
                return self._written(told.picture, theme, talked, verdict.drop)
            reasons = "; ".join(verdict.wrong)
            if verdict.verdict == "reject":
                raise ReplyRejected(f"the feedback rejected it: {reasons}", "feedback")
            wrong = f"An earlier conversation was wrong, avoid this: {reasons}\n{talked.listed}\n"
        raise ReplyRejected(f"{_ROUNDS} conversations in turn were wrong, at last: {reasons}", "feedback")

    def _written(self, picture: Picture, theme: _Theme, talked: Rounds, drop: Collection[int]) -> Dialogue:
        """The dialogue with the rounds that are kept, and with an answer to its request."""
        rng = np.random.default_rng([self.seed, *f"{picture.name} {theme.target.name}".encode()])
        last = say("reply", rng, {"marked": tokens.write(talked.focus)}) or tokens.write(talked.focus)
        kept = [(one.question, one.answer) for index, one in enumerate(talked.rounds, 1) if index not in drop]
        dialogue = Dialogue(
            talk([*kept[:-1], (kept[-1][0], last)]),
            (Target(talked.focus),),
            image=picture.name,
            focus=talked.focus,
            kind="prist",
            meta={
                "element": theme.target.name,
                "question": theme.question,
                "teacher": self.client.endpoint.model,
            },
        )
        if broken := broken_rule(dialogue):
            raise ReplyRejected(broken, "rules")
        return dialogue
