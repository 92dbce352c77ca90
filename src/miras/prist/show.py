"""A gallery of dialogues: pages of HTML, each dialogue beside its image with the target marked on it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from miras import tokens
from miras.data.images import load_image
from miras.data.masks import decode, granularity
from miras.errors import DataError, ImageError
from miras.files import made_beside
from miras.pages.draw import overlay
from miras.pages.html import answer, counted, link, page, words

__all__ = ["show", "spoken"]

_ON_PAGE = 40
"""Dialogues of one page."""
_WIDEST = 640
"""Longest side of a picture in pixels."""


def show(
    records: Sequence[dict[str, Any]],
    out: Path,
    *,
    images: Path | None,
    title: str,
    tell: Callable[[int], None] = lambda done: None,
) -> int:
    """Writes `index.html`, further pages and their pictures into `out`, and returns how many records lack a picture.

    A record whose image is missing or broken is shown in words alone, and says why.
    """
    if not records:
        raise DataError("there is no dialogue to show; give a file with at least one")
    pages = [records[start : start + _ON_PAGE] for start in range(0, len(records), _ON_PAGE)]
    bare = 0
    with made_beside(out, replacing=["*.html", "pictures"]) as folder:
        (folder / "pictures").mkdir()
        for number, group in enumerate(pages):
            cards = []
            for place, record in enumerate(group):
                index = number * _ON_PAGE + place
                picture = _picture(record, index, images, folder)
                bare += isinstance(picture, str)
                cards.append(_card(record, index, picture))
                tell(index + 1)
            header = f"<h1>{words(title)}</h1>\n<p>{counted(len(records), 'dialogue')}, {_spread(records)}.</p>"
            turned = " ".join(_turner(other, other == number) for other in range(len(pages)))
            whole = page(title, header, "\n".join(cards), f"<nav>Page {turned}</nav>" if len(pages) > 1 else "")
            (folder / _name(number)).write_text(whole, encoding="utf-8")
    return bare


def _name(number: int) -> str:
    return f"page{number + 1}.html" if number else "index.html"


def _turner(number: int, here: bool) -> str:
    return f"<b>{number + 1}</b>" if here else f'<a href="{_name(number)}">{number + 1}</a>'


def _spread(records: Sequence[dict[str, Any]]) -> str:
    sizes = [granularity(_share(record)) for record in records if record.get("mask") is not None]
    named = counted(len({record["img_id"] for record in records}), "image")
    if not sizes:
        return f"{named}, no masks"
    parts = [f"{sizes.count(size)} {size}" for size in ("coarse", "medium", "fine")]
    return f"{named}, {counted(len(sizes), 'mask')}: {', '.join(parts)}"


def _share(record: dict[str, Any]) -> float:
    return float(decode(record["mask"]).mean())


def _picture(record: dict[str, Any], index: int, images: Path | None, folder: Path) -> tuple[str, int, int] | str:
    """(file, height, width) of the picture, or why there is none."""
    if images is None:
        return "No folder of images was given."
    try:
        pixels = load_image(images / record["img_id"])
    except ImageError as error:
        return str(error)
    mask = decode(record["mask"]) if record.get("mask") is not None else np.zeros(pixels.shape[:2], dtype=bool)
    if mask.shape != pixels.shape[:2]:
        return f"The mask is {mask.shape[0]} x {mask.shape[1]} pixels, the image {pixels.shape[0]} x {pixels.shape[1]}."
    image = Image.fromarray(overlay(pixels, [mask], opacity=0.45))
    image.thumbnail((_WIDEST, _WIDEST))
    name = f"pictures/{index:06d}.jpg"
    image.save(folder / name, quality=88)
    return name, image.height, image.width


def _card(record: dict[str, Any], index: int, picture: tuple[str, int, int] | str) -> str:
    focus = words(record["focus"])
    if isinstance(picture, str):
        shown = f"<p>{words(picture)}</p>"
    else:
        file, height, width = picture
        shown = f'<img src="{link(file)}" width="{width}" height="{height}" alt="Marked: {focus}" loading="lazy" />'
    share = f"{_share(record):.2%} of the image" if record.get("mask") is not None else "no mask"
    return f"""<article id="record{index}">
<div class="photo">
<h2>{focus}</h2>
<figure>
{shown}
<figcaption>{index} · {words(record["img_id"])} · {share}</figcaption>
</figure>
</div>
<ol>
{spoken(record)}
</ol>
</article>"""


def spoken(record: dict[str, Any]) -> str:
    """The turns of a record as items of an HTML list, the target's name where the last answer marks it."""
    turns = [turn["value"] for turn in record["dialogue"]]
    turns[-1] = turns[-1].replace(tokens.SEG, tokens.write(record["focus"]))
    return "\n".join(
        f'<li class="model">{answer(text)}</li>' if place % 2 else f'<li class="you">{words(text)}</li>'
        for place, text in enumerate(turns)
    )
