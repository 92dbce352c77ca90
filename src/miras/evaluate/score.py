"""From what was asked and what was answered to every figure, with its interval.

The run's folder gets `targets.jsonl`, what each target met with, and `figures.json`. A figure that cannot be had is
null.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from miras.evaluate.cases import Cases, read_cases
from miras.evaluate.predictions import Predictions, read_predictions
from miras.evaluate.replies import reply_figures
from miras.evaluate.runs import CASES, FIGURES, PREDICTIONS, TARGETS
from miras.evaluate.spoken import Spoken, measure
from miras.evaluate.targets import Met, meet, write_targets
from miras.files import write_beside, write_json
from miras.metrics.bertscore import BertScore
from miras.metrics.conventions import authors_validation, paper_table3
from miras.metrics.masks import Strata
from miras.metrics.resample import Resamples
from miras.metrics.text import TextSums, TextTools
from miras.metrics.text_resample import TextResamples
from miras.provenance import told_command, versions

__all__ = ["FORMAT", "VERSION", "adopt_answers", "mask_figures", "score_run", "text_figures"]

FORMAT = "miras-figures"
"""What a file of figures calls itself."""
VERSION = 1
"""Of the format."""

_LEVEL = 0.95


def adopt_answers(predictions: Path, cases: Path, run: Path) -> None:
    """Makes the folder of a run from a file of cases and any model's answers. Raises DataError like `score_run`."""
    read_predictions(predictions, read_cases(cases))
    for source, name in ((cases, CASES), (predictions, PREDICTIONS)):
        with write_beside(run / name) as beside:
            beside.write_bytes(source.read_bytes())


def score_run(
    run: Path, *, bertscore: BertScore | None = None, replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Score the answers of a run folder and write its figures; returns them.

    `bertscore` adds that figure, which takes longest. Intervals hold 95 % of `replicates` draws of whole images.
    Raises DataError that names the line where cases or answers cannot be used.
    """
    cases = read_cases(run / CASES)
    predictions = read_predictions(run / PREDICTIONS, cases)
    met = [one for case, answered in zip(cases, predictions, strict=True) for one in meet(case, answered)]
    masks, mask_intervals = mask_figures(met, Resamples(replicates, seed))
    intervals: dict[str, Any] = {"level": _LEVEL, "replicates": replicates, "seed": seed, "masks": mask_intervals}
    spoken, tools = measure(cases, predictions, bertscore), bertscore.tools() if bertscore else TextTools()
    texts: dict[str, Any] = {}
    for name, rows in {"text": spoken, "text_without_last": [one for one in spoken if not one.last]}.items():
        if name == "text" and predictions.about.get("text_turns", "all") != "all":
            rows = []  # the last replies were asked for in another form
        texts[name], intervals[name] = text_figures(rows, tools, Resamples(replicates, seed))
    replies = reply_figures((case.dialogue, one.turns) for case, one in zip(cases, predictions, strict=True))
    figures = {
        "format": FORMAT,
        "version": VERSION,
        "run": _about(cases, predictions),
        "masks": masks,
        "replies": replies,
        **texts,
        "intervals": intervals,
    }
    write_targets(run / TARGETS, met)
    write_json(run / FIGURES, figures)
    return figures


def mask_figures(met: Sequence[Met], drawn: Resamples) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Every mask figure over all targets and their strata, and the interval of each; None without targets.

    Beside those of `miras.metrics.masks`: `boundary_iou`, the mean over targets, and over all targets the paper's
    `conventions` and those of its authors' validation.
    """
    if not met:
        return None, None
    pixels, edges = Strata(), Strata()
    drawn_edges = Resamples(drawn.replicates, drawn.seed)
    for one in met:
        pixels.update(one.pixels, one.labels, extra=one.extra)
        edges.update(one.boundary, one.labels, extra=one.extra)
        drawn.update(one.pixels, one.unit, one.labels, extra=one.extra)
        drawn_edges.update(one.boundary, one.unit, one.labels, extra=one.extra)
    figures = _with_boundary(pixels.compute(), edges.compute())
    intervals = _with_boundary(drawn.intervals(_LEVEL), drawn_edges.intervals(_LEVEL))
    conventions = {"table_3": paper_table3(pixels.total), "authors_validation": authors_validation(pixels.total)}
    return {**figures, "conventions": conventions}, intervals


def _with_boundary(figures: dict[str, Any], edges: Mapping[str, Any]) -> dict[str, Any]:
    """The figures with the mean IoU of the boundary bands, in every stratum as well."""
    strata = {
        grouping: {name: _with_boundary(one, edges[grouping][name]) for name, one in inside.items()}
        for grouping, inside in figures.items()
        if grouping.startswith("by_")
    }
    return {**figures, "boundary_iou": edges.get("giou"), **strata}


def text_figures(
    spoken: Sequence[Spoken], tools: TextTools, drawn: Resamples
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Every text figure over the replies, and the interval of each that has one; None without replies."""
    if not spoken:
        return None, None
    sums, resamples = TextSums(tools), TextResamples(drawn)
    for one in spoken:
        sums.add(one.numbers, one.text)
        resamples.update(one.numbers, one.unit)
    intervals: dict[str, Any] = resamples.intervals(_LEVEL)
    if (interval := intervals.pop("bertscore")) is not None and tools.bertscore:
        intervals[tools.bertscore] = interval
    return sums.compute(), intervals


def _about(cases: Cases, predictions: Predictions) -> dict[str, Any]:
    """Where the figures come from: what the cases say of themselves, who answered and how, and this scoring."""
    seconds = [said.seconds for answered in predictions for said in answered.turns if said.seconds is not None]
    return {
        **{name: cases.about.get(name) for name in ("benchmark", "split", "suite")},
        **predictions.about,
        "cases": len(cases),
        "cases_sha256": cases.sha256,
        "predictions_sha256": predictions.sha256,
        "seconds": round(sum(seconds), 1) if seconds else None,
        "score_command": told_command(),
        "score_versions": versions(),
    }
