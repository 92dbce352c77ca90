"""The report of a project: table 1's layout, what was settled by which rule, and what still needs a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from miras.annotate.adjudicate import Decision, Thresholds, describe_rules
from miras.annotate.agreement import GATES, Agreement, FigureName
from miras.annotate.collect import Remark
from miras.annotate.corrections import TEXT_RULES, TextDecision
from miras.annotate.plan import Item
from miras.types import Rle

__all__ = ["DEFINITIONS", "Open", "Report", "as_json", "as_markdown", "table"]

DEFINITIONS: Mapping[FigureName, tuple[str, str]] = {
    "iou": ("IoU", "mean over items of the IoU of the two annotators' masks; two empty masks give 1, one gives 0"),
    "kappa_pixels": ("Kappa, pixels", "Cohen's kappa of the 2 x 2 table of all pixels of all items, marked or not"),
    "kappa_items": ("Kappa, items", "Cohen's kappa over items, each mask being fine, medium, coarse or absent"),
    "iou_pooled": ("IoU, pooled", "all common pixels of the group over all pixels that either marked"),
    "kappa_mean": ("Kappa, mean", "mean over items of each item's own kappa of its pixels"),
}
"""Figure → its name in the table and what it is, in the order of the table's rows."""

_NOTE = (
    "In brackets the interval of 95 % of bootstrap draws of whole images. Kappa is (po - pe) / (1 - pe), and 1 where "
    "both say one and the same class throughout. Items that one of the two did not give are counted, not scored."
)


@dataclass(frozen=True)
class Open:
    """One thing that still needs a person."""

    image: str
    label: str
    records: tuple[int, ...]
    what: str
    """mask or text."""
    rule: str
    text: str
    next: str
    """Who should look at it."""


@dataclass(frozen=True)
class Report:
    """All there is to say about a project at one moment."""

    agreements: Sequence[Agreement]
    decisions: Sequence[Decision]
    texts: Sequence[TextDecision]
    remarks: Sequence[Remark]
    records: Mapping[Item, Sequence[int]]
    """Item → the numbers of its records."""
    resolvers: Mapping[str, str]
    """Image → the resolver of its group."""
    thresholds: Thresholds
    gates: Mapping[FigureName, float]
    given: Mapping[Item, Mapping[str, Rle]]
    """Item that is not settled → person → the mask they gave."""

    def open(self) -> list[Open]:
        """What still needs a person: masks first, each in the order of the images."""
        found = [
            Open(
                *decision.item, tuple(self.records[decision.item]), "mask", decision.rule, _why(decision), decision.next
            )
            for decision in self.decisions
            if decision.next is not None
        ]
        label = {number: item.label for item, numbers in self.records.items() for number in numbers}
        for text in self.texts:
            if not text.settled:
                image = text.record["img_id"]
                changed = "; ".join(f"{change.person} changed {change.where}" for change in text.changes)
                next_person = self.resolvers[image]
                found.append(Open(image, label[text.number], (text.number,), "text", text.rule, changed, next_person))
        return found


def _why(decision: Decision) -> str:
    ious = ", ".join(f"IoU {value:.2f} of {names}" for names, value in decision.ious.items())
    return "; ".join(part for part in (decision.text, ious) if part)


def table(agreements: Sequence[Agreement], gates: Mapping[FigureName, float] = GATES) -> list[list[str]]:
    """The rows of table 1, header first: a column per group, a mark where a figure is below its gate."""
    rows = [["", *(one.group for one in agreements)]]
    for name, (title, _) in DEFINITIONS.items():
        rows.append([title, *(_cell(one, name, gates) for one in agreements)])
    rows.append(["Items, not given by both", *(f"{one.items}, {one.missing}" for one in agreements)])
    rows.append(["Gates", *(_verdict(one, gates) for one in agreements)])
    return rows


def _cell(one: Agreement, name: FigureName, gates: Mapping[FigureName, float]) -> str:
    figure = one.figures[name]
    if figure.value is None:
        return "-"
    shown = f"{figure.value:.2f}"
    if figure.low is not None and figure.high is not None:
        shown += f" [{figure.low:.2f}, {figure.high:.2f}]"
    below = name in gates and figure.value < gates[name]
    return f"{shown} below {gates[name]:.2f}" if below else shown


def _verdict(one: Agreement, gates: Mapping[FigureName, float]) -> str:
    passed = one.passes(gates).values()
    return "passed" if all(passed) else "unknown" if None in passed else "not passed"


def as_json(report: Report) -> dict[str, Any]:
    """The report as it is written; numbers are not rounded."""
    return {
        "definitions": {name: text for name, (_, text) in DEFINITIONS.items()},
        "gates": dict(report.gates),
        "thresholds": asdict(report.thresholds),
        "groups": [{**asdict(one), "passes": one.passes(report.gates)} for one in report.agreements],
        "masks": dict(Counter(decision.rule for decision in report.decisions)),
        "texts": dict(Counter(decision.rule for decision in report.texts)),
        "needs_a_person": [asdict(one) for one in report.open()],
        "remarks": [asdict(remark) for remark in report.remarks],
    }


def as_markdown(report: Report) -> str:
    """The report to be read."""
    opened = report.open()
    settled = sum(decision.settled for decision in report.decisions)
    parts = [
        "# Annotation report",
        f"{settled} of {len(report.decisions)} masks and {sum(text.settled for text in report.texts)} of "
        f"{len(report.texts)} dialogues are settled; {len(opened)} need a person.",
        "## Agreement of the two annotators",
        _rows(table(report.agreements, report.gates)),
        "\n".join(f"- **{title}**: {text}." for title, text in DEFINITIONS.values()),
        _NOTE,
        "## Masks by rule",
        _counted(Counter(decision.rule for decision in report.decisions), describe_rules(report.thresholds)),
        "## Dialogues by rule",
        _counted(Counter(text.rule for text in report.texts), {name: text for name, (_, text) in TEXT_RULES.items()}),
        "## What still needs a person",
        _rows([["image", "label", "what", "rule", "who", "why"], *map(_row, opened)]) if opened else "Nothing.",
        "## Remarks on what came back",
        "\n".join(f"- {_plain(str(remark))}" for remark in report.remarks) or "None.",
    ]
    return "\n\n".join(parts) + "\n"


def _row(one: Open) -> list[str]:
    return [one.image, one.label, one.what, one.rule, one.next, one.text]


def _counted(counts: Mapping[Any, int], rules: Mapping[Any, str]) -> str:
    return _rows([["rule", "how often", "meaning"], *([name, str(counts.get(name, 0)), rules[name]] for name in rules)])


def _rows(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of rows, header first."""
    header, *body = ("| " + " | ".join(map(_plain, row)) + " |" for row in rows)
    return "\n".join([header, "|" + "---|" * len(rows[0]), *body])


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
