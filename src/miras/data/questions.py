"""Questions that need no mask: presence, colour and place of annotated things, and how replies are read back."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from miras.data.clues import is_group
from miras.data.facts import fact, related
from miras.data.photos import Photo, PhotoObject
from miras.data.phrasing import forms, pick, say

__all__ = [
    "COLORS",
    "POSITIONS",
    "Question",
    "QuestionKind",
    "Vocabulary",
    "absent_names",
    "ask",
    "question",
    "read_answer",
    "vocabulary",
]

QuestionKind = Literal["objects", "colors", "places"]
Vocabulary = Mapping[str, frozenset[str]]
"""Source of photos → every class that it annotates."""

COLORS = ("beige", "black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "white", "yellow")
POSITIONS = tuple(f"{row} {column}" for row in ("top", "middle", "bottom") for column in ("left", "center", "right"))

_SPELLINGS = {"grey": "gray", "centre": "center", "upper": "top", "lower": "bottom"}
_COLOR = re.compile(rf"\b(?:{'|'.join((*COLORS, 'grey'))})\b", re.IGNORECASE)
_PLACE = re.compile(r"\b(top|upper|middle|bottom|lower)[ -](left|center|centre|right)\b", re.IGNORECASE)
_YES_NO = re.compile(r"\W*(yes|yeah|yep|no|nope)\b(?!\s+(?:idea|doubt|and|or)\b)", re.IGNORECASE)
_SEES = r"(?:see|find|notice|make out|contain|show|have)s?"
_NEGATED = re.compile(
    rf"\b(?:there (?:is|are) (?:no|not|none)|{_SEES} no|(?:cannot|can't|do(?:es)? not|don't|doesn't) {_SEES})\b",
    re.IGNORECASE,
)
_AFFIRMED = re.compile(r"\b(?:there (?:is|are)|there's|i (?:can )?see|shows|contains|can be seen)\b", re.IGNORECASE)
_DENIED = re.compile(r"\bnot\b|n't\b|\bneither\b", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """A question with its short answer and a reply in words that holds the answer."""

    kind: QuestionKind
    text: str
    answer: str
    """`yes` or `no`, a colour word, or one of the nine positions."""
    reply: str


def vocabulary(photos: Iterable[Photo]) -> Vocabulary:
    """The classes that each source annotates; what a photo of that source may be asked about."""
    found: dict[str, set[str]] = {}
    for photo in photos:
        found.setdefault(photo.source, set()).update(o.class_name for o in photo.objects)
    return {source: frozenset(names) for source, names in found.items()}


def question(photo: Photo, kind: QuestionKind, rng: np.random.Generator, vocabulary: Vocabulary) -> Question | None:
    """A question of that kind; None when the photo's annotations do not decide one.

    `objects` asks about something present and something absent equally often, so it also needs a class that is
    surely absent. `colors` and `places` leave out groups, and colours of people.
    """
    if kind not in get_args(QuestionKind):
        raise ValueError(f"a question asks about {get_args(QuestionKind)}, got {kind!r}; choose one of them")
    if kind == "objects":
        return _presence(photo, rng, vocabulary)
    askable = [o for o in photo.objects if _askable(o, kind)]
    return ask(pick(rng, askable), kind, rng) if askable else None


def ask(target: PhotoObject, kind: Literal["colors", "places"], rng: np.random.Generator) -> Question | None:
    """The colour or place question about one object; None when that is not annotated or not meaningful."""
    answer = target.color if kind == "colors" else target.position
    if answer is None or not _askable(target, kind):
        return None
    slots = {**forms(target.phrase, target.class_name), "color": answer, "place": answer}
    text = say(f"{kind}_q", rng, slots)
    reply = say(f"{kind}_a", rng, slots, accept=lambda said: read_answer(kind, said) == answer)
    return Question(kind, text, answer, reply) if text and reply else None


def _askable(target: PhotoObject, kind: QuestionKind) -> bool:
    if is_group(target):
        return False
    return target.position is not None if kind == "places" else _has_color(target)


def _has_color(target: PhotoObject) -> bool:
    return target.color is not None and not fact(target.class_name).colorless


def absent_names(photo: Photo, vocabulary: Vocabulary) -> list[str]:
    """Classes of the photo's source that are surely not in it: none implies or is implied by what is annotated."""
    present = {o.class_name for o in photo.objects}
    known = sorted(vocabulary.get(photo.source, ()))
    return [name for name in known if not any(name == seen or related(name, seen) for seen in present)]


def _presence(photo: Photo, rng: np.random.Generator, vocabulary: Vocabulary) -> Question | None:
    present = sorted({o.class_name for o in photo.objects})
    absent = absent_names(photo, vocabulary)
    if not absent:
        return None
    answer = "yes" if rng.random() < 0.5 else "no"
    name = pick(rng, present if answer == "yes" else absent)
    slots = forms(name, name)
    text, reply = say("objects_q", rng, slots), say(f"objects_{answer}", rng, slots)
    return Question("objects", text, answer, reply) if text and reply else None


def read_answer(kind: QuestionKind, reply: str) -> str | None:
    """The short answer that a reply in words holds; None when it holds none or more than one."""
    if kind == "objects":
        return _read_presence(reply)
    if _DENIED.search(reply):
        return None
    if kind == "colors":
        found = {_SPELLINGS.get(word.lower(), word.lower()) for word in _COLOR.findall(_predicate(reply))}
    else:
        pairs = ((row.lower(), column.lower()) for row, column in _PLACE.findall(reply))
        found = {f"{_SPELLINGS.get(row, row)} {_SPELLINGS.get(column, column)}" for row, column in pairs}
    return found.pop() if len(found) == 1 else None


def _predicate(reply: str) -> str:
    """What is said of the thing: `yellow` in `the orange is yellow`, `red` in `red is what I see`, nothing in
    `the orange is ripe`.
    """
    said = re.split(r"\b(?:is|are|appears?|looks?|shows?)\b", reply, maxsplit=1)[-1]
    return said if _COLOR.search(said) or reply.lower().startswith("the ") else reply


def _read_presence(reply: str) -> str | None:
    if said := _YES_NO.match(reply):
        return "yes" if said[1].lower().startswith("y") else "no"
    if _NEGATED.search(reply):
        return "no"
    return "yes" if _AFFIRMED.search(reply) else None
