"""What a report holds, before it is Markdown, JSON or a page: sections of tables and of cards with pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["UNKNOWN", "Card", "Cards", "Cell", "Column", "Figure", "Grid", "Picture", "Row", "Section", "Unit"]

UNKNOWN = "–"
"""What stands where nothing is known."""

Unit = Literal["percent", "points", "count", "plain"]
"""How a number is shown: 0..1 as percent, a judge's points, a whole number, or as it is."""

_DIGITS: dict[Unit, int] = {"percent": 1, "points": 2, "count": 0, "plain": 3}


@dataclass(frozen=True)
class Figure:
    """One number of a run, not rounded, with its interval where one is known."""

    value: float | None
    interval: tuple[float, float] | None = None
    unit: Unit = "percent"
    signed: bool = False
    """A difference, which shows its sign."""

    def shown(self) -> str:
        """The value as people read it, `–` where it is unknown."""
        return UNKNOWN if self.value is None else self._shown(self.value)

    def spread(self) -> str:
        """The interval in brackets; empty where none is known."""
        if self.value is None or self.interval is None:
            return ""
        low, high = map(self._shown, self.interval)
        return f"[{low}, {high}]"

    def to_json(self) -> dict[str, Any]:
        """Value, interval and unit, not rounded."""
        return {"value": self.value, "interval": self.interval and list(self.interval), "unit": self.unit}

    def _shown(self, value: float) -> str:
        digits = _DIGITS[self.unit]
        text = f"{value * 100 if self.unit == 'percent' else value:{'+' if self.signed else ''},.{digits}f}"
        return text.replace("-", "−")


Cell = str | tuple[Figure, ...]
"""Words, or figures that share a cell; no figure at all leaves it blank, which says that it does not apply."""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    name: str
    group: str = ""
    """What stands above it and its neighbours of the same group."""
    words: bool = False
    """Whether it holds words, which begin at the left."""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    name: str
    cells: tuple[Cell, ...] = ()
    kind: Literal["own", "paper", "data", "setting"] = "own"
    """Ours, the paper's, or a heading of lines about the same data or in the same setting."""
    source: str = ""
    """File that its figures were read from."""
    note: str = ""
    """A word or two beside the name."""


@dataclass(frozen=True)
class Grid:
    """A table."""

    name: str
    """A word for links and for JSON, of its own within the report."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    head: str = ""
    """What the rows' names are."""
    folded: int | None = None
    """Rows from this one on are folded away."""

    def to_json(self) -> dict[str, Any]:
        """Each row with its figures by column; headings are told by their kind."""
        names = [f"{column.group} {column.name}".strip() for column in self.columns]
        return {"title": self.title, "notes": list(self.notes), "rows": [_row(row, names) for row in self.rows]}


@dataclass(frozen=True)
class Picture:
    """A JPEG."""

    file: str
    """Its name in the folder of pictures."""
    jpeg: bytes
    width: int
    height: int
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Card:
    """One case: what was asked and said, with pictures or with why there are none."""

    title: str
    badge: str
    pictures: tuple[Picture | str, ...]
    said: tuple[tuple[str, str, str], ...]
    """(question, who answers, reply) of each turn, the last one that of the card."""
    facts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The card without the bytes of its pictures."""
        files = [one if isinstance(one, str) else f"pictures/{one.file}" for one in self.pictures]
        said = [dict(zip(("question", "by", "reply"), turn, strict=True)) for turn in self.said]
        about = {"title": self.title, "badge": self.badge, "facts": list(self.facts)}
        return {**about, "pictures": files, "said": said}


@dataclass(frozen=True)
class Cards:
    """Cards under one heading."""

    name: str
    title: str
    cards: tuple[Card, ...]
    note: str = ""
    small: bool = False

    def to_json(self) -> dict[str, Any]:
        """All cards."""
        return {"title": self.title, "note": self.note, "cards": [card.to_json() for card in self.cards]}


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    name: str
    title: str
    blocks: tuple[Grid | Cards, ...] = ()
    notes: tuple[str, ...] = ()
    tiles: tuple[tuple[str, Figure], ...] = ()
    """The few figures that say most, by name."""
    legend: tuple[tuple[Picture, str], ...] = ()
    """What the colours of its pictures mean."""

    def to_json(self) -> dict[str, Any]:
        """All that it holds, tables and cards by name."""
        tiles = {name: figure.to_json() for name, figure in self.tiles}
        about = {"title": self.title, "notes": list(self.notes), "figures": tiles}
        return {**about, **{block.name: block.to_json() for block in self.blocks}}


def _row(row: Row, names: Sequence[str]) -> dict[str, Any]:
    about = {"kind": row.kind, "name": row.name, "note": row.note, "source": row.source}
    cells = {
        name: cell if isinstance(cell, str) else [figure.to_json() for figure in cell]
        for name, cell in zip(names, row.cells, strict=False)
    }
    return {**about, "cells": cells}
