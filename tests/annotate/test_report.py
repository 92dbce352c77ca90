"""The report: table 1's layout, marks below a gate, and text that cannot break its tables."""

from miras.annotate.adjudicate import Decision, Thresholds
from miras.annotate.agreement import GATES, Agreement, Figure, FigureName
from miras.annotate.collect import Remark
from miras.annotate.plan import Item
from miras.annotate.report import DEFINITIONS, Report, as_json, as_markdown, table

NAMES: tuple[FigureName, ...] = ("iou", "kappa_pixels", "kappa_items", "iou_pooled", "kappa_mean")


def group(name: str, *values: float | None) -> Agreement:
    """A group whose figures are the values, with 0.1 to either side."""
    figures = [Figure(None) if value is None else Figure(value, value - 0.1, value + 0.1) for value in values]
    return Agreement(name, 2, 5, 1, dict(zip(NAMES, figures, strict=True)))


GROUPS = [
    group("G1", 0.8, 0.75, 0.9, 0.6, 0.6),
    group("G2", 0.79, 0.76, 0.74, 0.9, 0.9),
    group("G3", *[None] * 5),
]


def test_table_1() -> None:
    assert table(GROUPS) == [
        ["", "G1", "G2", "G3"],
        ["IoU", "0.80 [0.70, 0.90]", "0.79 [0.69, 0.89] below 0.80", "-"],
        ["Kappa, pixels", "0.75 [0.65, 0.85]", "0.76 [0.66, 0.86]", "-"],
        ["Kappa, items", "0.90 [0.80, 1.00]", "0.74 [0.64, 0.84] below 0.75", "-"],
        ["IoU, pooled", "0.60 [0.50, 0.70]", "0.90 [0.80, 1.00]", "-"],
        ["Kappa, mean", "0.60 [0.50, 0.70]", "0.90 [0.80, 1.00]", "-"],
        ["Items, not given by both", "5, 1", "5, 1", "5, 1"],
        ["Gates", "passed", "not passed", "unknown"],
    ]


def test_a_report_says_all_there_is() -> None:
    item = Item("a|b.png", "a\ncup")
    decision = Decision(item, "apart", ("ann", "bob"), ious={"ann, bob": 0.25}, next="cem")
    remark = Remark("ann", "a|b.png", "a cup", "missing", "no shape", "draw it")
    report = Report(GROUPS, [decision], [], [remark], {item: [3, 5]}, {"a|b.png": "cem"}, Thresholds(), GATES, {})
    text = as_markdown(report)
    assert "| a\\|b.png | a cup | mask | apart | cem | IoU 0.25 of ann, bob |" in text
    assert "- ann, a\\|b.png: no shape; draw it" in text
    assert all(f"- **{title}**: " in text for title, _ in DEFINITIONS.values())
    assert "0 of 1 masks and 0 of 0 dialogues are settled; 1 need a person." in text
    whole = as_json(report)
    assert whole["needs_a_person"] == [
        {
            "image": "a|b.png", "label": "a\ncup", "records": (3, 5), "what": "mask", "rule": "apart",
            "text": "IoU 0.25 of ann, bob", "next": "cem",
        }
    ]  # fmt: skip
    assert [one["passes"]["iou"] for one in whole["groups"]] == [True, False, None]
