"""A whole project of two images: given out, drawn, settled, handed on to the resolver and the reviewer, settled."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.annotate.conftest import block
from tests.annotate.drawing import correct, folder_of, mark

from miras.annotate.hand_on import hand_on
from miras.annotate.plan import Item
from miras.annotate.project import Project, export, open_project
from miras.annotate.settle import settle, write_settled
from miras.annotate.trail import TRAIL, read_trail
from miras.data.labelme import read_labelme
from miras.data.masks import decode
from miras.data.prist import load
from miras.errors import DataError

Exported = Callable[..., Project]
BLUE, RED, WAY = Item("a.png", "blue cup"), Item("a.png", "red cup"), Item("b.png", "straße")


@pytest.fixture
def drawn(exported: Exported) -> Project:
    """Both agree on the blue cup, not on the red one, and bob left the way out; ann alone corrected record 2."""
    project = exported()
    ann, bob = folder_of(project, "ann"), folder_of(project, "bob")
    mark(ann, "a.png", {"blue cup": block(0, 0, 6, 6), "red cup": block(0, 10)})
    mark(bob, "a.png", {"blue cup": block(0, 0, 6, 6), "red cup": block(8, 10)})
    mark(ann, "b.png", {"straße": block(2, 2)})
    for folder in (ann, bob):
        correct(folder, "a.png", 0, turn=(1, "Two blue cups."))
    correct(ann, "a.png", 2, turn=(1, "Another."))
    return project


def rules(project: Project) -> dict[Item | int, str]:
    report = settle(project).report
    return {**{one.item: one.rule for one in report.decisions}, **{one.number: one.rule for one in report.texts}}


def give(project: Project, to: str, **more: float) -> dict[str, int]:
    report = settle(project).report
    return hand_on(project, to, report.decisions, report.texts, **more)  # type: ignore[arg-type]


def test_what_two_settle_and_what_they_leave(drawn: Project) -> None:
    assert rules(drawn) == {
        BLUE: "agree", RED: "apart", WAY: "missing", 0: "both", 1: "unchanged", 2: "one alone", 3: "unchanged",
    }  # fmt: skip
    settled = settle(open_project(drawn.folder))
    assert [record["dialogue"][1]["value"] for record in settled.records] == ["Two blue cups.", "It is on the left."]
    assert settled.records[1]["n"] == [1]
    assert np.array_equal(decode(settled.records[0]["mask"]), block(0, 0, 6, 6))
    left = [(one.label, one.what, one.records, one.rule, one.next) for one in settled.report.open()]
    assert left == [
        ("red cup", "mask", (2,), "apart", "cem"),
        ("straße", "mask", (1,), "missing", "cem"),
        ("red cup", "text", (2,), "one alone", "cem"),
    ]


def test_all_is_written_and_the_trail_is_added_to(drawn: Project) -> None:
    assert write_settled(drawn, settle(drawn), when="now") == 7
    assert write_settled(drawn, settle(drawn), when="later") == 0
    dialogues = load(drawn.folder / "settled.json")
    assert [dialogue.targets[0].phrase for dialogue in dialogues] == ["blue cup", "blue cup"]
    report = json.loads((drawn.folder / "report.json").read_text())
    assert report["masks"] == {"agree": 1, "apart": 1, "missing": 1}
    assert report["groups"][0]["figures"]["iou"]["value"] == 0.5
    assert [one["label"] for one in report["needs_a_person"]] == ["red cup", "straße", "red cup"]
    assert [one["kind"] for one in report["remarks"]] == ["missing"]
    text = (drawn.folder / "report.md").read_text(encoding="utf-8")
    assert "| a.png | red cup | mask | apart | cem | IoU 0.00 of ann, bob |" in text
    page = ElementTree.parse(drawn.folder / "report" / "index.html").getroot()
    assert [node.text for node in page.iter("h2")] == ["red cup", "straße", "red cup"]
    assert all((drawn.folder / "report" / str(node.get("src"))).is_file() for node in page.iter("img"))
    assert "+gpt: Another." in "".join(page.itertext())


def test_the_resolver_sees_what_was_drawn_and_decides(drawn: Project) -> None:
    assert give(drawn, "resolver", check=0) == {"cem": 2}
    cem = folder_of(drawn, "cem")
    assert read_labelme(cem / "a.json").labels == ("blue cup [settled]", "red cup [ann]", "red cup [bob]")
    assert read_labelme(cem / "b.json").labels == ("straße [ann]",)
    rows = {row["record"]: row for row in json.loads((cem / "dialogues" / "a.json").read_text(encoding="utf-8"))}
    assert rows[0]["dialogue"][1]["value"] == "Two blue cups."  # as it is settled
    assert rows[2]["dialogue"][1]["value"] == "One more." and "+gpt: Another." in rows[2]["changed"]["ann"]
    before = rules(drawn)
    assert before == rules(open_project(drawn.folder)) and before[RED] == "apart"  # untouched, it decides nothing
    mark(cem, "a.png", {"red cup": block(8, 10), "blue cup [settled]": block(0, 0)})
    mark(cem, "b.png", {"straße": block(2, 9)})
    correct(cem, "a.png", 2, turn=(1, "Yet another."))
    after = rules(drawn)
    assert after == {**before, RED: "two of three", WAY: "missing", 2: "resolver"}
    assert [one.next for one in settle(drawn).report.open()] == ["rea"]
    assert give(drawn, "resolver", check=0) == {"cem": 0}  # what is left is the reviewer's


def test_a_text_that_is_open_keeps_its_record_back(drawn: Project) -> None:
    for person in ("ann", "bob"):
        mark(folder_of(drawn, person), "a.png", {"blue cup": block(0, 0), "red cup": block(0, 10)})
        mark(folder_of(drawn, person), "b.png", {"straße": block(2, 2)})
    settled = settle(drawn)
    assert [record["focus"] for record in settled.records] == ["blue cup", "straße", "blue cup"]
    assert [(one.label, one.what) for one in settled.report.open()] == [("red cup", "text")]
    assert give(drawn, "resolver", check=0) == {"cem": 1}


def test_the_reviewer_has_the_last_word_and_begun_work_is_kept(drawn: Project) -> None:
    assert give(drawn, "reviewer", check=0) == {"rea": 2}
    rea = folder_of(drawn, "rea")
    mark(rea, "a.png", {"red cup": block(4, 4)})
    correct(rea, "a.png", 2, looked=True)
    correct(rea, "b.png", 1, absent=True)
    assert give(drawn, "reviewer", check=0.5) == {"rea": 1}
    assert len(list(ElementTree.parse(rea / "index.html").getroot().iter("img"))) == 2
    assert read_labelme(rea / "a.json").labels == ("red cup",)
    settled = settle(drawn)
    assert [(one.item, one.rule) for one in settled.report.decisions] == [
        (BLUE, "agree"), (RED, "reviewer"), (WAY, "reviewer"),
    ]  # fmt: skip
    assert settled.report.open() == []
    assert [record["focus"] for record in settled.records] == ["blue cup", "red  cup ", "blue cup"]
    write_settled(drawn, settled)
    assert "## What still needs a person\n\nNothing." in (drawn.folder / "report.md").read_text(encoding="utf-8")
    assert len(read_trail(drawn.folder / TRAIL)) == 7


def test_a_share_of_the_settled_is_looked_at(exported: Exported) -> None:
    project = exported(groups=2)
    for group in project.plan.groups:
        for person in group.annotators:
            for image in group.images:
                mark(folder_of(project, person), image, {i.label: block(0, 0) for i in project.wanted[image]})
    assert [record["img_id"] for record in settle(project).records] == ["a.png", "b.png", "a.png", "a.png"]
    assert give(project, "resolver", check=0) == {"g1-c": 0, "g2-c": 0}
    assert not folder_of(project, "g1-c").exists()
    assert give(project, "resolver", check=1) == {"g1-c": 1, "g2-c": 1}
    assert give(project, "reviewer", check=0.5) == {"reviewer": 1}


def test_a_project_is_never_written_over(drawn: Project, images: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in drawn.folder.rglob("*"))
    with pytest.raises(DataError, match="should be a new folder, and there is something in it"):
        export(drawn.records, drawn.folder, images, groups=1)
    assert sorted(path.name for path in drawn.folder.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    export(drawn.records, tmp_path / "empty", images, groups=1)
    assert open_project(tmp_path / "empty").plan.reviewer == "reviewer"


def test_a_project_that_does_not_hold_together_is_refused(drawn: Project) -> None:
    records = json.loads((drawn.folder / "records.json").read_text())
    (drawn.folder / "records.json").write_text(json.dumps(records[:1]))
    with pytest.raises(DataError, match=r"divides 2 images, .* is about 1; put back the two files"):
        open_project(drawn.folder)


def test_work_that_came_back_may_lie_elsewhere(drawn: Project, tmp_path: Path) -> None:
    (drawn.folder / "tasks").rename(tmp_path / "back")
    with pytest.raises(DataError, match=r"no folder .*ann; put what ann gave back there"):
        settle(open_project(drawn.folder))
    assert settle(open_project(drawn.folder, tmp_path / "back")).records
