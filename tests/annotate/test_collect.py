"""What comes back: every kind of shape, exact labels, and a remark for all that is not as it should be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.annotate.conftest import block
from tests.annotate.drawing import correct, folder_of, mark

from miras.annotate.collect import Work, collect
from miras.annotate.plan import Item
from miras.annotate.project import Project
from miras.data.labelme import Labelled, Shape, mask_shape, polygon, written
from miras.data.masks import decode
from miras.errors import DataError

Exported = Callable[..., Project]
BLUE, RED, WAY = Item("a.png", "blue cup"), Item("a.png", "red cup"), Item("b.png", "straße")


def back(project: Project, person: str = "ann", *, all_due: bool = True) -> Work:
    folder = folder_of(project, person)
    return collect(folder, person, project.wanted, project.records, project.plan.sizes, all_due=all_due)


def kinds(work: Work) -> list[tuple[str, str | None, str]]:
    return [(remark.image, remark.label, remark.kind) for remark in work.remarks]


def shapes(project: Project, image: str, *drawn: Shape) -> None:
    content = written(Labelled(image, 12, 16, drawn))
    (folder_of(project, "ann") / f"{Path(image).stem}.json").write_text(json.dumps(content), encoding="utf-8")


def test_every_kind_of_shape_counts_and_holes_are_cut(exported: Exported) -> None:
    project = exported()
    extra = mask_shape("blue cup", block(10, 0, 1, 1))
    assert extra is not None
    shapes(
        project,
        "a.png",
        polygon("blue cup", [(1, 1), (6, 1), (6, 6), (1, 6)]),
        polygon("blue cup", [(3, 3), (4, 3), (4, 4), (3, 4)], hole=True),
        Shape("blue cup", "rectangle", ((10.0, 1.0), (12.0, 2.0))),
        Shape("blue cup", "circle", ((12.0, 8.0), (12.0, 9.0))),
        extra,
        mask_shape("red cup", block(6, 4)) or extra,
    )
    mark(folder_of(project, "ann"), "b.png", {"straße": block(2, 2)})
    work = back(project)
    assert work.remarks == ()
    expected = block(1, 1, 6, 6) & ~block(3, 3, 2, 2) | block(1, 10, 2, 3) | block(10, 0, 1, 1)
    expected[8, 11:14] = expected[7, 12] = expected[9, 12] = True
    assert np.array_equal(decode(work.masks[BLUE]), expected)
    assert np.array_equal(decode(work.masks[RED]), block(6, 4))


def test_labels_are_exact_and_a_misspelt_one_is_named(exported: Exported) -> None:
    project = exported()
    mark(folder_of(project, "ann"), "a.png", {"Blue cup": block(0, 0), "dog": block(4, 4)})
    mark(folder_of(project, "ann"), "b.png", {"strasse": block(2, 2)})
    work = back(project)
    assert work.masks == {}
    assert kinds(work) == [
        ("a.png", "blue cup", "misspelt"), ("a.png", "red cup", "missing"), ("a.png", "dog", "unasked"),
        ("b.png", "straße", "misspelt"),
    ]  # fmt: skip
    assert str(work.remarks[0]) == (
        "ann, a.png: no shape is labelled exactly 'blue cup', one is labelled 'Blue cup'; give it the label as it is "
        "written in labels.txt"
    )


def test_what_the_image_does_not_show_is_an_empty_mask(exported: Exported) -> None:
    project = exported()
    folder = folder_of(project, "ann")
    mark(folder, "a.png", {"red cup": block(0, 0)})
    correct(folder, "a.png", 3, absent=True)
    correct(folder, "a.png", 2, absent=True)
    shapes(project, "b.png", Shape("straße", "line", ((0.0, 0.0), (5.0, 5.0))))
    work = back(project)
    assert not decode(work.masks[BLUE]).any()
    assert kinds(work) == [("a.png", "red cup", "contradiction"), ("b.png", "straße", "no area")]
    assert set(work.masks) == {BLUE}


def test_proposals_do_not_count_and_who_is_not_due_may_leave_out(exported: Exported) -> None:
    project = exported()
    folder = folder_of(project, "ann")
    mark(folder, "a.png", {"blue cup [bob]": block(0, 0), "red cup": block(4, 4)})
    (folder / "b.json").unlink()
    work = back(project, all_due=False)
    assert set(work.masks) == {RED} and work.remarks == ()
    assert kinds(back(project)) == [("a.png", "blue cup", "missing"), ("b.png", None, "unreadable")]
    assert back(project, "cem", all_due=False) == Work("cem")
    with pytest.raises(DataError, match=r"no folder .*cem; put what cem gave back there"):
        back(project, "cem")


def test_files_that_cannot_be_used_are_remarked_and_the_rest_is_read(exported: Exported) -> None:
    project = exported()
    folder = folder_of(project, "ann")
    (folder / "a.json").write_text("{")
    (folder / "dialogues" / "a.json").write_text('[{"record": Infinity}, 3]')
    content = written(Labelled("b.png", 16, 12, (polygon("straße", [(0, 0), (9, 0), (9, 9)]),)))
    (folder / "b.json").write_text(json.dumps(content))
    (folder / "dialogues" / "b.json").unlink()
    work = back(project)
    assert work.masks == {} == work.records
    assert [(image, kind) for image, _, kind in kinds(work)] == [
        ("a.png", "dialogue"), ("a.png", "unreadable"), ("b.png", "dialogue"), ("b.png", "size"),
    ]  # fmt: skip
    assert "drawn on 16 x 12 pixels, the image has 12 x 16" in str(work.remarks[3])


def test_dialogues_come_back_and_broken_ones_stay_as_they_were(exported: Exported) -> None:
    project = exported()
    folder = folder_of(project, "ann")
    correct(folder, "a.png", 0, turn=(1, "Three cups."))
    correct(folder, "a.png", 2, turn=(3, "Sure."))
    correct(folder, "a.png", 3, dialogue="nothing", absent=True)
    work = back(project)
    assert set(work.records) == {0, 1}
    assert work.records[0]["dialogue"][1]["value"] == "Three cups."
    assert work.records[1] == project.records[1]
    broken = [remark.text for remark in work.remarks if remark.kind == "dialogue"]
    assert "record 3: dialogue should be a list" in broken[0] and "record 2: it should end with an answer" in broken[1]


def test_a_changed_word_is_a_look(exported: Exported) -> None:
    project = exported()
    folder = folder_of(project, "ann")
    correct(folder, "a.png", 0, given="what it was before")
    correct(folder, "a.png", 2, looked=True)
    assert back(project).looked == {0, 2}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["record", "focus", "dialogue", "absent", "shapes", "label"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=JSON, said=JSON)
def test_nothing_that_comes_back_stops_the_reading(drawn: Any, said: Any, exported: Exported, tmp_path: Path) -> None:
    project = exported() if not (tmp_path / "project").exists() else PROJECTS[tmp_path]
    PROJECTS[tmp_path] = project
    folder = folder_of(project, "ann")
    (folder / "a.json").write_text(json.dumps(drawn))
    (folder / "dialogues" / "a.json").write_text(json.dumps(said))
    work = back(project)
    assert BLUE not in work.masks or not decode(work.masks[BLUE]).any()
    assert all(remark.text and remark.remedy for remark in work.remarks)


PROJECTS: dict[Path, Project] = {}
