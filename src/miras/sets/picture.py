"""One item of a data set as people look at it: the photo with its masks, and the words that go with them."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from miras.data.images import load_image
from miras.data.masks import decode
from miras.errors import DataError
from miras.files import printable
from miras.pages.draw import PALETTE, overlay
from miras.pages.html import answer, counted, page, tone, words
from miras.sets.scene import Region, RegionSet, Scene, TalkSet, Told

__all__ = ["Picture", "picture", "picture_page"]

_WIDEST = 640
"""Longest side of a picture in pixels."""
_TOLD = 8
"""How many of the absent classes are named."""
_STYLE = """
.names { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 12px; }
.sample h2 { margin-bottom: 4px; } .sample p { margin: 0 0 12px; color: var(--soft); font-size: 14px;
  overflow-wrap: anywhere; }
section > h2 { margin: 32px 0 12px; font-size: 22px; }
"""


@dataclass(frozen=True)
class Picture:
    """One item, ready to be shown."""

    item: int
    image: str
    """Path of the photo; empty where there is none."""
    photo: bytes | None
    """JPEG with the masks drawn on it."""
    told: str
    """HTML of what belongs to it."""
    masks: int
    """How many masks it has; as many as there are colours are drawn."""


def picture(opened: RegionSet | TalkSet, item: int) -> Picture:
    """Reads an item as training does, every mask of it included. Raises DataError for what is broken."""
    if isinstance(opened, RegionSet):
        return _scene(item, opened.scene(item))
    return _talk(item, opened.told(item))


def picture_page(title: str, about: str, sets: dict[str, list[Picture]]) -> str:
    """A page of HTML that holds its pictures itself; `sets` has what is shown under each heading."""
    sections = [
        f"<section><h2>{words(name)}</h2>\n" + "\n".join(map(_card, pictures)) + "</section>"
        for name, pictures in sets.items()
    ]
    return page(title, f"<h1>{words(title)}</h1>\n<p>{words(about)}</p>", "\n".join(sections), "", _STYLE)


def _scene(item: int, scene: Scene) -> Picture:
    pixels = load_image(scene.image)
    masks = [_fitting(region.draw(), pixels, scene) for region in scene.regions]
    for region in scene.regions:
        if region.ignore is not None:
            _fitting(region.ignore(), pixels, scene)
    order = np.argsort([-int(mask.sum()) for mask in masks], kind="stable")[: len(PALETTE)]
    # the largest lies below, so that none hides another
    photo = overlay(pixels, [masks[place] for place in order], [_called(scene.regions[place]) for place in order])
    shown = {int(place): color for color, place in enumerate(order)}
    names = [_chip(_called(region), shown.get(place)) for place, region in enumerate(scene.regions)]
    told = f'<div class="names">{"".join(names) or "nothing to mark"}</div>\n<p>{_absent(scene.absent)}</p>'
    return Picture(item, str(scene.image), _jpeg(photo), told, len(masks))


def _talk(item: int, told: Told) -> Picture:
    turns = "\n".join(
        f'<li class="{"you" if turn.role == "user" else "model"}">'
        f"{words(turn.text) if turn.role == 'user' else answer(turn.text)}</li>"
        for dialogue in told.dialogues
        for turn in dialogue.turns
    )
    html = f"<ol>\n{turns}\n</ol>"
    if told.image is None:
        return Picture(item, "", None, html, 0)
    pixels = load_image(told.image)
    targets = [target for dialogue in told.dialogues for target in dialogue.targets if target.mask is not None]
    masks = [decode(target.mask) for target in targets if target.mask is not None]
    drawn = overlay(pixels, masks, [target.phrase for target in targets])
    return Picture(item, str(told.image), _jpeg(drawn), html, len(masks))


def _fitting(mask: np.ndarray, pixels: np.ndarray, scene: Scene) -> np.ndarray:
    if mask.shape != pixels.shape[:2]:
        raise DataError(f"a mask of {mask.shape} for {scene.image} of {pixels.shape[:2]}; take both from one release")
    return mask


def _called(region: Region) -> str:
    return region.names[0] if region.whole is None else f"{region.whole}: {region.names[0]}"


def _chip(name: str, color: int | None) -> str:
    return f'<mark style="--tone: {"var(--line)" if color is None else tone(color)}">{words(name)}</mark>'


def _absent(names: tuple[str, ...]) -> str:
    some = ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
    return words(f"Surely not there: {some}" if names else "")


def _jpeg(pixels: np.ndarray) -> bytes:
    image, held = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((_WIDEST, _WIDEST))
    image.save(held, format="JPEG", quality=85)
    return held.getvalue()


def _card(one: Picture) -> str:
    shown = "<p>no image</p>"
    if one.photo is not None:
        source = base64.b64encode(one.photo).decode("ascii")
        shown = f'<img src="data:image/jpeg;base64,{source}" alt="{words(printable(one.image))}" loading="lazy" />'
    heading = f"Item {one.item}, {counted(one.masks, 'mask')}"
    return f"""<article class="sample">
<div class="photo"><figure>
{shown}
<figcaption>{words(one.image)}</figcaption>
</figure></div>
<div>
<h2>{heading}</h2>
{one.told}
</div>
</article>"""
