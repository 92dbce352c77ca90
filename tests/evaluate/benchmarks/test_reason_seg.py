"""ReasonSeg as cases: phrases and sentences in their own words, the first wording alone, ignored pixels kept."""

import json
from pathlib import Path

import pytest
from tests.data.official import write_reason_seg

from miras.data.masks import area
from miras.errors import DataError
from miras.evaluate.benchmarks.reason_seg import reason_seg_cases
from miras.evaluate.benchmarks.wanted import Wanted
from miras.evaluate.cases import read_cases, write_cases


def test_phrases_and_sentences_are_asked_differently(tmp_path: Path) -> None:
    about, drawn = reason_seg_cases("reason-seg", Wanted(write_reason_seg(tmp_path), "val"))
    short, long = list(drawn)
    assert short.dialogue.questions == ("What is the thing that barks in this image? Please output segmentation mask.",)
    assert long.dialogue.questions == ("Who would eat this? Please output segmentation mask.",)
    assert [short.id, long.id] == ["a", "b"] and [short.image, long.image] == ["a.jpg", "b.jpg"]
    assert [short.labels, long.labels] == [{"query": "short"}, {"query": "long"}]
    assert about["counts"] == {"images": 2, "further_texts": 1, "ignored_regions": 1, "empty_masks": 0}
    assert (Path(about["images"]) / "a.jpg").is_file()


def test_a_template_of_ones_own_serves_both(tmp_path: Path) -> None:
    _, drawn = reason_seg_cases("reason-seg", Wanted(write_reason_seg(tmp_path), "val", prompt="Mark: {phrase}"))
    assert [case.dialogue.questions[0] for case in drawn] == ["Mark: the thing that barks", "Mark: Who would eat this?"]


def test_ignored_pixels_are_written_beside_the_mask(tmp_path: Path) -> None:
    about, drawn = reason_seg_cases("reason-seg", Wanted(write_reason_seg(tmp_path), "val"))
    cases = list(drawn)
    assert write_cases(tmp_path / "c.jsonl", about, cases) == 2
    first, second = map(json.loads, (tmp_path / "c.jsonl").read_text().splitlines()[1:])
    [target] = first["turns"][0]["targets"]
    assert area(target["ignore"]) == 9 and area(target["mask"]) == 64 - 9
    assert "ignore" not in second["turns"][0]["targets"][0]
    read = read_cases(tmp_path / "c.jsonl")
    assert [case.dialogue.targets for case in read] == [case.dialogue.targets for case in cases]


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder val in"):
        reason_seg_cases("reason-seg", Wanted(tmp_path, "val"))
