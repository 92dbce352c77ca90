"""What a reply says about boxes: none, one or several, each with its corners as the model wrote them.

The form that is asked for is `<box>(x1, y1), (x2, y2)</box>`. Models write what they were trained on instead: lists in
and out of tags, JSON, named sides, percentages, full-width signs. Where a reply holds several of these, tags come
first, then named sides, then brackets, then bare numbers.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Literal

__all__ = ["Box", "Found", "Kind", "read_boxes"]

Kind = Literal["box", "several", "none", "unreadable"]
"""One box, several, the model says that there is none, or nothing that can be read."""

_NUMBER = (
    r"(?<![\w.])(?:[-+]?(?:\d{1,20}\.?\d{0,40}|\.\d{1,40})(?:e[-+]?\d{1,3})?|nan|[-+]?inf(?:inity)?) ?(?:%|px\b)?(?!\w)"
)
_N = f"({_NUMBER})"
_COMMA, _OPEN, _CLOSE = r"[\s,;]{1,4}", r"[\[({] ?", r" ?[\])}]"
_CORNER_WORDS = r"and|to|top|left|bottom|right|upper|lower|corner|at|is"
_GAP = rf"(?:\W|\b(?:{_CORNER_WORDS})\b){{0,40}}?"
_ANY = re.compile(_GAP.join([_N] * 4), re.IGNORECASE)
_FOUR = _OPEN + _COMMA.join([_N] * 4) + _CLOSE
_PAIR = _OPEN + _N + _COMMA + _N + _CLOSE
_BRACKETED = re.compile(rf"{_FOUR}|{_PAIR}[^\d\[\](){{}}]{{0,60}}{_PAIR}", re.IGNORECASE)
_BARE = re.compile(r"\s*,\s*".join([_N] * 4), re.IGNORECASE)

_OPENS = r"<\s*\|?\s*b?box(?:_start)?\s*\|?\s*>"
_CLOSES = r"<\s*(?:/\s*b?box|\|\s*/?\s*b?box_end\s*\|)\s*>"
_TAG = re.compile(rf"{_OPENS}(.*?)(?={_CLOSES}|{_OPENS}|$)", re.DOTALL | re.IGNORECASE)
_LABEL_BEFORE = re.compile(
    r"<\s*(?:ref|\|\s*object_ref_start\s*\|)\s*>([^<]*)<\s*(?:/\s*ref|\|\s*object_ref_end\s*\|)\s*>\s*$",
    re.IGNORECASE,
)
_LABEL_INSIDE = re.compile(r"[\"'](?:label|name|phrase|object|text)[\"']\s*:\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
_HEIGHT_FIRST = re.compile(r"\bbox_2d[\"']?\s*:\s*$", re.IGNORECASE)
_TEMPLATE = re.compile(r"[(\[]\s*x_?\w{0,3}\s*,\s*y_?\w{0,3}\s*[)\]]", re.IGNORECASE)
_THOUGHT_ENDS = "</think>"

_SIDES = {
    "x1": "x1", "xmin": "x1", "left": "x1", "y1": "y1", "ymin": "y1", "top": "y1",
    "x2": "x2", "xmax": "x2", "right": "x2", "y2": "y2", "ymax": "y2", "bottom": "y2",
    "x": "x", "y": "y", "w": "w", "width": "w", "h": "h", "height": "h",
}  # fmt: skip
_NAMED = re.compile(
    rf"\b([xy]_?(?:[12]|min|max)|left|top|right|bottom|[xywh]|width|height)\b[\"']?\s*[:=]\s*{_N}", re.IGNORECASE
)

_NO = re.compile(
    r"\bno\b[^.]{0,80}?\b(?:detect\w*|focus|objects?|box\w*|found|targets?|regions?|areas?|match\w*)"
    r"|\b(?:not|un(?:able|detected))\b(?:\W+\w+){0,4}?\W+(?:detect|find|found|visible|present|see|locat|identif|shown|appear)"
    r"|\b(?:nothing|none|null|undetected)\b|\bn/a\b|^\W*no\W*$|^(?:json)?[\s\[\](){}<>]+$"
    r"|未检测|没有检测|未发现|没有发现|没有找到|未找到",
    re.IGNORECASE,
)
_NEAR = 200
"""Letters before a box in which its label is looked for."""


@dataclass(frozen=True)
class Box:
    """One box as it was written: left, top, right and bottom in whatever the model counts in."""

    corners: tuple[float, float, float, float]
    """(x1, y1, x2, y2) with x1 ≤ x2 and y1 ≤ y2."""
    label: str = ""
    """What the model calls it, where it says so beside the box."""
    percent: bool = False
    """Whether it is written in percent of the image's sides."""


@dataclass(frozen=True)
class Found:
    """All that a reply says about boxes."""

    kind: Kind
    boxes: tuple[Box, ...] = ()
    """In reading order, each once."""


def read_boxes(reply: str) -> Found:
    """The boxes of a reply. Never raises: what cannot be read is `unreadable`."""
    text = _plain(reply)
    for way in (_tagged, _named, _bracketed, _bare):
        if boxes := tuple(dict.fromkeys(way(text))):
            return Found("box" if len(boxes) == 1 else "several", boxes)
    words = re.sub(rf"(?i:{_OPENS}|{_CLOSES})", " <> ", text).replace("cannot", "can not").replace("n't", " not")
    return Found("none" if _NO.search(words.strip()) else "unreadable")


def _plain(reply: str) -> str:
    """The reply in half-width signs, without thoughts, escapes and the form that was asked for."""
    text = unicodedata.normalize("NFKC", html.unescape(reply)).replace("\\", "")
    for sign, plain in (("、", ","), ("−", "-"), ("’", "'"), ("【", "["), ("】", "]"), ("`", " "), ("*", " ")):
        text = text.replace(sign, plain)
    return _TEMPLATE.sub("_", " ".join(text.split(_THOUGHT_ENDS)[-1].split()))


def _tagged(text: str) -> Iterator[Box]:
    for tag in _TAG.finditer(text):
        before = _LABEL_BEFORE.search(text[max(0, tag.start() - _NEAR) : tag.start()])
        label = before[1].strip() if before else ""
        named = list(_named(tag[1]))
        yield from named or _boxes(_ANY, tag[1], label)


def _bracketed(text: str) -> Iterator[Box]:
    return _boxes(_BRACKETED, text)


def _bare(text: str) -> Iterator[Box]:
    """Four numbers with commas between them, or a reply that holds nothing but numbers."""
    only_numbers = not re.search(r"[^\W\d_]", re.sub(f"(?i:{_NUMBER})", "", text))
    return _boxes(_ANY if only_numbers else _BARE, text)


def _boxes(pattern: re.Pattern[str], text: str, label: str = "") -> Iterator[Box]:
    for match in pattern.finditer(text):
        written = [part for part in match.groups() if part is not None]
        if _HEIGHT_FIRST.search(text[max(0, match.start() - _NEAR) : match.start()]):  # Gemini's own form
            written = [written[1], written[0], written[3], written[2]]
        yield from _box(written, label or _label_around(text, match.start(), match.end()))


def _named(text: str) -> Iterator[Box]:
    """Boxes whose sides are named, in any order: two corners, or one and the width and height."""
    sides: dict[str, str] = {}
    for match in _NAMED.finditer(text):
        name = _SIDES[match[1].replace("_", "").lower()]
        if name in ("x", "y"):
            name += "2" if f"{name}1" in sides else "1"
        if name in sides:
            sides = {}
        sides[name] = match[2]
        if sides.keys() >= {"x1", "y1", "x2", "y2"}:
            written = [sides[side] for side in ("x1", "y1", "x2", "y2")]
        elif sides.keys() >= {"x1", "y1", "w", "h"}:
            far = [_value(sides[a]) + _value(sides[b]) for a, b in (("x1", "w"), ("y1", "h"))]
            written = [sides["x1"], sides["y1"], *(f"{value}{'%' if '%' in match[2] else ''}" for value in far)]
        else:
            continue
        yield from _box(written, _label_around(text, match.start(), match.end()))
        sides = {}


def _box(written: list[str], label: str) -> Iterator[Box]:
    x1, y1, x2, y2 = (_value(one) for one in written)
    if all(isfinite(value) for value in (x1, y1, x2, y2)):
        corners = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        yield Box(corners, label, any("%" in one for one in written))


def _value(written: str) -> float:
    return float(written.lower().replace("%", "").replace("px", "").strip())


def _label_around(text: str, start: int, end: int) -> str:
    """The label in the JSON object that the box is written in."""
    opening, closing = text.rfind("{", 0, start), text.find("}", end)
    if opening < 0 or "}" in text[opening:start]:
        return ""
    found = _LABEL_INSIDE.search(text[opening : closing if closing >= 0 else None])
    return found[1].strip() if found else ""
