"""Questions that need no mask: presence, colour and place of annotated things, and how replies are read back."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, get_args

import numpy as np

from miras.data.clues import is_group
from miras.data.facts import fact, related
from miras.data.habits import Habits
from miras.data.photos import Photo, PhotoObject
from miras.data.phrasing import forms, listing, pick, say

__all__ = [
    "COLORS",
    "COLUMNS",
    "POSITIONS",
    "ROWS",
    "Question",
    "QuestionKind",
    "Vocabulary",
    "absent_name",
    "absent_names",
    "ask",
    "ask_several",
    "question",
    "read_answer",
    "vocabulary",
]

QuestionKind = Literal["objects", "colors", "places"]
Vocabulary = Mapping[str, Mapping[str, int]]
"""Source of photos → every class that it annotates → how many of its photos hold that class."""

COLORS = ("beige", "black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "white", "yellow")
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")
POSITIONS = tuple(f"{row} {column}" for row in ROWS for column in COLUMNS)

_Thing = TypeVar("_Thing")

_SHORT = 0.4
"""Share of replies that are the short answer alone."""
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
    about: str
    """The phrase of the thing asked about."""
    text: str
    answer: str
    """`yes` or `no`, a colour word, or one of the nine positions."""
    reply: str

    @property
    def short(self) -> str:
        """The answer alone, as a reply."""
        return f"{self.answer.capitalize()}."


def vocabulary(photos: Iterable[Photo]) -> Vocabulary:
    """The classes that each source annotates; what a photo of that source may be asked about."""
    found: dict[str, Counter[str]] = {}
    for photo in photos:
        found.setdefault(photo.source, Counter()).update({o.class_name for o in photo.objects})
    return found


def question(
    photo: Photo, kind: QuestionKind, rng: np.random.Generator, vocabulary: Vocabulary, habits: Habits | None = None
) -> Question | None:
    """A question of that kind; None when the photo's annotations do not decide one.

    `objects` asks about something present and something absent equally often, so it also needs a class that is
    surely absent. `colors` and `places` leave out groups, and colours of people; each answer that the photo holds is
    as likely as the others. With `habits`, what is asked about is drawn so that its name alone says little.
    """
    if kind not in get_args(QuestionKind):
        raise ValueError(f"a question asks about {get_args(QuestionKind)}, got {kind!r}; choose one of them")
    if kind == "objects":
        return _presence(photo, rng, vocabulary, habits)
    if habits is not None:
        known = [target for target in photo.objects if _askable(target, kind)]
        return ask(_drawn(rng, known, [habits.surprise(kind, o) for o in known]), kind, rng) if known else None
    by_answer: dict[str | None, list[PhotoObject]] = {}
    for target in photo.objects:
        if _askable(target, kind):
            by_answer.setdefault(_answer(target, kind), []).append(target)
    return ask(pick(rng, pick(rng, list(by_answer.values()))), kind, rng) if by_answer else None


def ask(target: PhotoObject, kind: Literal["colors", "places"], rng: np.random.Generator) -> Question | None:
    """The colour or place question about one object; None when that is not annotated or not meaningful."""
    answer = _answer(target, kind)
    if answer is None or not _askable(target, kind):
        return None
    slots = {**forms(target.phrase, target.class_name), "color": answer, "place": answer}
    text = say(f"{kind}_q", rng, slots)
    long = say(f"{kind}_a", rng, slots, accept=lambda said: read_answer(kind, said) == answer)
    return _made(kind, target.phrase, text, answer, long, rng)


def ask_several(
    photo: Photo, kind: QuestionKind, rng: np.random.Generator, told: Collection[str] = ()
) -> tuple[str, str, list[str]] | None:
    """One question for the colours or places of two to six things, its reply, and the phrases of these things.

    The reply takes them in the order asked: `The coat is black and the shoes are white.` What is `told` is left out;
    None with fewer than two others.
    """
    known = {o.phrase: o for o in photo.objects if _askable(o, kind) and o.phrase not in told}
    if len(known) < 2:
        return None
    chosen = [list(known.values())[index] for index in rng.permutation(len(known))[: 2 + int(rng.random() * 5)]]
    slots = [forms(target.phrase, target.class_name) for target in chosen]
    text = say(f"{kind}_several_q", rng, {"list": listing([each["the"] for each in slots])})
    within = "" if kind == "colors" else "in the "
    said = [f"{each['the']} {each['be']} {within}{_answer(o, kind)}" for each, o in zip(slots, chosen, strict=True)]
    reply = f"{listing(said)}."
    return (text, reply[0].upper() + reply[1:], [target.phrase for target in chosen]) if text else None


def _made(
    kind: QuestionKind, about: str, text: str | None, answer: str, long: str | None, rng: np.random.Generator
) -> Question | None:
    """The question with its long reply, or with no more than the answer; None where words were missing."""
    if not text or not long:
        return None
    made = Question(kind, about, text, answer, long)
    return replace(made, reply=made.short) if rng.random() < _SHORT else made


def _answer(target: PhotoObject, kind: QuestionKind) -> str | None:
    return target.color if kind == "colors" else target.position


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


def absent_name(photo: Photo, vocabulary: Vocabulary, rng: np.random.Generator) -> str | None:
    """One of `absent_names`, as often as other photos hold it, so that a name by itself tells little; None without."""
    absent = absent_names(photo, vocabulary)
    if not absent:
        return None
    return _drawn(rng, absent, [vocabulary[photo.source][name] for name in absent])


def _drawn(rng: np.random.Generator, things: Sequence[_Thing], weights: Sequence[float]) -> _Thing:
    """One of them, as likely as its weight."""
    return things[int(rng.choice(len(things), p=np.array(weights) / sum(weights)))]


def _presence(photo: Photo, rng: np.random.Generator, vocabulary: Vocabulary, habits: Habits | None) -> Question | None:
    present = sorted({o.class_name for o in photo.objects})
    absent = absent_name(photo, vocabulary, rng)
    if absent is None:
        return None
    weights = [1.0 if habits is None else habits.lacking(photo.source, name) for name in present]
    answer, name = ("yes", _drawn(rng, present, weights)) if rng.random() < 0.5 else ("no", absent)
    slots = forms(name, name)
    return _made("objects", name, say("objects_q", rng, slots), answer, say(f"objects_{answer}", rng, slots), rng)


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
