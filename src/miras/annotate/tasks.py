"""What one person works in: a folder that labelme opens, with the dialogues to read and to correct beside it.

::

    index.html              how to work, and every image with what to mark and why
    labels.txt              the labels, for labelme's list
    {image}                 the image itself
    {stem}.json             labelme's file of the image
    dialogues/{stem}.json   its dialogues, to be corrected in any editor

A label ends in ` [person]` where a shape is shown as a proposal; it counts once its label is the asked one.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from miras.annotate.plan import Item, Record
from miras.data.images import load_image
from miras.data.labelme import Labelled, Shape, written
from miras.errors import ImageError
from miras.pages.html import link, page, words
from miras.prist.show import spoken

__all__ = ["COMMAND", "DIALOGUES", "Sheet", "fingerprint", "image_sizes", "proposal", "proposed", "write_tasks"]

DIALOGUES = "dialogues"
"""Folder of the dialogues in a person's folder."""

COMMAND = "labelme . --output . --labels labels.txt --validatelabel exact --labelflags '{.*: [hole]}'"
"""How a person opens the folder, in labelme 5 and 6."""

_PROPOSAL = re.compile(r"(?s)(.*) \[[a-z0-9-]+\]")


@dataclass(frozen=True)
class Sheet:
    """What one person gets about one image."""

    image: str
    size: tuple[int, int]
    """(height, width) in upright pixels."""
    items: Mapping[Item, Sequence[int]]
    """What to mark, with the numbers of its records."""
    shapes: tuple[Shape, ...] = ()
    """What is drawn there already."""
    beside: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Number of a record → further fields in its entry among the dialogues."""


def proposed(shape: Shape, person: str) -> Shape:
    """The shape with a label that says whose it is."""
    return replace(shape, label=f"{shape.label} [{person}]")


def proposal(name: str) -> str | None:
    """The label that a proposal is for; None for a label that is no proposal."""
    found = _PROPOSAL.fullmatch(name)
    return found[1] if found else None


def fingerprint(record: Record) -> str:
    """A short text that changes with the words of a record's focus and dialogue, and with nothing else."""
    texts = [record["focus"], *(turn["value"] for turn in record["dialogue"])]
    return sha256(json.dumps([text.split() for text in texts]).encode()).hexdigest()[:16]


def image_sizes(
    names: Sequence[str], images: Path, tell: Callable[[], None] = lambda: None
) -> dict[str, tuple[int, int]]:
    """(height, width) of each image, upright. Raises ImageError for one that is missing or broken."""
    sizes = {}
    for name in names:
        height, width = load_image(images / name).shape[:2]
        sizes[name] = (height, width)
        tell()
    return sizes


def write_tasks(folder: Path, sheets: Sequence[Sheet], records: Sequence[Record], image: Callable[[str], Path]) -> None:
    """Fills an empty folder; `image` says where each image lies. Masks of the records are not written into it.

    Raises ImageError for an image that cannot be copied.
    """
    (folder / DIALOGUES).mkdir(parents=True)
    for sheet in sheets:
        path = Path(sheet.image)
        try:
            shutil.copyfile(image(sheet.image), folder / path.name)
        except OSError as error:
            raise ImageError(f"{sheet.image} cannot be copied ({error}); put it back and try again") from error
        labelled = Labelled(path.name, *sheet.size, sheet.shapes)
        _write(folder / f"{path.stem}.json", written(labelled))
        _write(folder / DIALOGUES / f"{path.stem}.json", _entries(sheet, records))
    names = dict.fromkeys(item.label for sheet in sheets for item in sheet.items)
    shown = dict.fromkeys(shape.label for sheet in sheets for shape in sheet.shapes)
    labels = "\n".join([*sorted(names), *sorted(set(shown) - set(names))])
    (folder / "labels.txt").write_text(f"{labels}\n", encoding="utf-8")
    (folder / "index.html").write_text(_page(sheets, records), encoding="utf-8")


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _entries(sheet: Sheet, records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "record": number,
            "label": item.label,
            "absent": False,
            **sheet.beside.get(number, {}),
            "focus": records[number]["focus"],
            "dialogue": records[number]["dialogue"],
        }
        for item, numbers in sheet.items.items()
        for number in numbers
    ]


def _page(sheets: Sequence[Sheet], records: Sequence[Record]) -> str:
    header = f"""<h1>What to mark</h1>
<p>{len(sheets)} images. Open this folder with <code>{escape(COMMAND)}</code>. For every label of an image draw all
that it means, and only that, with polygons, rectangles, circles or masks; several shapes with one label make one mask
together. Cut a hole with a shape of the same label whose flag <code>hole</code> is set. Read the dialogue first: it
says which thing is meant. What the image does not show gets <code>"absent": true</code> in
<code>{DIALOGUES}/</code>, where you also correct what the dialogue says wrongly. A shape whose label ends in a name in
brackets is a proposal: give it the label without the brackets and it is yours. Save every image, and give the whole
folder back.</p>"""
    main = "\n".join(_card(sheet, records) for sheet in sheets)
    return page("What to mark", header, main, "")


def _card(sheet: Sheet, records: Sequence[Record]) -> str:
    name = Path(sheet.image).name
    talks = "\n".join(
        f"<h2>{words(item.label)}</h2>\n<ol>\n{spoken(records[number])}\n</ol>"
        for item, numbers in sheet.items.items()
        for number in numbers
    )
    height, width = sheet.size
    return f"""<article id="{link(name)}">
<div class="photo">
<figure>
<img src="{link(name)}" width="{width}" height="{height}" alt="The image" loading="lazy" />
<figcaption>{words(sheet.image)}</figcaption>
</figure>
</div>
<div>
{talks}
</div>
</article>"""
