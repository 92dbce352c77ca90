"""Every benchmark by its name, and the command that writes one as a file of cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from miras.errors import ConfigError
from miras.evaluate.benchmarks.own import own_cases
from miras.evaluate.benchmarks.photos import photos_cases
from miras.evaluate.benchmarks.prist import prist_cases
from miras.evaluate.benchmarks.reason_seg import reason_seg_cases
from miras.evaluate.benchmarks.refcoco import SETS, refcoco_cases
from miras.evaluate.benchmarks.wanted import Drawn, Wanted
from miras.evaluate.cases import Case, write_cases

__all__ = ["BENCHMARKS", "Benchmark", "draw_cases", "write_benchmark"]


@dataclass(frozen=True)
class Benchmark:
    """How to make the cases of one benchmark, and which suites it has."""

    make: Callable[[Wanted], Drawn]
    suites: tuple[str, ...] = ("direct",)
    """Its kinds of questions, the first by default."""
    limits_itself: bool = False
    """Whether it draws fewer targets by itself, together with what hangs on them."""


BENCHMARKS = {
    **{name: Benchmark(partial(refcoco_cases, name)) for name in SETS},
    "reason-seg": Benchmark(partial(reason_seg_cases, "reason-seg")),
    "prist": Benchmark(partial(prist_cases, "prist"), ("multi_turn",)),
    "photos": Benchmark(partial(photos_cases, "photos"), ("direct", "multi_turn"), limits_itself=True),
    "own": Benchmark(partial(own_cases, "own")),
}
"""By the name that the command takes."""


def draw_cases(name: str, wanted: Wanted) -> Drawn:
    """The first line and the cases. Raises ConfigError for a benchmark or a suite that is not known.

    An empty `suite` is the benchmark's first.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"there is no benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}")
    benchmark = BENCHMARKS[name]
    suite = wanted.suite or benchmark.suites[0]
    if suite not in benchmark.suites:
        raise ConfigError(f"{name} has the suite {' and '.join(benchmark.suites)}, got {suite!r}")
    if wanted.limit is not None and wanted.limit < 1:
        raise ConfigError(f"limit must be at least 1 case, got {wanted.limit}; leave it out for the whole split")
    return benchmark.make(replace(wanted, suite=suite))


def write_benchmark(name: str, wanted: Wanted, out: Path) -> dict[str, Any]:
    """Writes the cases of a benchmark as one file and returns its first line; `n` in it is how many there are.

    `limit` keeps that many, drawn by the seed, in file order.
    """
    console = Console(stderr=True)
    about, drawn = draw_cases(name, wanted)
    cases: Sequence[Case] = list(track(drawn, "drawing", console=console, disable=not console.is_terminal))
    if wanted.limit is not None and not BENCHMARKS[name].limits_itself:
        cases = _some(cases, wanted.limit, wanted.seed)
        about |= {"limit": wanted.limit, "seed": wanted.seed}
    about |= {"counts": dict(sorted(about["counts"].items())), "n": len(cases)}
    write_cases(out, about, cases)
    left = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in about["counts"].items() if count)
    console.print(f"{len(cases)} cases of {name} {about['split']} in {out} ({left})")
    return about


def _some(cases: Sequence[Case], limit: int, seed: int) -> list[Case]:
    places = np.random.default_rng([seed, 5]).permutation(len(cases))[:limit]
    return [cases[place] for place in sorted(places)]
