"""What annotators get: labelme files beside their images, dialogues to correct, a page to read, and no answers."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.annotate.conftest import HEIGHT, WIDTH, block
from tests.annotate.drawing import folder_of

from miras.annotate.plan import Item, Record
from miras.annotate.project import Project, export
from miras.annotate.tasks import Sheet, fingerprint, proposal, proposed, write_tasks
from miras.data.images import load_image
from miras.data.labelme import polygon, read_labelme
from miras.data.masks import encode
from miras.errors import ImageError

Exported = Callable[..., Project]


def test_a_folder_holds_all_that_a_person_needs(exported: Exported, images: Path) -> None:
    project = exported()
    for person in ("ann", "bob"):
        folder = folder_of(project, person)
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert names == {
            "a.png", "a.json", "dialogues/a.json", "b.png", "b.json", "dialogues/b.json", "labels.txt", "index.html",
        }  # fmt: skip
        assert (folder / "labels.txt").read_text(encoding="utf-8") == "blue cup\nred cup\nstraße\n"
        labelled = read_labelme(folder / "a.json")
        assert (labelled.image, labelled.height, labelled.width, labelled.shapes) == ("a.png", HEIGHT, WIDTH, ())
        assert np.array_equal(load_image(folder / "a.png"), load_image(images / "a.png"))
    assert not (project.folder / "tasks" / "cem").exists()


def test_dialogues_are_there_to_be_corrected(exported: Exported, records: list[Record]) -> None:
    rows = json.loads((folder_of(exported(), "ann") / "dialogues" / "a.json").read_text(encoding="utf-8"))
    assert [(row["record"], row["label"], row["absent"]) for row in rows] == [
        (0, "blue cup", False), (3, "blue cup", False), (2, "red cup", False),
    ]  # fmt: skip
    assert [row["dialogue"] for row in rows] == [records[n]["dialogue"] for n in (0, 3, 2)]


def test_known_masks_are_not_given_out(records: list[Record], images: Path, tmp_path: Path) -> None:
    known = encode(block(1, 1))
    project = export([{**record, "mask": known} for record in records], tmp_path / "p", images, groups=1)
    for path in (project.folder / "tasks").rglob("*.json"):
        assert known["counts"] not in path.read_text(encoding="utf-8")


def test_masks_to_start_from_are_proposals(records: list[Record], images: Path, tmp_path: Path) -> None:
    records[3]["mask"] = encode(block(1, 1))
    project = export(records, tmp_path / "p", images, groups=1, people=("ann", "bob", "cem", "rea"), start=True)
    for person in ("ann", "bob"):
        shown = read_labelme(folder_of(project, person) / "a.json")
        assert shown.labels == ("blue cup [start]",)
        assert np.array_equal(shown.mask("blue cup [start]"), block(1, 1))  # type: ignore[arg-type]
    assert not project.works()["G1"]["ann"].masks


def test_the_page_shows_every_dialogue(exported: Exported) -> None:
    page = ElementTree.parse(folder_of(exported(), "ann") / "index.html").getroot()
    assert [node.text for node in page.iter("h2")] == ["blue cup", "blue cup", "red cup", "straße"]
    assert [node.get("src") for node in page.iter("img")] == ["a.png", "b.png"]
    assert "In der Straße." in "".join(page.itertext())
    assert [node.text for node in page.iter("mark")] == ["blue cup", "blue cup", "red  cup", "straße"]


def test_proposals_are_told_by_their_label() -> None:
    shape = proposed(polygon("cup [x]", [(0, 0), (1, 0), (0, 1)]), "g1-a")
    assert shape.label == "cup [x] [g1-a]"
    assert proposal(shape.label) == "cup [x]"
    assert proposal("cup") is None is proposal("cup []")


def test_a_fingerprint_is_of_the_words(records: list[Record]) -> None:
    first = records[0]
    assert fingerprint(first) == fingerprint({**first, "n": 2, "focus": " blue  cup"})
    assert fingerprint(first) != fingerprint({**first, "focus": "Blue cup"})
    assert fingerprint(first) != fingerprint({**first, "dialogue": first["dialogue"][2:]})


def test_a_missing_image_is_named_and_nothing_is_left(records: list[Record], images: Path, tmp_path: Path) -> None:
    (images / "b.png").unlink()
    with pytest.raises(ImageError, match=r"no image at .*b\.png"):
        export(records, tmp_path / "p", images, groups=1)
    sheet = Sheet("b.png", (HEIGHT, WIDTH), {Item("b.png", "straße"): [1]})
    with pytest.raises(ImageError, match=r"b\.png cannot be copied"):
        write_tasks(tmp_path / "made", [sheet], records, lambda name: images / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "made"]
