"""From what came back to what is settled: a PRIST file with masks, the audit trail and the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from miras.annotate.adjudicate import Decision, Thresholds, adjudicate
from miras.annotate.agreement import GATES, FigureName
from miras.annotate.collect import Work
from miras.annotate.corrections import TextDecision, decide_texts
from miras.annotate.pictures import write_pictures
from miras.annotate.plan import Item, Record
from miras.annotate.project import Project
from miras.annotate.report import Report, as_json, as_markdown
from miras.annotate.trail import TRAIL, append, mask_entry, text_entry
from miras.files import write_json, write_text
from miras.types import Rle

__all__ = ["SETTLED", "Settled", "settle", "settled_records", "write_settled"]

SETTLED = "settled.json"
"""Name in a project's folder."""


@dataclass(frozen=True)
class Settled:
    """What the rules make of all that came back."""

    records: Sequence[Record]
    """PRIST records whose mask and text are settled, each with its mask, in the order in which they were given out."""
    report: Report


def settle(
    project: Project,
    thresholds: Thresholds | None = None,
    *,
    gates: Mapping[FigureName, float] = GATES,
    seed: int = 0,
    tell: Callable[[], None] = lambda: None,
) -> Settled:
    """Reads what came back and decides; writes nothing. `tell` is called after each image of each annotator.

    Raises DataError when an annotator's folder is missing.
    """
    thresholds = thresholds or Thresholds()
    reviewer = project.plan.reviewer
    works = project.works(tell)
    agreements, remarks = project.agreements(works, seed=seed)
    decisions: list[Decision] = []
    texts: list[TextDecision] = []
    for group in project.plan.groups:
        decisions += adjudicate(group, project.items(group), works[group.name], reviewer, thresholds)
        texts += decide_texts(group, project.numbers(group), project.records, works[group.name], reviewer)
    texts.sort(key=lambda text: text.number)
    report = Report(
        agreements, decisions, texts, remarks,
        {item: numbers for found in project.wanted.values() for item, numbers in found.items()},
        {image: group.resolver for group in project.plan.groups for image in group.images},
        thresholds, gates, _given(decisions, works),
    )  # fmt: skip
    return Settled(settled_records(decisions, report), report)


def _given(decisions: Sequence[Decision], works: Mapping[str, Mapping[str, Work]]) -> dict[Item, dict[str, Rle]]:
    people = [work for group in works.values() for work in group.values()]
    return {
        decision.item: {work.person: work.masks[decision.item] for work in people if decision.item in work.masks}
        for decision in decisions
        if not decision.settled
    }


def settled_records(decisions: Sequence[Decision], report: Report) -> list[Record]:
    """The records whose mask and text are settled; one whose image does not show its item is left out."""
    masks = {
        number: decision.mask
        for decision in decisions
        if decision.mask is not None
        for number in report.records[decision.item]
    }
    return [
        {**text.record, "mask": masks[text.number]} for text in report.texts if text.settled and text.number in masks
    ]


def write_settled(project: Project, settled: Settled, *, when: str | None = None) -> int:
    """Writes settled.json, report.json, report.md and report/index.html with its pictures, and adds to audit.jsonl.

    Returns the number of new entries in the trail, each of which says `when` where that is given.
    """
    folder, report = project.folder, settled.report
    entries = [*map(mask_entry, report.decisions), *map(text_entry, report.texts)]
    added = append(folder / TRAIL, entries, when)
    write_json(folder / SETTLED, list(settled.records))
    write_json(folder / "report.json", as_json(report))
    write_text(folder / "report.md", as_markdown(report))
    write_pictures(project, report, folder / "report")
    return added
