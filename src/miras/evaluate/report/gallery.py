"""The gallery of a run: its best, middle and worst targets, no category crowding the others out; and its failures."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from miras.evaluate.report.cards import SMALL, card, dialogue_card
from miras.evaluate.report.content import Card, Cards
from miras.evaluate.report.failures import Failure, Kind, Replied
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run

__all__ = ["choose", "examples", "gallery"]

_EXAMPLES = 4
"""Of each kind of failure."""
_TITLES = {"best": "Best", "median": "Around the median", "worst": "Worst"}


def choose(outcomes: Iterable[Outcome], count: int, seed: int) -> dict[str, list[Outcome]]:
    """The targets of the highest, middle and lowest IoU, so many of each and none twice; equal IoUs come by the seed.

    Each round takes a category and an image once, going down the ranks; further rounds come when too few are found.
    """
    ranked = sorted(
        (one for one in outcomes if not one.met.extra),
        key=lambda one: (one.iou, _drawn(seed, *one.key)),
    )
    middle = (len(ranked) - 1) / 2
    by_distance = [ranked[place] for place in sorted(range(len(ranked)), key=lambda place: abs(place - middle))]
    count = min(count, -(-len(ranked) // 3))
    taken: set[int] = set()
    chosen = {name: _spread(order, count, taken)
              for name, order in (("best", ranked[::-1]), ("worst", ranked), ("median", by_distance))}  # fmt: skip
    rank = {id(one): place for place, one in enumerate(ranked)}
    return {name: sorted(chosen[name], key=lambda one: rank[id(one)], reverse=name != "worst") for name in _TITLES}


def gallery(run: Run, prefix: str, *, count: int, seed: int, images: Path | None) -> list[Cards]:
    """Best, median and worst; where no mask is known, some conversations in words. Empty without answers."""
    if run.cases is None or run.predictions is None:
        return []
    chosen = choose((one for one in run.outcomes if run.may_show(one.case)), count, seed)
    if not any(chosen.values()):
        known = [pair for pair in zip(run.cases, run.predictions, strict=True) if run.may_show(pair[0])]
        pairs = sorted(known, key=lambda pair: _drawn(seed, pair[0].id))
        cards = tuple(dialogue_card(run, case, answered.turns) for case, answered in pairs[:count])
        note = "No true mask of these cases is known, so they are shown in words; drawn by the seed."
        return [Cards(f"{prefix}-dialogues", "Conversations", cards, note)]
    count_all = sum(not one.met.extra for one in run.outcomes)
    return [
        Cards(
            f"{prefix}-{name}",
            _TITLES[name],
            tuple(card(run, one, f"{prefix}-{name}-{place}.jpg", images=images) for place, one in enumerate(shown, 1)),
            f"{len(shown)} of {count_all:,} targets, spread over categories and images; ties are drawn by the seed."
            + (f" Shown {run.shown_of}." if run.shown_of else ""),
        )
        for name, shown in chosen.items()
        if shown
    ]


def examples(run: Run, found: Sequence[Failure], prefix: str, *, seed: int, images: Path | None) -> list[Cards]:
    """A few of each kind of failure, drawn by the seed."""
    shown = []
    for number, failure in enumerate(found, 1):
        shown_ones = [one for one in failure.found if run.may_show(one.case)]
        drawn = sorted(shown_ones, key=lambda one: _drawn(seed, failure.kind.name, *_names(one)))[:_EXAMPLES]
        cards = tuple(
            card(run, one, f"{prefix}-failure{number}-{place}.jpg", images=images, longest=SMALL)
            for place, one in enumerate(drawn, 1)
        )
        if cards:
            shown.append(_of_kind(failure.kind, len(failure.found), cards, f"{prefix}-failure{number}"))
    return shown


def _of_kind(kind: Kind, count: int, cards: tuple[Card, ...], name: str) -> Cards:
    rule = f"{kind.rule[0].upper()}{kind.rule[1:]}. {len(cards)} of {count:,}, drawn by the seed."
    return Cards(name, kind.name.capitalize(), cards, rule, small=True)


def _spread(order: Sequence[Outcome], count: int, taken: set[int]) -> list[Outcome]:
    """The first of the order, in rounds in which each category and each image comes once more."""
    found: list[Outcome] = []
    categories: Counter[str] = Counter()
    photos: Counter[str] = Counter()
    most = 0
    while len(found) < count and len(taken) < len(order):
        most += 1
        for one in order:
            if len(found) == count:
                break
            if id(one) in taken or categories[one.category] >= most or photos[one.met.unit] >= most:
                continue
            found.append(one)
            taken.add(id(one))
            categories[one.category] += 1
            photos[one.met.unit] += 1
    return found


def _names(one: Outcome | Replied) -> tuple[object, ...]:
    return one.key if isinstance(one, Outcome) else (one.case.id, one.turn)


def _drawn(seed: int, *names: object) -> str:
    return hashlib.sha256(repr((seed, *names)).encode()).hexdigest()
