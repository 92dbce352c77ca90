"""A report as Markdown, its pictures in a folder beside it."""

import re
from collections.abc import Sequence

from miras import tokens
from miras.evaluate.report.content import Card, Cards, Cell, Grid, Picture, Row, Section
from miras.files import printable

__all__ = ["PICTURES", "as_markdown"]

PICTURES = "pictures"
"""The folder of pictures, beside the file."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "~": "&#126;", "$": "&#36;"}
"""What Python-Markdown, which builds the docs, cannot escape by a backslash."""
_OPENER = re.compile(r"^(\d*)([-+.)])(?=\s|$)")
"""How a list begins."""


def as_markdown(title: str, summary: str, sections: Sequence[Section]) -> str:
    """The whole text."""
    parts = [f"# {_plain(title)}", _plain(summary)]
    for section in sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"## {_plain(section.title)}", *map(_plain, section.notes)]
    for name, figure in section.tiles:
        unit = " %" if figure.unit == "percent" else ""
        parts.append(f"**{_plain(name)}** {_plain(f'{figure.shown()}{unit} {figure.spread()}')}")
    told = False
    for block in section.blocks:
        if isinstance(block, Grid):
            parts += _grid(block)
            continue
        if section.legend and not told and any(card.pictures for card in block.cards):
            shown = [f"{_image(picture)} {_plain(text)}" for picture, text in section.legend]
            parts.append(", ".join([*shown, "white: the outline of the true mask"]))
            told = True
        parts += _cards(block)
    return parts


def _grid(grid: Grid) -> list[str]:
    heads = [grid.head, *(f"{column.group} {column.name}".strip() for column in grid.columns)]
    marks = [":--", *(":--" if column.words else "--:" for column in grid.columns)]
    lines = [_line(map(_plain, heads)), _line(marks), *(_row(row, len(grid.columns)) for row in grid.rows)]
    notes = "\n".join(f"- {_plain(note)}" for note in grid.notes)
    return [f"### {_plain(grid.title)}", "\n".join(lines), *([notes] if notes else [])]


def _row(row: Row, columns: int) -> str:
    note = f" ({_plain(row.note)})" if row.note else ""
    name = _plain(row.name) + note
    if row.kind in ("data", "setting"):
        mark = "**" if row.kind == "data" else "*"
        return _line([f"{mark}{name}{mark}", *[""] * columns])
    if row.kind == "paper":
        name = f"*{name}*"
    return _line([name, *(_plain(_cell(cell)) for cell in row.cells)])


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return " / ".join(f"{figure.shown()} {figure.spread()}".strip() for figure in cell)


def _line(cells: object) -> str:
    return "| " + " | ".join(cells) + " |"  # type: ignore[arg-type]


def _cards(cards: Cards) -> list[str]:
    parts = [f"### {_plain(cards.title)}", *([_plain(cards.note)] if cards.note else [])]
    for card in cards.cards:
        parts += _card(card)
    return parts


def _card(card: Card) -> list[str]:
    facts = " · ".join([card.badge, *card.facts])
    parts = [f"**{_plain(card.title)}** · {_plain(facts)}"]
    for picture in card.pictures:
        if isinstance(picture, str):
            parts.append(f"*{_plain(picture)}*")
        else:
            parts.append(_image(picture) + (f" {_plain(picture.caption)}" if picture.caption else ""))
    lines = []
    for question, by, reply in card.said:
        if question:
            lines.append(_plain(question))
        lines.append(f"**{_plain(by)}:** {_plain(tokens.strip(reply)) or '(no words)'}")
    return [*parts, "\n>\n".join(f"> {line}" for line in lines)]


def _image(picture: Picture) -> str:
    return f"![{_plain(picture.alt)}]({PICTURES}/{picture.file})"


def _plain(text: str) -> str:
    """Any words on one line, nothing in them read as Markdown or HTML."""
    line = " ".join(printable(text).split())
    escaped = _OPENER.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", line))
    return "".join(_ENTITIES.get(letter, letter) for letter in escaped)
