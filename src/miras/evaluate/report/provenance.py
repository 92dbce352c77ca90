"""Where every figure comes from: commands, versions and hashes of each run."""

from collections.abc import Mapping, Sequence
from typing import Any

from miras.evaluate.report.content import UNKNOWN, Column, Grid, Row, Section
from miras.evaluate.report.run import Ablation, Run
from miras.evaluate.runs import JUDGE
from miras.evaluate.scored import at

__all__ = ["provenance"]

_FIRST = (
    "command",
    "weights_sha256",
    "cases_sha256",
    "predictions_sha256",
    "versions",
    "score_command",
    "score_versions",
)
"""What every run is asked for, in this order; the rest of what its figures say follows."""
_TITLES = {
    "command": "command",
    "weights_sha256": "weights, SHA-256",
    "cases_sha256": "cases, SHA-256",
    "predictions_sha256": "answers, SHA-256",
    "score_command": "scored by",
    "score_versions": "scored with",
}


def provenance(runs: Sequence[Run], trials: Sequence[Ablation], command: str, versions: Mapping[str, Any]) -> Section:
    """One table per folder, and how this report was made."""
    grids = [
        _grid(f"run{place}-origin", f"{run.model}: {run.data}", run.source, _of_run(run))
        for place, run in enumerate(runs, 1)
    ]
    grids += [
        _grid(f"trials{place}-origin", "Trials of table 6", one.source, {"command": at(one.content, "command")})
        for place, one in enumerate(trials, 1)
    ]
    grids.append(_grid("report-origin", "This report", "", {"command": command, "versions": versions}))
    note = f"{UNKNOWN} stands for what the files do not say."
    return Section("origin", "Where the figures come from", tuple(grids), (note,))


def _of_run(run: Run) -> dict[str, Any]:
    said = run.figures.get("run") or {}
    facts = {name: said.get(name) for name in _FIRST} | dict(said)
    facts["setting"] = run.setting
    if run.judge is not None:
        facts[f"judge ({JUDGE})"] = run.judge.about["judge"]
    return facts


def _grid(name: str, title: str, source: str, facts: Mapping[str, Any]) -> Grid:
    rows = [Row("folder", (source.rpartition("/")[0],), source=source)] if source else []
    rows += [
        Row(_TITLES.get(key, key.replace("_", " ")), (_told(value),), source=source) for key, value in facts.items()
    ]
    return Grid(name, title, (Column("", words=True),), tuple(rows))


def _told(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    return str(value)
