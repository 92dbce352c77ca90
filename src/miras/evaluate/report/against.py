"""Two runs over the same cases, side by side: what one gains on the other, in figures and pictures (figure 6)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from miras.evaluate.compare import compare_scored
from miras.evaluate.report.cards import photo
from miras.evaluate.report.content import Card, Cards, Column, Figure, Grid, Picture, Row, Section
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run
from miras.evaluate.summary import comparison_rows

__all__ = ["against"]

_Pair = tuple[Outcome, Outcome]
"""What a target met with in our run and in the other."""


def against(ours: Run, other: Run, *, count: int, images: Path | None, seed: int = 0) -> Section:
    """Both runs side by side: their figures with what tells them apart, and the targets that gain and lose most.

    Raises DataError where the two are not about the same cases.
    """
    compared = compare_scored(ours, other, by=("size",) if ours.met else (), seed=seed)
    theirs = {one.key: one for one in other.outcomes}
    pairs = [(one, theirs[one.key]) for one in ours.outcomes if not one.met.extra]
    names = _told_apart(ours, other)
    shown = [pair for pair in pairs if ours.may_show(pair[0].case)]
    by_gain = sorted(shown, key=lambda pair: (-_gain(pair), pair[0].key))
    gains = [pair for pair in by_gain if _gain(pair) > 0][:count]
    losses = [pair for pair in by_gain[::-1] if _gain(pair) < 0][:count]
    blocks: list[Grid | Cards] = [_figures(compared, ours, other, names)]
    for name, title, found in (
        ("gains", f"Where {names[0]} gains most", gains),
        ("losses", f"Where {names[0]} loses most", losses),
    ):
        cards = tuple(
            _card(pair, ours, other, names, f"against-{name}-{place}", images) for place, pair in enumerate(found, 1)
        )
        if cards:
            blocks.append(Cards(f"against-{name}", title, cards, "Sorted by the difference of their IoUs."))
    better, worse = (sum(sign * _gain(pair) > 0 for pair in pairs) for sign in (1, -1))
    note = (
        f"{names[0]} against {names[1]} on the same {len(pairs):,} targets: {better:,} have a higher IoU, {worse:,} a "
        f"lower one, {len(pairs) - better - worse:,} the same."
        if pairs
        else f"{names[0]} against {names[1]} in words alone: no true mask of these cases is known."
    )
    return Section("against", "Side by side", tuple(blocks), (note,))


def _gain(pair: _Pair) -> float:
    return pair[0].iou - pair[1].iou


def _told_apart(ours: Run, other: Run) -> tuple[str, str]:
    """Names for the two that differ: by model, setting, note, folder, or the whole path."""
    if ours.model != other.model:
        return ours.model, other.model
    for mine, theirs in (
        (ours.setting, other.setting),
        (ours.note or "as usual", other.note or "as usual"),
        (ours.folder.name, other.folder.name),
    ):
        if mine and theirs and mine != theirs:
            return f"{ours.model} ({mine})", f"{other.model} ({theirs})"
    return str(ours.folder), str(other.folder)


def _figures(compared: Mapping[str, Any], ours: Run, other: Run, names: tuple[str, str]) -> Grid:
    rows = []
    for title, one in comparison_rows(compared):
        interval = None if one["interval"] is None else (one["interval"][0], one["interval"][1])
        difference = Figure(one["difference"], interval, signed=True)
        cells = ((Figure(one["other"]),), (Figure(one["run"]),), (difference,), _chance(one["p"]))
        rows.append(Row(title, cells, source=f"{other.source}, {ours.source}"))
    columns = (Column(names[1]), Column(names[0]), Column("difference"), Column("p"))
    note = (
        f"In brackets paired intervals of {compared['level'] * 100:g} %; p says how often the two would lie as far "
        "apart or farther if it did not matter which of them answers, a permutation test; both from "
        f"{compared['replicates']:,} draws of whole images. Many figures are tested: one p below 0.05 proves little."
    )
    return Grid("against-figures", "Paired figures", columns, tuple(rows), (note,), "figure")


def _chance(p: float | None) -> str | tuple[Figure, ...]:
    return (Figure(p, unit="plain"),) if p is None or p >= 0.001 else "< 0.001"


def _card(pair: _Pair, ours: Run, other: Run, names: tuple[str, str], file: str, images: Path | None) -> Card:
    one, theirs = pair
    shown = (
        _photo(other, theirs, one, names[1], f"{file}a.jpg", images),
        _photo(ours, one, theirs, names[0], f"{file}b.jpg", images),
    )
    question = one.case.dialogue.questions[one.met.turn]
    said = ((question, names[1], theirs.said[-1].text), ("", names[0], one.said[-1].text))
    facts = (f"case {one.met.id}", f"turn {one.met.turn + 1}", one.size)
    return Card(one.met.phrase or "no name", f"{_gain(pair):+.2f}".replace("-", "−"), shown, said, facts)


def _photo(run: Run, one: Outcome, beside: Outcome, name: str, file: str, images: Path | None) -> Picture | str:
    caption, drawn = f"{name}: IoU {one.iou:.2f}", photo(run, one, file, images=images, beside=beside)
    return f"{caption}. {drawn}" if isinstance(drawn, str) else replace(drawn, caption=caption)
