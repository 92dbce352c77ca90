"""A report as one HTML page that needs no other file: its pictures are inside."""

import base64
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby

from miras.evaluate.report.content import UNKNOWN, Card, Cards, Cell, Column, Figure, Grid, Picture, Row, Section
from miras.pages.html import answer, counted, page, words

__all__ = ["as_page"]


def as_page(title: str, summary: str, sections: Sequence[Section]) -> str:
    """The whole page."""
    links = "".join(f'<a href="#{words(one.name)}">{words(one.title)}</a>' for one in sections)
    header = f"""<h1>{words(title)}</h1>
<p>{words(summary)}</p>
<nav class="contents">{links}</nav>"""
    style = files("miras.evaluate.report").joinpath("page.css").read_text(encoding="utf-8")
    footer = "The same figures, not rounded, are in report.json; report.md holds the same words."
    return page(title, header, "\n".join(map(_section, sections)), footer, style)


def _section(section: Section) -> str:
    parts = [f'<h2 id="{words(section.name)}">{words(section.title)}</h2>', *map(_note, section.notes)]
    if section.tiles:
        parts.append(f'<div class="tiles">{"".join(_tile(*one) for one in section.tiles)}</div>')
    for block in section.blocks:
        if isinstance(block, Cards):
            parts.append(_cards(block, section.legend))
        else:
            parts.append(_grid(block))
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _note(text: str) -> str:
    return f'<p class="note">{words(text)}</p>'


def _tile(name: str, figure: Figure) -> str:
    unit = " <i>%</i>" if figure.unit == "percent" else ""
    spread = f"<small>{words(figure.spread())}</small>" if figure.spread() else ""
    return f'<div class="tile"><span>{words(name)}</span><b>{words(figure.shown())}{unit}</b>{spread}</div>'


def _grid(grid: Grid) -> str:
    notes = "".join(f"<li>{words(note)}</li>" for note in grid.notes)
    under = f'\n<ul class="notes">{notes}</ul>' if notes else ""
    title, cut = words(grid.title), len(grid.rows) if grid.folded is None else grid.folded
    if cut == 0:
        table = _table(grid, grid.rows)
        return f'<details class="whole" id="{words(grid.name)}"><summary>{title}</summary>\n{table}{under}\n</details>'
    whole = f'<h3 id="{words(grid.name)}">{title}</h3>\n{_table(grid, grid.rows[:cut])}'
    if rest := grid.rows[cut:]:
        more = f"{counted(len(rest), 'line')} more"
        whole += f"\n<details><summary>{more}</summary>\n{_table(grid, rest)}\n</details>"
    return whole + under


def _table(grid: Grid, rows: Sequence[Row]) -> str:
    head = ""
    if any(column.name or column.group for column in grid.columns):
        named = "".join(_column(column) for column in grid.columns)
        grouped = ""
        if any(column.group for column in grid.columns):
            groups = [(group, len(list(inside))) for group, inside in groupby(grid.columns, key=lambda one: one.group)]
            cells = "".join(
                f'<th class="group" colspan="{n}" scope="colgroup">{words(name)}</th>' for name, n in groups
            )
            grouped = f"<tr><th></th>{cells}</tr>\n"
        head = f'<thead>\n{grouped}<tr><th scope="col">{words(grid.head)}</th>{named}</tr>\n</thead>\n'
    body = "\n".join(_row(row, grid.columns) for row in rows)
    label = f'role="region" tabindex="0" aria-label="{words(grid.title)}"'
    return f'<div class="scroll" {label}><table>\n{head}<tbody>\n{body}\n</tbody>\n</table></div>'


def _column(column: Column) -> str:
    return f'<th scope="col"{_kind(column)}>{words(column.name)}</th>'


def _row(row: Row, columns: Sequence[Column]) -> str:
    if row.kind in ("data", "setting"):
        badge = f'<span class="badge">{words(row.note)}</span>' if row.note else ""
        heading = f'<th scope="rowgroup" colspan="{len(columns) + 1}"><span>{words(row.name)}{badge}</span></th>'
        return f'<tr class="{row.kind}">{heading}</tr>'
    note = f"<small>{words(row.note)}</small>" if row.note else ""
    cells = "".join(f"<td{_kind(column)}>{_cell(cell)}</td>" for column, cell in zip(columns, row.cells, strict=True))
    return f'<tr class="{row.kind}"><th scope="row">{words(row.name)} {note}</th>{cells}</tr>'


def _kind(column: Column) -> str:
    return ' class="words"' if column.words else ' class="figure"'


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return words(cell)
    shown = words(" / ".join(figure.shown() for figure in cell))
    spreads = [figure.spread() for figure in cell]
    return shown + (f"<small>{words(' / '.join(one or UNKNOWN for one in spreads))}</small>" if any(spreads) else "")


def _cards(cards: Cards, legend: Sequence[tuple[Picture, str]]) -> str:
    pairs = any(len(card.pictures) > 1 for card in cards.cards)
    note = _note(cards.note) if cards.note else ""
    shown = "\n".join(map(_card, cards.cards))
    key = ""
    if legend and not cards.small and any(card.pictures for card in cards.cards):
        patches = "".join(f"<li>{_image(picture)}{words(text)}</li>" for picture, text in legend)
        key = f'<ul class="legend">{patches}<li><span class="edge"></span>outline of the true mask</li></ul>\n'
    grid = f'<div class="cases{" pairs" if pairs else ""}">\n{shown}\n</div>'
    return f'<h3 id="{words(cards.name)}">{words(cards.title)}</h3>\n{note}\n{key}{grid}'


def _card(card: Card) -> str:
    pictures = "".join(map(_picture, card.pictures))
    shown = f'<div class="pictures">{pictures}</div>' if pictures else ""
    last = max((place for place, (question, _, _) in enumerate(card.said) if question), default=0)
    earlier = card.said[:last] if card.pictures else ()
    folded = ""
    if earlier:
        title = counted(len(earlier), "earlier turn")
        folded = f"<details><summary>{title}</summary>\n<ol>{_turns(earlier)}</ol>\n</details>"
    turns = f"<ol>{_turns(card.said[len(earlier) :])}</ol>"
    facts = f'<p class="facts">{words(" · ".join(card.facts))}</p>' if card.facts else ""
    heading = f"<header><h4>{words(card.title)}</h4><b>{words(card.badge)}</b></header>"
    return f'<div class="case">{heading}\n{shown}{folded}{turns}{facts}</div>'


def _turns(said: Sequence[tuple[str, str, str]]) -> str:
    several = len({by for _, by, _ in said}) > 1
    items = []
    for question, by, reply in said:
        if question:
            items.append(f'<li class="you">{words(question)}</li>')
        name = f'<span class="by">{words(by)}</span>' if several else ""
        items.append(f'<li class="model">{name}{answer(reply)}</li>')
    return "".join(items)


def _picture(picture: Picture | str) -> str:
    if isinstance(picture, str):
        return f'<p class="why">{words(picture)}</p>'
    caption = f"<figcaption>{words(picture.caption)}</figcaption>" if picture.caption else ""
    return f"<figure>{_image(picture)}{caption}</figure>"


def _image(picture: Picture) -> str:
    data = base64.b64encode(picture.jpeg).decode("ascii")
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="data:image/jpeg;base64,{data}" {size} alt="{words(picture.alt)}" />'
