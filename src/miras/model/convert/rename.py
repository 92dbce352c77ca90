"""State dicts under other names, both ways, from one table of rules; whatever no rule knows is an error.

A name's pattern holds places in braces: `{leaf}` is `weight` or `bias`, `{word}` one word, `{rest}` anything, and
every other place is a number; digits behind a place's name only tell two of a kind apart. What a place matched on one
side is written into the same place on the other.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import torch
from torch import Tensor

from miras.errors import CheckpointError
from miras.model.weights import Weights

__all__ = [
    "Renamed",
    "Rule",
    "added",
    "dropped",
    "joined",
    "named",
    "rename",
    "reshaped",
    "shared",
    "split",
    "steps",
    "under",
    "unmatched",
]

_Tensors = tuple[Tensor, ...]

_PLACE = re.compile(r"\{(\w+)\}")
_KINDS = {"leaf": "weight|bias", "word": "[a-z_]+", "rest": ".+"}
_SHOWN = 8


def _same(tensors: _Tensors) -> _Tensors:
    return tensors


@dataclass(frozen=True)
class Rule:
    """One kind of weight under the names of both sides; several names on a side go together, in their order."""

    theirs: tuple[str, ...]
    """Patterns of the one side; none where it has no such weight."""
    ours: tuple[str, ...]
    """Patterns of the other side, likewise."""
    there: Callable[[_Tensors], _Tensors] = _same
    """Their tensors → ours."""
    back: Callable[[_Tensors], _Tensors] = _same
    """Our tensors → theirs: the inverse of `there`."""
    why: str = ""
    """Why the other side has no such weight."""


@dataclass
class Renamed:
    """A state dict under its new names, and what the other side has no place for."""

    state: Weights
    dropped: dict[str, str] = field(default_factory=dict)
    """Name of a weight that was left out → why."""


def named(theirs: str, ours: str) -> Rule:
    """The same tensor under two names."""
    return Rule((theirs,), (ours,))


def split(theirs: str, *ours: str) -> Rule:
    """One tensor of theirs is ours stacked along the first axis in equal parts, such as a fused `qkv`."""
    count = len(ours)
    return Rule((theirs,), ours, lambda x: x[0].chunk(count), lambda x: (torch.cat(x),))


def joined(theirs: Sequence[str], ours: str) -> Rule:
    """Several tensors of theirs in equal parts are one of ours: the other way round of `split`."""
    count = len(theirs)
    return Rule(tuple(theirs), (ours,), lambda x: (torch.cat(x),), lambda x: x[0].chunk(count))


def steps(theirs: str, ours: str, names: Mapping[int, str]) -> tuple[Rule, ...]:
    """The steps of a sequence, which have numbers there and names here."""
    return tuple(named(f"{theirs}.{n}.{{leaf}}", f"{ours}{name}.{{leaf}}") for n, name in names.items())


def shared(theirs: str, *ours: str) -> Rule:
    """One tensor of theirs stands in several places of ours; on the way back they must be equal."""
    count = len(ours)

    def back(tensors: _Tensors) -> _Tensors:
        if any(not other.is_meta and not torch.equal(tensors[0], other) for other in tensors[1:]):
            raise CheckpointError(f"{' and '.join(ours)} should hold the same numbers, got different ones")
        return tensors[:1]

    return Rule((theirs,), ours, lambda x: x * count, back)


def reshaped(theirs: str, ours: str, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Rule:
    """The same numbers in another shape or order of axes."""
    return Rule((theirs,), (ours,), lambda x: (there(x[0]),), lambda x: (back(x[0]),))


def dropped(theirs: str, why: str) -> Rule:
    """A weight of theirs that we have no place for."""
    return Rule((theirs,), (), why=why)


def added(ours: str, why: str) -> Rule:
    """A weight of ours that they do not have."""
    return Rule((), (ours,), why=why)


def under(theirs: str, ours: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules with a prefix before the names of each side."""
    return tuple(
        replace(rule, theirs=tuple(theirs + x for x in rule.theirs), ours=tuple(ours + x for x in rule.ours))
        for rule in rules
    )


def rename(state: Mapping[str, Tensor], rules: Sequence[Rule], *, reverse: bool = False) -> Renamed:
    """Their names → ours, or ours → theirs; the first rule that fits a name decides.

    A tensor is asked of `state` when it is asked of the result, and shared with it wherever no shape changes. Raises
    CheckpointError listing every name that no rule knows, or that lacks those it goes together with, and names that
    two rules want.
    """
    groups, unknown = _grouped(state, rules, reverse)
    if unknown:
        raise CheckpointError(
            f"every name should be one of this layout's, got {len(unknown)} others: {_listed(unknown)}; "
            "name the layout that the file has, or leave these weights out"
        )
    makers: dict[str, Callable[[], Tensor]] = {}
    left_out: dict[str, str] = {}
    for (index, places), names in groups.items():
        rule = rules[index]
        targets = [_filled(pattern, dict(places)) for pattern in (rule.theirs if reverse else rule.ours)]
        if not targets:
            left_out |= dict.fromkeys(names, rule.why)
        for place, target in enumerate(targets):
            if target in makers:
                raise CheckpointError(f"{target} should come from one place, got it twice, last from {names[0]}")
            makers[target] = partial(_made, state, names, rule.back if reverse else rule.there, place)
    return Renamed(Weights(makers), left_out)


def _made(
    state: Mapping[str, Tensor], names: Sequence[str], change: Callable[[_Tensors], _Tensors], place: int
) -> Tensor:
    return change(tuple(state[name] for name in names))[place]


def unmatched(names: Iterable[str], rules: Sequence[Rule], *, reverse: bool = False) -> list[str]:
    """The names that the rules cannot rename, in order."""
    return _grouped(dict.fromkeys(names), rules, reverse)[1]


_Groups = dict[tuple[int, tuple[tuple[str, str], ...]], list[str]]


def _grouped(names: Mapping[str, object], rules: Sequence[Rule], reverse: bool) -> tuple[_Groups, list[str]]:
    """(rule, what its places matched) → the names that go together, and the names that are left over."""
    groups: _Groups = {}
    unknown: list[str] = []
    for name in names:
        if (found := _first(name, rules, reverse)) is None:
            unknown.append(name)
            continue
        if found in groups:
            continue
        rule = rules[found[0]]
        together = [_filled(pattern, dict(found[1])) for pattern in (rule.ours if reverse else rule.theirs)]
        if all(other in names for other in together):
            groups[found] = together
        else:
            unknown.append(name)
    return groups, unknown


def _first(name: str, rules: Sequence[Rule], reverse: bool) -> tuple[int, tuple[tuple[str, str], ...]] | None:
    for index, rule in enumerate(rules):
        for pattern in rule.ours if reverse else rule.theirs:
            if match := _compiled(pattern).fullmatch(name):
                return index, tuple(sorted(match.groupdict().items()))
    return None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = _PLACE.split(pattern)  # text, place, text, place, … text
    text = (
        f"(?P<{piece}>{_KINDS.get(piece.rstrip('0123456789'), '[0-9]+')})" if index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )
    return re.compile("".join(text))


def _filled(pattern: str, places: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: places[match[1]], pattern)


def _listed(names: Sequence[str]) -> str:
    """All names while they are few, else the first and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
