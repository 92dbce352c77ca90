"""Reasoning dialogues: questions that narrow from the scene to one target, answered truly, then its mask.

Every statement is read off the annotations or off the facts of a class; pixels are never opened.
"""

from collections.abc import Mapping

import numpy as np

from miras import tokens
from miras.data.clues import Trait, extreme, is_group, pin, same_region, side
from miras.data.facts import fact
from miras.data.photos import Photo, PhotoObject
from miras.data.phrasing import article, forms, gives_away, listing, number, pick, pronouns, say
from miras.types import Dialogue, Target, Turn

__all__ = ["ANSWER_WORDS", "QUESTION_WORDS", "Pair", "marked", "multi_turn", "talk"]

QUESTION_WORDS = 20
"""Most words of a question."""
ANSWER_WORDS = 25
"""Most words of an answer."""

_TURNS = (3, 4, 4, 4, 5, 5, 5, 6, 6, 7)
_LARGER = 1.25
"""How many times larger one area must be than another before the two are compared."""
_BEFORE = ("others", "whole", "where", "use", "count")
_AFTER = ("color", "place", "size", "side")
_OPPOSITE = {"to the left of": "to the right of", "above": "below"}
_OPPOSITE |= {value: key for key, value in _OPPOSITE.items()}

Pair = tuple[str, str]


def marked(target: PhotoObject, rng: np.random.Generator) -> str:
    """`[OBJ]{phrase}[SEG]`, with `the` before it in about half of the cases."""
    written = tokens.write(target.phrase)
    return written if is_group(target) or rng.random() < 0.5 else f"the {written}"


def talk(pairs: list[Pair]) -> tuple[Turn, ...]:
    """(question, answer) pairs → turns."""
    return tuple(turn for question, answer in pairs for turn in (Turn("user", question), Turn("assistant", answer)))


def multi_turn(photo: Photo, target: PhotoObject, rng: np.random.Generator) -> Dialogue | None:
    """A dialogue of 3 to 7 turns that reasons towards the target and then marks it; None when it cannot be pinned.

    The user never says its name; the assistant works it out in the turn before the request.
    """
    traits = pin(photo, target, rng)
    if traits is None:
        return None
    teller = _Teller(photo, target, rng)
    told = [(kind, teller.tell(kind)) for kind in _plan(teller, traits, rng)]
    told = [(kind, pair) for kind, pair in told if pair is not None]
    needed = {"intro", "name", "request"} | {trait.kind for trait in traits}
    if needed - {kind for kind, _ in told}:
        return None
    return Dialogue(
        talk([pair for _, pair in told if pair is not None]),
        (Target(target.phrase, target.mask, target.color),),
        image=photo.name,
        focus=target.phrase,
        kind="multi_turn",
        meta={
            "source": photo.source,
            "class": target.class_name,
            "size": target.size,
            "clues": tuple(kind for kind, _ in told),
        },
    )


def _plan(teller: "_Teller", traits: tuple[Trait, ...], rng: np.random.Generator) -> list[str]:
    """Kinds of turns in order: scene, kind and use first, then what singles the target out, its name, the request."""
    teller.traits = {trait.kind: trait.text for trait in traits}
    room = max(0, pick(rng, _TURNS) - 3 - len(traits))
    start = ["scene"] if room and rng.random() < 0.85 else []
    possible = [kind for kind in (*_BEFORE, *_AFTER) if teller.can_tell(kind)]
    chosen = {possible[index] for index in rng.permutation(len(possible))[: room - len(start)]}
    before, after = ([kind for kind in order if kind in chosen] for order in (_BEFORE, _AFTER))
    return [*start, "intro", *before, *teller.traits, *after, "name", "request"]


class _Teller:
    """Puts the clues about one target into words."""

    def __init__(self, photo: Photo, target: PhotoObject, rng: np.random.Generator) -> None:
        self.photo, self.target, self.rng = photo, target, rng
        self.fact = fact(target.class_name)
        self.group = is_group(target)
        self.clues = [self.fact.clues[index] for index in rng.permutation(len(self.fact.clues))]
        self.traits: dict[str, str] = {}
        self.rest = [
            o for o in photo.objects if o is not target and not same_region(o, target) and self._clean(o.phrase)
        ]
        self.anchors = [o for o in self.rest if not is_group(o) and not fact(o.class_name).plural]
        instances = [o.count for o in photo.objects if o.class_name == target.class_name and o.union and o.count]
        self.count = max(instances, default=1)
        self.slots: dict[str, str] = {
            **pronouns(self.group),
            "sort": self.fact.sort,
            "a_sort": article(self.fact.sort),
            "kind": self.fact.kind,
            "where": self.fact.where,
            "whole": self.fact.whole or "",
            "color": target.color or "",
            "place": target.position or "",
            "number": number(self.count),
            "the": forms(target.phrase, target.class_name, target.count if self.group else 1)["the"],
        }

    def can_tell(self, kind: str) -> bool:
        """Whether annotations and facts hold what that kind of turn tells, and no trait has told it yet."""
        return (
            kind not in self.traits
            and {
                "others": len(self.rest) > 1,
                "whole": self.fact.whole is not None,
                "where": True,
                "use": len(self.clues) > 1,
                "count": self.count > 1,
                "color": self.target.color is not None and not self.fact.colorless,
                "place": self.target.position is not None and not self.group,
                "size": bool(self.anchors) and not self.group,
                "side": bool(self.anchors) and not self.group,
            }[kind]
        )

    def tell(self, kind: str) -> Pair | None:
        """A question and its answer; None when no wording keeps the secret or the word limits."""
        if kind in self.traits:
            return self._trait(kind)
        special = {
            "scene": self._scene, "intro": self._intro, "use": self._use, "others": self._others, "size": self._size,
            "side": self._side, "name": self._name, "request": self._request,
        }  # fmt: skip
        return special[kind]() if kind in special else self._pair(f"{kind}_q", f"{kind}_a")

    def _pair(self, question: str, answer: str, slots: Mapping[str, str] | None = None) -> Pair | None:
        slots = {**self.slots, **slots} if slots else self.slots
        asked = say(question, self.rng, slots, accept=lambda text: self._clean(text, QUESTION_WORDS))
        answered = say(answer, self.rng, slots, accept=lambda text: self._clean(text, ANSWER_WORDS))
        return (asked, answered) if asked and answered else None

    def _clean(self, text: str, words: int = QUESTION_WORDS) -> bool:
        return text.count(" ") < words and not gives_away(text, self.target.phrase, self.target.class_name)

    def _scene(self) -> Pair | None:
        largest = max(self.photo.objects, key=lambda o: o.area)
        main = dict.fromkeys(fact(o.class_name).scene for o in (largest, self.target))
        scenes = [scene for group in main for scene in group if self._clean(scene)]
        if not scenes:
            return None
        rich = len(self.rest) > 1 and self.rng.random() < 0.4
        return self._pair(
            "scene_q", "scene_with_a" if rich else "scene_a", {"scene": pick(self.rng, scenes), **self._listed(2)}
        )

    def _listed(self, most: int) -> dict[str, str]:
        chosen = [self.rest[index] for index in self.rng.permutation(len(self.rest))]
        chosen.sort(key=lambda o: fact(o.class_name).colorless)  # garments say more than `person` and `skin`
        names = {o.class_name: forms(o.phrase, o.class_name, o.count if is_group(o) else 1)["some"] for o in chosen}
        others = listing(list(names.values())[:most]) if names else ""
        return {"others": others, "Others": others[:1].upper() + others[1:]}

    def _intro(self) -> Pair | None:
        many = self.group or extreme(self.target)
        question = "intro_many_q" if many else "intro_q"
        for clue in self.clues:
            if pair := self._pair(question, "intro_a", {"clue": clue}):
                self.clues.remove(clue)
                return pair
        return None

    def _use(self) -> Pair | None:
        return self._pair("use_q", "use_a", {"clue": self.clues.pop()})

    def _others(self) -> Pair | None:
        return self._pair("others_q", "others_a", self._listed(2 + int(self.rng.random() * 2)))

    def _size(self) -> Pair | None:
        other = pick(self.rng, self.anchors)
        larger = self.target.area > _LARGER * other.area
        if not larger and self.target.area * _LARGER > other.area:
            return None
        more, less, bigger, smaller = ("more", "less", "bigger", "smaller") if larger else (
            "less", "more", "smaller", "bigger")  # fmt: skip
        slots = {"other": f"the {other.phrase}", "more": more, "rest": less, "bigger": bigger, "opposite": smaller}
        return self._pair("size_q", "size_a", slots)

    def _side(self) -> Pair | None:
        other = pick(self.rng, self.anchors)
        where = side(self.target, other)
        if where is None:
            return None
        one, two = sorted((where, _OPPOSITE[where]), reverse=self.rng.random() < 0.5)
        return self._pair("side_q", "side_a", {"other": f"the {other.phrase}", "side": where, "one": one, "two": two})

    def _trait(self, kind: str) -> Pair | None:
        text = self.traits[kind]
        slots = {"extreme": text, "trait": text, "Trait": text[0].upper() + text[1:]}
        template = kind if kind in ("extreme", "all") else "pick"
        return self._pair(f"{template}_q", f"{template}_a", slots)

    def _name(self) -> Pair | None:
        clued = self.clues and not self.traits and self.rng.random() < 0.6
        slots = {**self.slots, "clue": self.clues[-1]} if clued else self.slots
        asked = say("name_q" if clued else "name_open_q", self.rng, slots, accept=self._clean)
        answered = say("name_a", self.rng, slots)
        return (asked, answered) if asked and answered else None

    def _request(self) -> Pair | None:
        asked = say("request", self.rng, accept=self._clean)
        answered = say("reply", self.rng, {"marked": marked(self.target, self.rng)})
        return (asked, answered) if asked and answered else None
