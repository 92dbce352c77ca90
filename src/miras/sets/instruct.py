"""Scenes put into words: short conversations that ask for what an image holds and answer with `[OBJ]name[SEG]`.

The ways to ask are those of LISA's training, which the paper takes over (appendix C.2): a class or a part of something
by its name, what people said of a thing, a question that has to be thought about, with or without an explanation.
Several targets of one answer, all classes of an image, and requests for what is not there come on top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miras import tokens
from miras.data.masks import encode
from miras.data.phrasing import listing, pick, say
from miras.sets.nouns import absent_slots, region_slots, said_slots
from miras.sets.scene import Region, Scene
from miras.types import Dialogue, Rle, Target, Turn

__all__ = ["Manner", "instructions"]

_SEVERAL = 0.15
"""Share of images whose classes or parts are asked for together where two or more were chosen."""
_EVERYTHING = 0.05
"""Share of images that are asked for whole, of those with few classes and nothing else."""
_MOST = 8
"""Most classes of such an image."""
_IN_WORDS, _EXPLAINED = 0.1, 0.45
"""Where there is an explanation, how often it is all of the answer, and how often it comes with a mask."""
_NAMED = ("thing", "stuff", "part")


@dataclass(frozen=True)
class Manner:
    """How much is asked."""

    targets: int = 3
    """Most conversations about one image."""
    absent: float = 0.05
    """Share of conversations that ask for something that is not there, where the set knows of any; 0..1."""


@dataclass(frozen=True)
class _Found:
    """A region that was chosen, with its mask."""

    region: Region
    mask: Rle
    ignore: Rle | None

    def target(self, phrase: str) -> Target:
        return Target(phrase, self.mask, ignore=self.ignore)


def instructions(scene: Scene, rng: np.random.Generator, manner: Manner) -> tuple[Dialogue, ...]:
    """Up to `manner.targets` conversations about an image; none where nothing can be asked for.

    Only the masks of what was chosen are drawn; a region without a pixel gives way to another. May raise DataError.
    """
    slots = min(manner.targets, max(len(scene.regions), 1))
    gone = int((rng.random(slots) < manner.absent).sum()) if scene.absent else 0
    missing = rng.permutation(len(scene.absent))[:gone]
    refusals = [_refusal(scene, scene.absent[index], rng) for index in missing]
    whole = _can_be_whole(scene) and rng.random() < _EVERYTHING and slots > len(refusals)
    found = _draw(scene, len(scene.regions) if whole else slots - len(refusals), rng)
    told = [_together(scene, "everything", found, rng)] if whole and len(found) > 1 else _each(scene, found, rng)
    order = rng.permutation(len(told) + len(refusals))
    return tuple([*told, *refusals][index] for index in order)


def _each(scene: Scene, found: Sequence[_Found], rng: np.random.Generator) -> list[Dialogue]:
    """One conversation for each, but at times one for several."""
    told = []
    named = {one.region.names[0].lower(): one for one in found if one.region.kind in _NAMED}
    if len(named) > 1 and rng.random() < _SEVERAL:
        told.append(_together(scene, "several", list(named.values()), rng))
        found = [one for one in found if one.region.kind not in _NAMED]
    return told + [_single(scene, one, rng) for one in found]


def _draw(scene: Scene, count: int, rng: np.random.Generator) -> list[_Found]:
    """Up to `count` regions that hold a pixel, with their masks."""
    found: list[_Found] = []
    for index in rng.permutation(len(scene.regions)):
        if len(found) == count:
            break
        region = scene.regions[index]
        if (mask := region.draw()).any():
            ignore = region.ignore() if region.ignore else None
            left_out = encode(ignore) if ignore is not None and ignore.any() else None
            found.append(_Found(region, encode(mask), left_out))
    return found


def _single(scene: Scene, one: _Found, rng: np.random.Generator) -> Dialogue:
    """A request for one region and its answer."""
    region = one.region
    if region.kind in _NAMED:
        slots = region_slots(region, rng)
        asked, kind = _say("class_q", rng, slots), "part" if region.kind == "part" else "class"
        return _talk(scene, kind, asked, _answer("mark_a", slots, rng), one.target(slots["name"]))
    said = pick(rng, region.names)
    drawn = rng.random()
    if region.explanation and drawn < _IN_WORDS + _EXPLAINED:
        return _explained(scene, one, said, rng, in_words=drawn < _IN_WORDS)
    if region.kind == "question":
        asked = _say("reason_q", rng, {"question": _sentence(said)})
        answered = _say("reason_a", rng, {"marked": tokens.SEG})
        return _talk(scene, "reasoning", asked, answered, one.target(said))
    slots = said_slots(said)
    asked = _say("refer_q" if "the" in slots and rng.random() < 0.5 else "quote_q", rng, slots)
    return _talk(scene, "referring", asked, _answer("mark_a", slots, rng), one.target(slots["name"]))


def _explained(scene: Scene, one: _Found, said: str, rng: np.random.Generator, *, in_words: bool) -> Dialogue:
    """A question, why the answer is the answer, and its mask; without the mask where words are enough."""
    why = _sentence(str(one.region.explanation), end=".")
    if one.region.kind == "question":
        question, marked, phrase = _sentence(said), tokens.SEG, said
    else:
        slots = said_slots(said)
        question = f"Which part of the image shows {slots.get('the', slots['said'])}?"
        marked, phrase = tokens.write(slots["name"]), slots["name"]
    if in_words:
        return _talk(scene, "words", question, why)
    answered = _say("explain_a", rng, {"explanation": why, "marked": marked})
    return _talk(scene, "explained", _say("explain_q", rng, {"question": question}), answered, one.target(phrase))


def _together(scene: Scene, kind: str, found: Sequence[_Found], rng: np.random.Generator) -> Dialogue:
    """One request for several regions, answered with one mask each."""
    slots = [region_slots(one.region, rng) for one in found]
    asked = _say(f"{kind}_q", rng, {"list": listing([one["the"] for one in slots])})
    answered = _say(f"{kind}_a", rng, {"list": listing([tokens.write(one["name"]) for one in slots])})
    targets = [one.target(slot["name"]) for one, slot in zip(found, slots, strict=True)]
    return _talk(scene, kind, asked, answered, *targets)


def _can_be_whole(scene: Scene) -> bool:
    names = {region.names[0].lower() for region in scene.regions}
    classes = all(region.kind in ("thing", "stuff") for region in scene.regions)
    return classes and len(names) == len(scene.regions) and 2 <= len(names) <= _MOST


def _refusal(scene: Scene, name: str, rng: np.random.Generator) -> Dialogue:
    """A request for what is not there, answered in words."""
    slots = absent_slots(name)
    return _talk(scene, "absent", _say("class_q", rng, slots), _say("absent_a", rng, slots))


def _answer(kind: str, slots: Mapping[str, str], rng: np.random.Generator) -> str:
    """An answer with the mask's name in it, in half of the cases with `the` before it where that is so said."""
    written = tokens.write(slots["name"])
    article = slots.get("the") == f"the {slots['name']}" and rng.random() < 0.5
    return _say(kind, rng, {"marked": f"the {written}" if article else written})


def _say(kind: str, rng: np.random.Generator, slots: Mapping[str, str]) -> str:
    """The text of a template that takes any filling."""
    text = say(kind, rng, slots)
    assert text is not None
    return text


def _sentence(text: str, end: str = "?") -> str:
    """The text with a capital and with an end, as a sentence of its own."""
    text = " ".join(text.split())
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else end)


def _talk(scene: Scene, kind: str, asked: str, answered: str, *targets: Target) -> Dialogue:
    turns = (Turn("user", asked), Turn("assistant", answered))
    return Dialogue(turns, targets, image=scene.image.name, kind=kind)
