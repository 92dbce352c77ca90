"""The rubric: what a judge is asked, read from `prompts/*.md`, with its dimensions in any order (paper, figure 8)."""

import json
from collections.abc import Sequence

from miras.evaluate.judge.forms import DIMENSIONS
from miras.evaluate.judge.talks import Talk
from miras.llm.forms import Message
from miras.llm.prompts import Prompts

__all__ = ["PAIR", "SCORE", "pair_messages", "score_messages"]

_PACKAGE = "miras.evaluate.judge"
_FILES = {letter: name.removesuffix("_score") for letter, name in DIMENSIONS.items()}

SCORE = Prompts(_PACKAGE, ("score", *_FILES.values()))
"""What a judge is asked of one conversation."""
PAIR = Prompts(_PACKAGE, ("pair", *_FILES.values()))
"""What a judge is asked of two."""

_SHOWN = "You see the image above."
_NOT_SHOWN = "The image cannot be shown. Judge by the words alone, and do not guess what it shows."
_NO_GOAL = "not stated; take it from the questions"


def score_messages(talk: Talk, image: str | None, order: Sequence[str] = tuple(DIMENSIONS)) -> list[Message]:
    """The request to score a conversation, with its dimensions in that order and the image as a data URI."""
    example = {"scores": [{"name": DIMENSIONS[letter], "score": "…"} for letter in order]}
    example["scores"].append({"name": "total_score", "score": "…"})
    reply = json.dumps({**example, "summary": "…"}, ensure_ascii=False).replace('"score": "…"', '"score": …')
    slots = {**_about(talk, image), "dimensions": _dimensions(order), "conversation": talk.listed, "reply": reply}
    return SCORE.messages("score", slots, image)


def pair_messages(first: Talk, second: Talk, image: str | None) -> list[Message]:
    """The request to say which of two conversations is better, the first being A."""
    slots = {**_about(first, image), "dimensions": _dimensions(tuple(DIMENSIONS))}
    return PAIR.messages("pair", {**slots, "a": first.listed, "b": second.listed}, image)


def _about(talk: Talk, image: str | None) -> dict[str, str]:
    return {"image": _SHOWN if image else _NOT_SHOWN, "goal": talk.goal or _NO_GOAL}


def _dimensions(order: Sequence[str]) -> str:
    blocks = [(DIMENSIONS[letter], *SCORE.parts(_FILES[letter], {})) for letter in order]
    return "\n\n".join(f"{name}: {asked}\n{bands}" for name, asked, bands in blocks)
