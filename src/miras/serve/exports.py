"""What a conversation becomes as a file: its PRIST record, labelme, COCO, run lengths, a mask, an overlay, an SVG.

A person's corrections stand in place of what the model said and marked.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from PIL import Image

from miras import tokens
from miras.data import prist
from miras.data.labelme import Labelled, mask_shape, written
from miras.data.masks import area, box, decode
from miras.errors import DataError, MaskError
from miras.pages.draw import overlay
from miras.pages.html import tone, words
from miras.serve.http.outlines import rings
from miras.types import Dialogue, Mark, Target, Turn

__all__ = ["FORMS", "Exchange", "Export", "export", "read_exchanges"]

_TARGET = re.compile(r"(?:\[OBJ\](?:(?!\[OBJ\]|\[SEG\]).)*)?\[SEG\]", re.DOTALL)


@dataclass(frozen=True)
class Exchange:
    """A question and its answer as they should be kept."""

    question: str
    answer: str
    """With special tokens, where the model wrote it."""
    marks: tuple[Mark, ...] = ()
    """With names that differ."""


@dataclass(frozen=True)
class Export:
    """One file."""

    name: str
    media: str
    content: bytes


@dataclass(frozen=True)
class _Chosen:
    """What a file is made of."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    exchanges: tuple[Exchange, ...]
    """Up to the chosen turn, which is the last."""
    marks: tuple[Mark, ...]
    """Of the chosen turn, or the one that is wanted."""
    model: str
    person: bool
    """Whether a person corrected one of these turns."""

    @property
    def stem(self) -> str:
        """A name that follows from the pixels: a session's own name would let others into it."""
        return sha256(repr(self.image.shape).encode() + self.image.tobytes()).hexdigest()[:16]


def export(
    form: str, view: Mapping[str, Any], image: np.ndarray, *, turn: int | None = None, target: int | None = None
) -> Export:
    """One turn of a conversation as a file, by default the last that marks something, with all its targets.

    `view` is the JSON of the HTTP interface, `image` (H, W, 3) uint8 RGB; turns and targets count from 0. Raises
    DataError where there is nothing of that kind, MaskError for a correction of another size.
    """
    if form not in FORMS:
        raise DataError(f"a conversation can be had as {', '.join(FORMS)}, got {form!r}; choose one of these")
    exchanges = read_exchanges(view)
    turn = _turn(exchanges, turn)
    marks = exchanges[turn].marks
    if target is not None:
        if not 0 <= target < len(marks):
            raise DataError(f"turn {turn} has {len(marks)} targets, got target={target}; count from 0")
        marks = marks[target : target + 1]
    if not marks:
        raise DataError(f"turn {turn} marks nothing; choose one that does, or draw a mask first")
    for mark in marks:
        if tuple(mark.mask["size"]) != image.shape[:2]:
            raise MaskError(f"a mask of {mark.mask['size']} does not fit an image of {image.shape[:2]}; draw it again")
    person = any(one.get("corrected") for one in view["turns"][: turn + 1])
    chosen = _Chosen(image, exchanges[: turn + 1], marks, str(view["model"]), person)
    media, suffix, make = FORMS[form]
    return Export(f"miras_{chosen.stem}_turn{turn + 1}{suffix}", media, make(chosen))


def read_exchanges(view: Mapping[str, Any]) -> tuple[Exchange, ...]:
    """The turns of a View, corrections in their places, targets of one turn told apart by their names."""
    told = []
    for turn in view["turns"]:
        corrected = turn.get("corrected") or {}
        question, answer, targets = (corrected.get(name) for name in ("question", "answer", "targets"))
        marks = turn["targets"] if targets is None else targets
        told.append(
            Exchange(
                tokens.strip(turn["question"] if question is None else question).strip(),
                (turn["text"] if answer is None else answer).strip(),
                _named([Mark(one["mask"], one["phrase"], one.get("score")) for one in marks]),
            )
        )
    return tuple(told)


def _named(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """A second cat becomes `cat 2`: readers go by the name."""
    taken: set[str] = set()
    named = []
    for mark in marks:
        phrase = name = " ".join(tokens.strip(mark.phrase).split()) or "unnamed"
        number = 1
        while name in taken:
            number += 1
            name = f"{phrase} {number}"
        taken.add(name)
        named.append(Mark(mark.mask, name, mark.score))
    return tuple(named)


def _turn(exchanges: Sequence[Exchange], turn: int | None) -> int:
    if turn is not None:
        if not 0 <= turn < len(exchanges):
            raise DataError(f"the conversation has {len(exchanges)} turns, got turn={turn}; count from 0")
        return turn
    marking = [index for index, exchange in enumerate(exchanges) if exchange.marks]
    if not marking:
        raise DataError("nothing is marked in this conversation yet; ask for something to be marked, or draw it")
    return marking[-1]


def _prist(chosen: _Chosen) -> bytes:
    """A zip that `miras prist validate` reads: a record per target, the image, and a labelme file beside it."""
    name = f"{chosen.stem}.png"
    records = [_record(chosen, mark, name) for mark in chosen.marks]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dialogues.json", prist.dump(prist.to_dialogue(record) for record in records))
        archive.writestr(f"images/{name}", _png(chosen.image), zipfile.ZIP_STORED)  # a PNG is deflated already
        archive.writestr(f"images/{chosen.stem}.json", _labelme(chosen))
    return content.getvalue()


def _record(chosen: _Chosen, mark: Mark, name: str) -> dict[str, Any]:
    """The conversation up to this target; only the last answer keeps a token, that of the target."""
    turns = []
    for exchange in chosen.exchanges:
        turns += [Turn("user", exchange.question), Turn("assistant", tokens.strip(exchange.answer).strip())]
    turns[-1] = Turn("assistant", _ending(chosen.exchanges[-1], mark))
    meta = {"model": chosen.model, "corrected": chosen.person}
    dialogue = Dialogue(tuple(turns), (Target(mark.phrase, mark.mask),), name, mark.phrase, meta=meta)
    record = prist.record(dialogue)
    return prist.require(record, f"turn {len(chosen.exchanges) - 1}, {mark.phrase!r}")


def _ending(exchange: Exchange, mark: Mark) -> str:
    """The last answer with one `[OBJ]name[SEG]`: where it was written, else where the name stands, else at the end."""
    spoken = list(_TARGET.finditer(exchange.answer))
    place = exchange.marks.index(mark)
    if len(spoken) == len(exchange.marks):
        start, end = spoken[place].span()
    elif found := re.search(rf"\b{re.escape(mark.phrase)}\b", exchange.answer, re.IGNORECASE):
        start, end = found.span()
    else:
        return f"{tokens.strip(exchange.answer).strip()} {tokens.write(mark.phrase)}".strip()
    before, after = tokens.strip(exchange.answer[:start]), tokens.strip(exchange.answer[end:])
    return f"{before}{tokens.write(mark.phrase)}{after}".strip()


def _labelme(chosen: _Chosen) -> bytes:
    shapes = [mask_shape(mark.phrase, decode(mark.mask)) for mark in chosen.marks]
    height, width = chosen.image.shape[:2]
    return _json(written(Labelled(f"{chosen.stem}.png", height, width, tuple(shape for shape in shapes if shape))))


def _coco(chosen: _Chosen) -> bytes:
    height, width = chosen.image.shape[:2]
    annotations = []
    for index, mark in enumerate(chosen.marks, 1):
        left, top, right, bottom = box(decode(mark.mask)) or (0, 0, 0, 0)
        more = {} if mark.score is None else {"score": mark.score}
        annotations.append(
            {
                "id": index,
                "image_id": 1,
                "category_id": index,
                "segmentation": mark.mask,
                "bbox": [left, top, right - left, bottom - top],
                "area": area(mark.mask),
                "iscrowd": 0,
                **more,
            }
        )
    categories = [{"id": index, "name": mark.phrase} for index, mark in enumerate(chosen.marks, 1)]
    images = [{"id": 1, "file_name": f"{chosen.stem}.png", "width": width, "height": height}]
    return _json({"images": images, "annotations": annotations, "categories": categories})


def _rle(chosen: _Chosen) -> bytes:
    return _json([mark.to_json() for mark in chosen.marks])


def _mask(chosen: _Chosen) -> bytes:
    """All chosen targets as one, white on black."""
    joined = np.any([decode(mark.mask) for mark in chosen.marks], axis=0)
    return _png(joined.astype(np.uint8) * 255)


def _overlay(chosen: _Chosen) -> bytes:
    first = chosen.exchanges[-1].marks.index(chosen.marks[0])
    masks, names = [decode(mark.mask) for mark in chosen.marks], [mark.phrase for mark in chosen.marks]
    return _png(overlay(chosen.image, masks, names, first=first))


def _svg(chosen: _Chosen) -> bytes:
    """One path per target, along the edges of its pixels, to lay over the image."""
    height, width = chosen.image.shape[:2]
    first = chosen.exchanges[-1].marks.index(chosen.marks[0])
    paths = [
        f'<path fill="{tone(index)}" fill-opacity="0.5" fill-rule="evenodd" d="{_outline(decode(mark.mask))}">'
        f"<title>{words(mark.phrase)}</title></path>"
        for index, mark in enumerate(chosen.marks, first)
    ]
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([start, *paths, "</svg>\n"]).encode("utf-8")


def _outline(mask: np.ndarray) -> str:
    return "".join(f"M{' '.join(map(str, ring))}Z" for ring in rings(mask))


def _png(pixels: np.ndarray) -> bytes:
    """A photo (H, W, 3) or a mask (H, W) as a file; photos hardly shrink further, and would take five times as long."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG", compress_level=1 if pixels.ndim == 3 else 6)
    return content.getvalue()


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


FORMS: Mapping[str, tuple[str, str, Callable[[_Chosen], bytes]]] = {
    "prist": ("application/zip", "_prist.zip", _prist),
    "labelme": ("application/json", ".json", _labelme),
    "coco": ("application/json", "_coco.json", _coco),
    "rle": ("application/json", "_rle.json", _rle),
    "mask": ("image/png", "_mask.png", _mask),
    "overlay": ("image/png", "_overlay.png", _overlay),
    "svg": ("image/svg+xml", ".svg", _svg),
}
"""Form → media type, end of the file's name, how it is made."""
