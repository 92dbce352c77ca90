"""Words for turns: templates from `phrasing/*.yaml`, articles and plurals, and what would give a target away.

A template file maps a kind of turn to lines; `(a|b)` in a line is a choice, `{slot}` is filled by the caller and
`{understood}` stands for the lines of that name. Files are read once, on first use.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import product
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import yaml

from miras.data.facts import fact
from miras.errors import ConfigError

__all__ = ["article", "forms", "gives_away", "listing", "number", "pick", "plural", "pronouns", "say", "templates"]

_T = TypeVar("_T")

_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_IRREGULAR = {"person": "people", "mouse": "mice", "knife": "knives", "sheep": "sheep", "deer": "deer",
              "crayfish": "crayfish", "catfish": "catfish", "mackerel": "mackerel", "foot": "feet",
              "child": "children", "man": "men", "woman": "women", "tooth": "teeth"}  # fmt: skip
_CHOICE = re.compile(r"\(([^()]*)\)")
_SINGULAR = {"it": "it", "it_obj": "it", "be": "is", "has": "has", "does": "does", "s": "s"}
_PLURAL = {"it": "they", "it_obj": "them", "be": "are", "has": "have", "does": "do", "s": ""}
_TRIES = 12


def pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    """One of the options, each with the same chance."""
    return options[int(rng.random() * len(options))]


def templates(kind: str) -> tuple[str, ...]:
    """Every distinct surface form of a kind of turn, slots unfilled."""
    return tuple(dict.fromkeys(form for line in _lines()[kind] for form in line))


def say(
    kind: str,
    rng: np.random.Generator,
    slots: Mapping[str, str] = MappingProxyType({}),
    *,
    accept: Callable[[str], bool] | None = None,
) -> str | None:
    """A filled template of that kind that `accept` takes; None when a few tries bring none."""
    lines = _lines()[kind]
    for _ in range(_TRIES):
        text = pick(rng, pick(rng, lines)).format_map(slots)
        text = text[0].upper() + text[1:]
        if accept is None or accept(text):
            return text
    return None


@cache
def _lines() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    found: dict[str, list[str]] = {}
    folder = files("miras.data") / "phrasing"
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.endswith(".yaml"):
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            if twice := found.keys() & content.keys():
                raise ConfigError(f"phrasing/{path.name} repeats {sorted(twice)}; keep each kind in one file")
            found |= {kind: block.strip().splitlines() for kind, block in content.items()}
    fillers = f"({'|'.join(found['understood'])})"
    return {
        kind: tuple(_expand(line.strip().replace("{understood}", fillers)) for line in lines)
        for kind, lines in found.items()
    }


def _expand(line: str) -> tuple[str, ...]:
    pieces = _CHOICE.split(line)
    choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return tuple(re.sub(r" +(?=[.,?!]|$)", "", re.sub(r" {2,}", " ", "".join(form))) for form in product(*choices))


def number(count: int) -> str:
    """A count in words up to twelve, in digits above."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def plural(noun: str) -> str:
    """The plural of a noun or of a phrase that ends with it."""
    first, _, last = noun.rpartition(" ")
    if last.lower() in _IRREGULAR:
        last = _IRREGULAR[last.lower()]
    elif last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = f"{last[:-1]}ies"
    else:
        last += "s"
    return f"{first} {last}" if first else last


def article(phrase: str) -> str:
    """The phrase with `a` or `an`."""
    word = phrase.lower()
    vowel = word[0] in "aeio" or word.startswith(("umb", "ug", "urb", "urn"))
    return f"{'an' if vowel and not word.startswith(('eu', 'one')) else 'a'} {phrase}"


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def pronouns(many: bool) -> Mapping[str, str]:
    """The slots that agree with one thing or with several: it, it_obj, be, has, does, s."""
    return _PLURAL if many else _SINGULAR


@lru_cache(maxsize=65536)
def forms(phrase: str, class_name: str, count: int | None = 1) -> Mapping[str, str]:
    """The slots that depend on a noun.

    A count above one means every instance of the class, as a group; None a group of unknown number.
    """
    known = fact(class_name)
    many = known.plural or (count is not None and count > 1 and not known.mass)
    group = plural(phrase) if many and not known.plural else phrase
    single = group if many or known.mass else article(phrase)
    countable = not (known.mass or known.plural)
    the, some = f"the {phrase}", single if countable else group
    if phrase != class_name:
        some = the
    elif count is None or count > 1:
        counted = f"at least one {phrase}" if count is None else f"{number(count)} {group}"
        the, some = (f"every {phrase}", counted) if countable else (f"all the {phrase}", some)
    be = "are" if many else "is"
    return MappingProxyType({
        **pronouns(known.plural),
        "phrase": phrase,
        "plural": plural(phrase) if not known.plural else phrase,
        "the": the,
        "some": some,
        "any": f"any {group}" if many or known.mass else single,
        "no": f"no {group}",
        "is_there": f"{be} there {f'any {group}' if many or known.mass else single}",
        "there_is": f"there {be} {some}",
        "there_is_no": f"there {be} no {group}",
    })  # fmt: skip


def gives_away(text: str, phrase: str, class_name: str) -> bool:
    """True when the text holds the phrase, the class or its head noun, in any number, also within a compound."""
    return _leaks(phrase, class_name).search(text) is not None


@lru_cache(maxsize=65536)
def _leaks(phrase: str, class_name: str) -> re.Pattern[str]:
    heads = set()
    for name in (phrase.lower(), class_name.lower()):
        main = re.split(r" (?:of|with|in|on|made|making) ", name)[0].split()[-1]
        heads |= {main, name.split()[-1], main.split("-")[-1]}
    heads |= {head[:-1] for head in heads if head.endswith("s") and len(head) > 3}
    heads |= {"persons", "people"} if "person" in heads else set()
    words = {re.escape(form) for head in heads for form in (head, plural(head))}
    words |= {re.escape(name.lower()) for name in (phrase, class_name)}
    longer = {re.escape(head) for head in heads if len(head) > 2}
    opening = {head for head in longer if len(head) > 3}
    patterns = [rf"\b(?:{'|'.join(sorted(words))})\b"]
    patterns += [rf"\w{{3,}}(?:{'|'.join(sorted(longer))})(?:e?s)?\b"] if longer else []
    patterns += [rf"\b(?:{'|'.join(sorted(opening))})\w{{3,}}"] if opening else []
    return re.compile("|".join(patterns), re.IGNORECASE)
