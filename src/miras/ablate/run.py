"""An ablation from its plan to its table: every entry is trained, answers the same requests, and is scored alike."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from miras.ablate.plan import Plan
from miras.ablate.table import FIGURES, Result, rows_of, shown
from miras.ablate.training import Entry, entries, train_entry
from miras.evaluate import runs
from miras.evaluate.benchmarks.registry import write_benchmark
from miras.evaluate.benchmarks.wanted import Wanted
from miras.evaluate.parts import Share
from miras.evaluate.run import run_predict
from miras.evaluate.score import score_run
from miras.files import write_json
from miras.provenance import told_command, versions

__all__ = ["run_ablation"]

_REPLICATES = 200


def run_ablation(
    plan: Plan, out: Path, seeds: Sequence[int], more: Mapping[str, Any], *, targets: int | None, console: Console
) -> None:
    """Train and score what is left of an ablation, and write its table anew after each entry.

    `more` holds settings for every training, among them `data`, whose val split is asked: `targets` of it, or all.
    Under torchrun each process takes its share of the entries.
    """
    share = Share.from_environment()
    cases = out / "cases.jsonl"
    if not cases.is_file():
        write_benchmark("photos", Wanted(Path(str(more["data"])), "val", limit=targets), cases)
    everything = list(entries(plan, seeds, out))
    for place, entry in enumerate(everything):
        if place % share.of == share.rank:
            train_entry(plan, entry, more, console)
            _score(entry, cases)
            _write_table(plan, everything, out)
    if (results := _results(everything)) and share.rank == 0:
        console.print(shown(rows_of(results)))


def _score(entry: Entry, cases: Path) -> None:
    """Ask the trained model what all are asked, and score its answers."""
    run = entry.folder / "run"
    if not (run / runs.FIGURES).is_file():
        if not (run / runs.PREDICTIONS).is_file():
            run_predict(cases, run, str(entry.model), share=Share())
        score_run(run, replicates=_REPLICATES)


def _results(everything: Sequence[Entry]) -> list[Result]:
    """What is finished, whichever process finished it."""
    found = []
    for entry in everything:
        path = entry.folder / "run" / runs.FIGURES
        if path.is_file():
            masks = json.loads(path.read_text(encoding="utf-8"))["masks"]
            figures = {figure: masks[figure] for figure in FIGURES}
            trained = json.loads(entry.trained.read_text(encoding="utf-8"))
            found.append(Result(entry.variant.name, entry.variant.title, entry.seed, figures, trained))
    return found


def _write_table(plan: Plan, everything: Sequence[Entry], out: Path) -> None:
    """Writes the table of what is finished."""
    content = {
        "format": "miras-ablation",
        "version": 1,
        "table": rows_of(_results(everything)),
        "plan": {"preset": plan.preset, "stages": plan.stages},
        "command": told_command(),
        "versions": versions(),
    }
    write_json(out / runs.ABLATION, content)
