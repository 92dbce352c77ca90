"""The report as a page: the table, and everything that needs a person with the masks and the words that differ."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from miras.annotate.plan import Item
from miras.annotate.project import Project
from miras.annotate.report import DEFINITIONS, Open, Report, table
from miras.data.images import load_image
from miras.data.masks import decode
from miras.errors import ImageError, MaskError
from miras.files import made_beside
from miras.pages.draw import overlay
from miras.pages.html import counted, link, page, tone, words

__all__ = ["write_pictures"]

_MOST = 500
"""Entries of the page; the rest stands in report.json alone."""
_WIDEST = 720
"""Longest side of a picture in pixels."""


def write_pictures(project: Project, report: Report, out: Path) -> Path:
    """Writes `index.html` and its pictures into the folder `out` and returns the path of the page."""
    opened = report.open()
    shown = opened[:_MOST]
    with made_beside(out, replacing=["index.html", "pictures"]) as folder:
        (folder / "pictures").mkdir()
        cards = [_card(project, report, one, f"pictures/{n:04d}.jpg", folder) for n, one in enumerate(shown)]
        names = "".join(f"<li><b>{words(title)}</b>: {words(text)}.</li>" for title, text in DEFINITIONS.values())
        cut = f", the first {_MOST} shown here" if opened[_MOST:] else ""
        header = f"""<h1>Annotation</h1>
<p>{counted(len(opened), "thing")} to be looked at by a person{cut}.</p>
{_table(table(report.agreements, report.gates))}
<ul>{names}</ul>"""
        whole = page("Annotation: what needs a person", header, "\n".join(cards), "All figures are in report.json.")
        (folder / "index.html").write_text(whole, encoding="utf-8")
    return out / "index.html"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["".join(f"<td>{words(cell)}</td>" for cell in row) for row in rows]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"


def _card(project: Project, report: Report, one: Open, name: str, folder: Path) -> str:
    given = report.given.get(Item(one.image, one.label), {}) if one.what == "mask" else {}
    try:
        image = load_image(project.image(one.image))
        marked = Image.fromarray(overlay(image, [decode(mask) for mask in given.values()], opacity=0.4))
        marked.thumbnail((_WIDEST, _WIDEST))
        marked.save(folder / name, quality=88)
        picture = f'<img src="{link(name)}" width="{marked.width}" height="{marked.height}" alt="" loading="lazy" />'
    except (ImageError, MaskError) as error:
        picture = f"<p>{words(str(error))}</p>"
    people = "".join(
        f'<li><span class="dot" style="--tone: {tone(n)}"></span>{words(person)}: {_share(decode(mask))}</li>'
        for n, (person, mask) in enumerate(given.items())
    )
    return f"""<article>
<div class="photo">
<figure>
{picture}
<figcaption>{words(one.image)}</figcaption>
</figure>
</div>
<div>
<h2>{words(one.label)}</h2>
<p>{words(one.what)}: {words(one.rule)}, for {words(one.next)}. {words(one.text)}</p>
<ul>{people}</ul>
{_differences(report, one)}
</div>
</article>"""


def _share(mask: np.ndarray) -> str:
    return f"{mask.mean():.2%} of the image" if mask.any() else "absent"


def _differences(report: Report, one: Open) -> str:
    if one.what == "mask":
        return ""
    found = next(text.differences or {} for text in report.texts if (text.number,) == one.records)
    return "\n".join(f"<pre>{words(difference)}</pre>" for difference in found.values())
