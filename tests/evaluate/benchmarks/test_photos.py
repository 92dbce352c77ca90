"""The photo protocol as cases: the same targets, the same words."""

from pathlib import Path

import pytest

from miras.data.photos import Photo, load_photos
from miras.evaluate.benchmarks.photos import photos_cases
from miras.evaluate.benchmarks.wanted import Wanted
from miras.evaluate.photos.plan import Plan, make_plan, make_tasks


def asked_by_the_protocol(plan: Plan, part: str) -> dict[str, tuple[str, ...]]:
    return {str(task.index): task.dialogue.questions for task in make_tasks(plan) if task.part == part}


@pytest.mark.parametrize("suite", ["direct", "multi_turn"])
def test_the_protocols_own_questions(data: Path, photos: list[Photo], suite: str) -> None:
    about, drawn = photos_cases("photos", Wanted(data, "val", suite=suite, seed=3))
    cases = list(drawn)
    expected = asked_by_the_protocol(make_plan(photos, seed=3), suite)
    assert {case.id: case.dialogue.questions for case in cases} == expected and len(cases) > 3
    for case in cases:
        assert case.image is not None and (Path(about["images"]) / case.image).is_file()
        assert set(case.labels) == {"category", "source", "parts"}
        assert len(case.targets[-1]) == 1
    assert about["counts"] == {"targets": 6, "conversations_possible": 5}
    assert (about["seed"], about["limit"]) == (3, None)


def test_labels_are_class_source_and_part(data: Path) -> None:
    cases = list(photos_cases("photos", Wanted(data, "val")).cases)
    assert cases[3].labels == {"category": "tail", "source": "pets", "parts": "part"}
    assert cases[5].labels == {"category": "shirt", "source": "clothes", "parts": "whole"}


def test_fewer_targets_are_those_the_protocol_takes(data: Path, photos: list[Photo]) -> None:
    about, drawn = photos_cases("photos", Wanted(data, "val", limit=2))
    assert {case.id for case in drawn} == set(asked_by_the_protocol(make_plan(photos, seed=0, limit=2), "direct"))
    assert about["limit"] == 2


@pytest.mark.parametrize(("suite", "count"), [("direct", 891), ("multi_turn", 200)])
def test_the_split_val(written: None, shared_photos: Path, suite: str, count: int) -> None:
    cases = list(photos_cases("photos", Wanted(shared_photos, "val", suite=suite)).cases)
    expected = asked_by_the_protocol(make_plan(load_photos(shared_photos, "val"), seed=0), suite)
    assert {case.id: case.dialogue.questions for case in cases} == expected
    assert len(cases) == count
