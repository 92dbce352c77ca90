"""What the words of a focus say: its noun, its adjectives, its prepositions, and which of 12 categories it is of.

The paper's figure 3 shows these without saying how they were found. Here they are found by rule, without a tagger: the
first preposition ends the part that names the thing; the last word of that part is its noun, the words before it are
its adjectives (`leather watch` of `leather watch strap on a wrist`). Quoted words are what the thing says.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import yaml

__all__ = ["Focus", "categories", "category", "read_focus"]

_PREPOSITION = re.compile(
    "about|above|across|against|along|among|around|at|behind|below|beneath|beside|between|by|for|from|in|inside|near|next|"
    "of|off|on|onto|opposite|out|outside|over|past|to|towards?|under|underneath|upon|with|within|without"
)
_LIKE_PREPOSITION = re.compile("featuring|holding|labell?ed|marked|reading|saying|showing|surrounding|wearing")
"""Words that begin a description after the noun."""
_SMALL = re.compile("an?|the|and|or|its|his|her|their|this|that|these|those")
_QUOTED = re.compile(r"(?<!\w)['‘’“”\"„«](.*?)['’”\"“»](?!\w)")
_WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?|\d+")


@dataclass(frozen=True)
class Focus:
    """The words of one focus, in lower case."""

    noun: str | None
    """None when nothing but quoted words is left."""
    adjectives: tuple[str, ...]
    prepositions: tuple[str, ...]


def read_focus(text: str) -> Focus:
    """The parts of a focus."""
    words = [word.lower() for word in _WORD.findall(_QUOTED.sub(" ", text))]
    found = tuple(word for word in words if _PREPOSITION.fullmatch(word))
    ends = (i for i, word in enumerate(words) if i and (word in found or _LIKE_PREPOSITION.fullmatch(word)))
    named = words[: next(ends, len(words))]
    kept = [word for word in named if not _SMALL.fullmatch(word) and word not in found]
    return Focus(kept[-1] if kept else None, tuple(kept[:-1]), found)


def category(text: str) -> str | None:
    """Which of the 12 categories a focus is of; None when none of its words before the preposition is listed.

    The longest run of words that ends with the noun decides, and where none is listed the last word that is. Quoted
    words alone, without a noun, are words.
    """
    focus = read_focus(text)
    if focus.noun is None:
        return "words and phrases" if _QUOTED.search(text) else None
    words = [*focus.adjectives, focus.noun]
    runs = [" ".join(words[start:]) for start in range(len(words))] + words[-2::-1]
    for form in (form for run in runs for form in _forms(run)):
        if (found := _by_word().get(form)) is not None:
            return found
    return "numbers and dates" if focus.noun.isdigit() else None


def _forms(words: str) -> tuple[str, ...]:
    """The words as they are and in the singular."""
    single = [
        words[: -len(end)] + instead for end, instead in (("ies", "y"), ("es", ""), ("s", "")) if words.endswith(end)
    ]
    return (words, *single)


@cache
def categories() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Type → category → its words."""
    content = yaml.safe_load(files("miras.prist").joinpath("categories.yaml").read_text(encoding="utf-8"))
    return MappingProxyType({kind: MappingProxyType(groups) for kind, groups in content.items()})


@cache
def _by_word() -> Mapping[str, str]:
    return {word: name for groups in categories().values() for name, words in groups.items() for word in words}
