"""PRIST as cases: every record, ids of its own, and masks and images only where they are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miras.data.labelme import Labelled, polygon, written
from miras.data.masks import decode, encode
from miras.errors import DataError
from miras.evaluate.benchmarks.prist import prist_cases
from miras.evaluate.benchmarks.wanted import Wanted

SQUARE = np.pad(np.ones((2, 2), dtype=bool), 1)


def record(image: str, focus: str, **more: Any) -> dict[str, Any]:
    said = [("human", "What is it?"), ("gpt", "A watch."), ("human", "Segment it."), ("gpt", "Sure, [SEG].")]
    return {
        "img_id": image,
        "dialogue": [{"from": who, "value": text} for who, text in said],
        "focus": focus,
        **more,
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    records = [record("a.jpg", "strap"), record("a.jpg", "strap"), record("b.jpg", "dial", mask=encode(SQUARE))]
    (tmp_path / "test.json").write_text(json.dumps(records))
    return tmp_path


def test_ids_tell_records_of_one_image_apart(data: Path) -> None:
    about, drawn = prist_cases("prist", Wanted(data, "test", suite="multi_turn"))
    cases = list(drawn)
    assert [case.id for case in cases] == ["a-0", "a-1", "b-2"]
    assert cases[0].dialogue.answers == ("A watch.", "Sure, [OBJ]strap[SEG].")
    assert [case.image for case in cases] == [None] * 3 and about["images"] is None
    assert [case.size for case in cases] == [None, None, (4, 4)]
    assert about["counts"] == {"dialogues": 3, "without_image": 3, "without_mask": 2}


def test_a_file_of_any_name_is_taken(data: Path) -> None:
    (data / "test.json").rename(data / "mine.json")
    assert len(list(prist_cases("prist", Wanted(data / "mine.json", "test")).cases)) == 3
    with pytest.raises(DataError, match=r"no PRIST file at .*test\.json"):
        prist_cases("prist", Wanted(data, "test"))


def test_images_are_named_where_they_are(data: Path) -> None:
    (data / "images").mkdir()
    (data / "images" / "b.jpg").write_bytes(b"")
    about, drawn = prist_cases("prist", Wanted(data, "test", images=data / "images"))
    assert [case.image for case in drawn] == [None, None, "b.jpg"]
    assert about["counts"]["without_image"] == 2 and about["images"] == str(data / "images")


def test_masks_are_those_of_the_shapes_labelled_with_the_focus(data: Path) -> None:
    (data / "masks").mkdir()
    shapes = (polygon("strap", [(0, 0), (3, 0), (3, 1), (0, 1)]), polygon("strap buckle", [(0, 3), (3, 3), (3, 3)]))
    (data / "masks" / "a.json").write_text(json.dumps(written(Labelled("a.jpg", 4, 4, shapes))))
    about, drawn = prist_cases("prist", Wanted(data, "test", masks=data / "masks"))
    first, _, last = list(drawn)
    mask = first.dialogue.targets[0].mask
    assert mask is not None and decode(mask)[:2].all() and not decode(mask)[2:].any()
    assert np.array_equal(decode(last.dialogue.targets[0].mask), SQUARE), "a record's own mask stays"  # type: ignore[arg-type]
    assert about["counts"]["without_mask"] == 0


def test_a_label_that_only_holds_the_focus_is_no_match(data: Path) -> None:
    (data / "masks").mkdir()
    shapes = (polygon("strap buckle", [(0, 3), (3, 3), (3, 3)]),)
    (data / "masks" / "a.json").write_text(json.dumps(written(Labelled("a.jpg", 4, 4, shapes))))
    drawn = prist_cases("prist", Wanted(data, "test", masks=data / "masks")).cases
    assert next(drawn).size is None


def test_a_folder_that_is_not_there_is_named(data: Path) -> None:
    wanted = Wanted(data, "test")
    for one in (replace(wanted, images=Path("none")), replace(wanted, masks=Path("none"))):
        with pytest.raises(DataError, match="none is no folder"):
            prist_cases("prist", one)


def test_the_authors_file(shared_prist: Path) -> None:
    path = shared_prist / "test.json" if shared_prist.is_dir() else shared_prist
    about, drawn = prist_cases("prist", Wanted(path, "test"))
    cases = list(drawn)
    assert len(cases) == len({case.id for case in cases}) == 508
    assert sum(len(case.dialogue.questions) for case in cases) == 1971
    assert about["counts"]["without_mask"] == 508
