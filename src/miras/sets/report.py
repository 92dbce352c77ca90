"""What a check found, as the terminal shows it: a table, then what to do about each gap."""

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from miras.files import printable
from miras.pages.html import counted
from miras.sets.check import Found

__all__ = ["told_in_words"]

_WIDE = 120


def told_in_words(done: Sequence[Found]) -> str:
    """One row per set and split, and under the table every missing path, every shortfall and every broken entry."""
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in ("set", "split", "state", "found", "published"):
        table.add_column(heading)
    for one in done:
        words = ", ".join(f"{number:,} {what}" for what, number in one.counts.items())
        table.add_row(one.entry.name, one.split, _state(one), words, one.entry.counts.get(one.split, "not known"))
    held = io.StringIO()
    console = Console(file=held, width=_WIDE, color_system=None)
    console.print(table)
    return held.getvalue() + "".join(f"{line}\n" for one in done for line in _gaps(one))


def _state(one: Found) -> str:
    if one.missing:
        return "missing"
    if one.broken:
        return f"{len(one.broken)} broken"
    return "too small" if one.fewer else f"whole, {counted(len(one.pictures), 'sample')} read"


def _gaps(one: Found) -> list[str]:
    name = f"{one.entry.name} {one.split}"
    lines = [f"{name} lacks {need.path}: {need.what}" for need in one.missing]
    lines += [f"{name} has {got:,} {what}, published are {number:,}" for what, (got, number) in one.fewer.items()]
    lines += [f"{name}: {printable(' '.join(error.split()))}" for error in one.broken]
    if lines:
        lines.append(f"  {one.entry.title}: {one.entry.where} ({one.entry.licence})")
    return ["", *lines] if lines else []
