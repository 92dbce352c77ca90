"""The `[OBJ]{class}[SEG]` template: write it, parse it, find it in token ids (paper §4.1, figure 4).

`[OBJ]` opens the name of what is marked and `[SEG]` closes it; the hidden states of that span become
the query of one mask. A model trained without semantic alignment writes a bare `[SEG]`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["IMAGE", "OBJ", "SEG", "SPECIAL", "Span", "bare", "parse", "spans", "strip", "well_formed", "write"]

OBJ = "[OBJ]"
SEG = "[SEG]"
IMAGE = "<image>"
SPECIAL = (OBJ, SEG, IMAGE)
"""Tokens added to every language model's vocabulary, in this order."""

_TARGET = re.compile(r"(?:\[OBJ\](?P<phrase>(?:(?!\[OBJ\]|\[SEG\]).)*))?\[SEG\]", re.DOTALL)


@dataclass(frozen=True)
class Span:
    """Token positions of one `[OBJ]…[SEG]`: both ends are inside. Without `[OBJ]`, start == end."""

    start: int
    end: int


def write(phrase: str) -> str:
    """The text that asks for one mask: `[OBJ]{phrase}[SEG]`."""
    return f"{OBJ}{phrase.strip()}{SEG}"


def bare(text: str) -> str:
    """The text with every `[OBJ]{phrase}[SEG]` reduced to `[SEG]`."""
    return _TARGET.sub(SEG, text)


def parse(text: str) -> list[str | None]:
    """The phrase of every `[SEG]` in reading order; None where no `[OBJ]` names it."""
    return [phrase.strip() if (phrase := match["phrase"]) is not None else None for match in _TARGET.finditer(text)]


def strip(text: str) -> str:
    """The text as a person reads it: the special tokens go, the names stay."""
    for token in SPECIAL:
        text = text.replace(token, "")
    return text


def well_formed(text: str) -> bool:
    """True when the text asks for at least one mask and every `[SEG]` closes a named `[OBJ]`."""
    phrases = parse(text)
    return bool(phrases) and all(phrases) and text.count(OBJ) == text.count(SEG) == len(phrases)


def spans(ids: Sequence[int], *, obj_id: int, seg_id: int) -> list[Span]:
    """Where each `[SEG]` and the `[OBJ]` that opens it stand in a sequence of token ids.

    An `[OBJ]` belongs to the next `[SEG]`; a second `[OBJ]` before that replaces the first.
    """
    found, opened = [], None
    for position, token in enumerate(ids):
        if token == obj_id:
            opened = position
        elif token == seg_id:
            found.append(Span(position if opened is None else opened, position))
            opened = None
    return found
