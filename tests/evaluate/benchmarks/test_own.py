"""A user's own JSONL as cases: both forms, images where the file says, masks as large as they."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miras.data.masks import area
from miras.errors import ConfigError, DataError
from miras.evaluate.benchmarks.own import own_cases
from miras.evaluate.benchmarks.registry import write_benchmark
from miras.evaluate.benchmarks.wanted import Wanted
from miras.evaluate.cases import read_cases


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "photos" / "a.png")
    (tmp_path / "val.jsonl").write_text(
        '{"image": "photos/a.png", "phrase": "left shoe", "mask": [[0, 0, 3, 0, 3, 2, 0, 2]]}\n'
        '{"image": "photos/a.png", "dialogue": [{"from": "human", "value": "What lies there?"},'
        ' {"from": "gpt", "value": "A lid."}, {"from": "human", "value": "Mark it."},'
        ' {"from": "gpt", "value": "Here: [SEG]."}],'
        ' "targets": [{"phrase": "lid", "mask": {"size": [4, 6], "counts": [4, 2, 18]}}]}\n'
        '{"image": "photos/a.png", "phrase": "right shoe", "mask": [[3, 0, 6, 0, 6, 4, 3, 4]]}\n',
        encoding="utf-8",
    )
    return tmp_path / "val.jsonl"


def test_phrases_and_conversations_become_cases(path: Path, tmp_path: Path) -> None:
    about = write_benchmark("own", Wanted(path.parent, "val", prompt="plain"), tmp_path / "cases.jsonl")
    assert about["counts"] == {"phrases": 2, "conversations": 1} and about["n"] == 3
    left, right, talk = cases = read_cases(tmp_path / "cases.jsonl")
    assert [case.id for case in cases] == ["1-1", "1-2", "talk-1"]
    assert left.dialogue.questions == ("Please mark left shoe.",)
    assert [left.labels, right.labels, talk.labels] == [{"category": "left shoe"}, {"category": "right shoe"}, {}]
    masks = [case.dialogue.targets[0].mask for case in (left, right)]
    assert [mask and area(mask) for mask in masks] == [6, 12]
    assert talk.dialogue.answers == ("A lid.", "Here: [OBJ]lid[SEG].") and talk.dialogue.focus == "lid"
    assert all((found := cases.image_path(case)) is not None and found.is_file() for case in cases)


def test_what_cannot_be_asked_is_told(path: Path) -> None:
    with pytest.raises(DataError, match="names its images and masks itself"):
        own_cases("own", Wanted(path, "val", images=path.parent))
    with pytest.raises(ConfigError, match="prompt should be"):
        own_cases("own", Wanted(path, "val", prompt="Mark it."))
    path.write_text('{"image": "photos/a.png", "phrase": "left shoe"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"line 1: .*'mask' is missing"):
        own_cases("own", Wanted(path, "val"))
