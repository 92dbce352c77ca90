"""Two runs over the same cases, target by target: what one gains on the other, in figures and pictures (figure 6)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from miras.errors import DataError
from miras.evaluate.report.cards import photo
from miras.evaluate.report.content import Card, Cards, Column, Figure, Grid, Picture, Row, Section
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run
from miras.evaluate.runs import TARGETS

__all__ = ["Compare", "Paired", "against", "plain_differences"]


@dataclass(frozen=True)
class Paired:
    """How far two runs differ in one figure over the same targets."""

    difference: float | None
    """Ours less the other's, 0..1."""
    interval: tuple[float, float] | None = None
    p: float | None = None
    """Of no difference; None where nothing was tested."""


Compare = Callable[[Sequence[Outcome], Sequence[Outcome]], Mapping[str, Paired]]
"""Our outcomes and the other's of the same targets, in one order → figure, named as in MaskSums.compute, to its
difference; `note` on such a function is shown below the table."""

_FIGURES = (("giou", "gIoU"), ("ciou", "cIoU"), ("precision_macro", "Prec., macro"), ("recall_macro", "Recall, macro"))


def plain_differences(ours: Sequence[Outcome], other: Sequence[Outcome]) -> dict[str, Paired]:
    """The differences alone: neither interval nor p."""
    first, second = _computed(ours), _computed(other)
    return {name: Paired(first[name] - second[name]) for name, _ in _FIGURES}


def against(ours: Run, other: Run, *, count: int, images: Path | None, compare: Compare = plain_differences) -> Section:
    """Both runs side by side: the paired figures, and the targets that gain and lose most.

    Raises DataError where the two are not about the same cases, or one lacks its targets.
    """
    pairs = _pairs(ours, other)
    names = _told_apart(ours, other)
    by_gain = sorted(pairs, key=lambda pair: (-_gain(pair), pair[0].key))
    gains = [pair for pair in by_gain if _gain(pair) > 0][:count]
    losses = [pair for pair in by_gain[::-1] if _gain(pair) < 0][:count]
    blocks: list[Grid | Cards] = [_figures(pairs, ours, other, names, compare)]
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
    )
    return Section("against", "Side by side", tuple(blocks), (note,))


def _pairs(ours: Run, other: Run) -> list[tuple[Outcome, Outcome]]:
    for run in (ours, other):
        if not run.outcomes:
            raise DataError(
                f"{run.folder} holds no outcome of any target, so it cannot be set side by side; its cases, answers "
                f"and {TARGETS} are needed"
            )
    assert ours.cases is not None and other.cases is not None
    if ours.cases.sha256 != other.cases.sha256:
        raise DataError(
            f"{ours.folder} and {other.folder} answer different cases ({ours.data} and {other.data}, SHA-256 "
            f"{ours.cases.sha256[:12]}… and {other.cases.sha256[:12]}…); compare runs over one file of cases"
        )
    known = [{one.key: one for one in run.outcomes if not one.extra and one.iou is not None} for run in (ours, other)]
    if known[0].keys() != known[1].keys():
        key = min(known[0].keys() ^ known[1].keys())
        raise DataError(
            f"{ours.folder} and {other.folder} score different targets, the first of case {key[0]!r}; score both again"
        )
    if not known[0]:
        raise DataError(
            f"{ours.folder} and {other.folder} share no target with a known IoU; there is nothing to compare"
        )
    return [(one, known[1][key]) for key, one in known[0].items()]


def _gain(pair: tuple[Outcome, Outcome]) -> float:
    return (pair[0].iou or 0.0) - (pair[1].iou or 0.0)


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


def _figures(
    pairs: Sequence[tuple[Outcome, Outcome]], ours: Run, other: Run, names: tuple[str, str], compare: Compare
) -> Grid:
    first, second = [one for one, _ in pairs], [one for _, one in pairs]
    paired = compare(first, second)
    means = [_computed(outcomes) for outcomes in (second, first)]
    source = f"{other.folder / TARGETS}, {ours.folder / TARGETS}"
    rows = []
    for name, title in _FIGURES:
        found = paired.get(name, Paired(None))
        difference = Figure(found.difference, found.interval, signed=True)
        cells = (*((Figure(figures[name]),) for figures in means), (difference,), _chance(found.p))
        rows.append(Row(title, cells, source=source))
    notes = filter(None, (getattr(compare, "note", ""),))
    columns = (Column(names[1]), Column(names[0]), Column("difference"), Column("p"))
    return Grid("against-figures", "Paired figures", columns, tuple(rows), tuple(notes))


def _computed(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The figures of at least one outcome, by the empty rule of `metrics.masks`."""
    union = sum(one.tp + one.fp + one.fn for one in outcomes)
    return {
        "giou": _mean(one.iou or 0.0 for one in outcomes),
        "ciou": sum(one.tp for one in outcomes) / union if union else 1.0,
        "precision_macro": _mean(_or_empty(one, one.precision) for one in outcomes),
        "recall_macro": _mean(_or_empty(one, one.recall) for one in outcomes),
    }


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


def _or_empty(one: Outcome, figure: float | None) -> float:
    """Both masks empty is right, one of them empty is wrong."""
    if figure is not None:
        return figure
    return 0.0 if one.tp + one.fp + one.fn else 1.0


def _chance(p: float | None) -> str | tuple[Figure, ...]:
    return (Figure(p, unit="plain"),) if p is None or p >= 0.001 else "< 0.001"


def _card(
    pair: tuple[Outcome, Outcome], ours: Run, other: Run, names: tuple[str, str], file: str, images: Path | None
) -> Card:
    shown: list[Picture | str] = []
    theirs = (pair[1], other, names[1], f"{file}a.jpg", pair[0])
    for one, run, name, place, beside in (theirs, (pair[0], ours, names[0], f"{file}b.jpg", pair[1])):
        drawn = photo(run, one, place, images=images, beside=beside)
        caption = f"{name}: IoU {one.iou or 0.0:.2f}"
        shown.append(
            f"{caption}. {drawn}" if isinstance(drawn, str)
            else Picture(drawn.file, drawn.jpeg, drawn.width, drawn.height, drawn.alt, caption)
        )  # fmt: skip
    question = pair[0].case.dialogue.questions[pair[0].turn]
    said = ((question, names[1], pair[1].reply.text), ("", names[0], pair[0].reply.text))
    facts = (f"case {pair[0].case.id}", f"turn {pair[0].turn + 1}", *filter(None, [pair[0].size]))
    return Card(pair[0].phrase or "no name", f"{_gain(pair):+.2f}".replace("-", "−"), tuple(shown), said, facts)
