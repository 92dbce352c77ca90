"""Two scored runs on the same cases: of every figure both values, and whether they differ by more than chance.

The values are those that scoring wrote down. The interval of the difference is a paired bootstrap over whole images, p
a paired permutation test over them (`miras.metrics.resample`, `miras.metrics.paired`). Dist counts distinct n-grams and
BERTScore is not kept reply by reply: both come without interval and p.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from miras.errors import ConfigError, DataError
from miras.evaluate.runs import CASES, PREDICTIONS, TARGETS
from miras.evaluate.scored import Scored, at, read_scored
from miras.evaluate.spoken import Spoken, measure
from miras.evaluate.targets import UNASKED, Met
from miras.metrics.paired import Permutations, p_values
from miras.metrics.resample import Difference, Replicas, Resamples, difference
from miras.metrics.text_resample import TextReplicas, TextResamples, text_difference, text_p_values
from miras.provenance import told_command

__all__ = ["FORMAT", "VERSION", "compare_runs", "compare_scored"]

FORMAT = "miras-comparison"
"""What a file of a comparison calls itself."""
VERSION = 1
"""Of the format."""

_LEVEL = 0.95
_WHO = ("model", "history", "setting", "images", "weights_sha256", "predictions_sha256")
_Drawn = TypeVar("_Drawn", bound=Replicas)


def compare_runs(
    run: Path, other: Path, *, by: Sequence[str] = (), replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """The comparison of two folders of runs, see `compare_scored`. Raises DataError also like `read_scored`."""
    return compare_scored(read_scored(run), read_scored(other), by=by, replicates=replicates, seed=seed)


def compare_scored(
    run: Scored, other: Scored, *, by: Sequence[str] = (), replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Every figure of both runs: `run`, `other`, their `difference`, its `interval` and `p`.

    Masks come under `masks`, for each grouping in `by` (size, turn, category, …) also by stratum; words under `text`
    and `text_without_last`. What one of the runs lacks is null. Raises DataError for runs on other cases or targets,
    and ConfigError for a grouping that there is not.
    """
    _must_be_alike(run, other)
    drawn, thrown = Resamples(replicates, seed), Permutations(replicates, seed)
    mine, yours = (measure(one.cases or (), one.predictions or ()) for one in (run, other))
    return {
        "format": FORMAT,
        "version": VERSION,
        **{name: _who(one) for name, one in (("run", run), ("other", other))},
        "cases": len(run.cases or ()),
        "cases_sha256": run.said("cases_sha256"),
        "level": _LEVEL,
        "replicates": replicates,
        "seed": seed,
        "command": told_command(),
        "masks": _masks(run, other, [f"by_{name}" for name in by], drawn, thrown) if run.met else None,
        "text": _text(run, other, "text", mine, yours, replicates, seed),
        "text_without_last": _text(
            run, other, "text_without_last", _not_last(mine), _not_last(yours), replicates, seed
        ),
    }


def _who(one: Scored) -> dict[str, Any]:
    return {"folder": str(one.folder), **{name: one.said(name) for name in _WHO}}


def _must_be_alike(run: Scored, other: Scored) -> None:
    for one in (run, other):
        if one.cases is None:
            raise DataError(f"{one.folder} should hold {CASES}, {PREDICTIONS} and {TARGETS} to be compared")
    hashes = [str(one.said("cases_sha256")) for one in (run, other)]
    if hashes[0] != hashes[1]:
        raise DataError(
            f"{run.folder} and {other.folder} answer different cases (SHA-256 {hashes[0][:12]}… and "
            f"{hashes[1][:12]}…); compare runs on one file of cases"
        )
    keys = [{(one.id, one.turn, one.index) for one in side.met if not one.extra} for side in (run, other)]
    if keys[0] != keys[1]:
        raise DataError(
            f"{run.folder} and {other.folder} hold other targets, {len(keys[0])} and {len(keys[1])}; score both again"
        )


def _masks(run: Scored, other: Scored, by: Sequence[str], drawn: Resamples, thrown: Permutations) -> dict[str, Any]:
    known = set(chain.from_iterable(one.labels for one in run.met))
    if unknown := sorted(set(by) - known):
        names = ", ".join(sorted(name.removeprefix("by_") for name in known))
        raise ConfigError(f"there is no grouping {unknown[0].removeprefix('by_')!r}; there are {names}")
    apart, chance = {}, {}
    for band in ("pixels", "boundary"):
        ours, theirs = (_replicas(one.met, band, by, drawn) for one in (run, other))
        apart[band] = difference(ours, theirs, _LEVEL)
        mine, yours = (_replicas(one.met, band, by, thrown) for one in (run, other))
        chance[band] = p_values(mine, yours)

    def stratum(*path: str) -> dict[str, Any]:
        ours, theirs, differ, p = (
            {name: value for name, value in at(one, *path).items() if not name.startswith("by_")}
            for one in (run.figures["masks"], other.figures["masks"], apart["pixels"], chance["pixels"])
        )
        differ["boundary_iou"], p["boundary_iou"] = (at(one["boundary"], *path, "giou") for one in (apart, chance))
        return {"targets": ours["n"] - ours["n_extra"], **_beside(ours, theirs, differ, p)}

    groups = {grouping: [name for name in apart["pixels"][grouping] if name != UNASKED] for grouping in by}
    strata = {grouping: {name: stratum(grouping, name) for name in names} for grouping, names in groups.items()}
    return {**stratum(), **strata}


def _replicas(met: Sequence[Met], band: str, by: Sequence[str], drawn: _Drawn) -> _Drawn:
    """Replicates of the kind, number and seed of `drawn`."""
    made = type(drawn)(drawn.replicates, drawn.seed)
    for one in met:
        labels = {name: stratum for name, stratum in one.labels.items() if name in by}
        made.update(getattr(one, band), one.unit, labels, extra=one.extra)
    return made


def _not_last(rows: Sequence[Spoken]) -> list[Spoken]:
    return [row for row in rows if not row.last]


def _text(
    run: Scored, other: Scored, name: str, mine: Sequence[Spoken], yours: Sequence[Spoken], replicates: int, seed: int
) -> dict[str, Any] | None:
    ours, theirs = run.figures[name], other.figures[name]
    if ours is None or theirs is None:
        return None
    resampled = [TextResamples(Resamples(replicates, seed)) for _ in range(2)]
    permuted = [TextReplicas(Permutations(replicates, seed)) for _ in range(2)]
    for rows, made in zip((mine, yours), zip(resampled, permuted, strict=True), strict=True):
        for row in rows:
            for one in made:
                one.update(row.numbers, row.unit)
    apart = text_difference(resampled[0], resampled[1], _LEVEL)
    p = text_p_values(permuted[0], permuted[1])
    names = [name for name in ours if name in theirs and name not in ("n", "empty", "tools")]
    return {"answers": ours["n"], **_beside(ours, theirs, {name: apart.get(name) for name in names}, p)}


def _beside(ours: Any, theirs: Any, differ: Any, p: Any) -> Any:
    """Each figure of `differ` with both values, as deep as it lies."""
    if isinstance(differ, Mapping):
        return {name: _beside(at(ours, name), at(theirs, name), one, at(p, name)) for name, one in differ.items()}
    known = ours is not None and theirs is not None
    interval = [differ.low, differ.high] if isinstance(differ, Difference) else None
    return {"run": ours, "other": theirs, "difference": ours - theirs if known else None, "interval": interval, "p": p}
