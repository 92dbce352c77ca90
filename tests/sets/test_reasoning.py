"""ReasonSeg as scenes, with and without its explanations."""

import json
from pathlib import Path

import pytest
from tests.data.official import write_reason_seg

from miras.errors import DataError
from miras.sets.reasoning import REASON_SEG, ReasonSegSet


def test_phrases_are_names_and_sentences_are_questions(tmp_path: Path) -> None:
    found = REASON_SEG.open(write_reason_seg(tmp_path, "train"), "train")
    assert isinstance(found, ReasonSegSet) and len(found) == 2
    first, second = found.scene(0), found.scene(1)
    [phrase], [sentence] = first.regions, second.regions
    assert (phrase.kind, phrase.names) == ("expression", ("the thing that barks", "who barks"))
    assert (sentence.kind, sentence.names, sentence.explanation) == ("question", ("Who would eat this?",), None)
    assert sentence.draw().sum() == 9 and sentence.ignore is None
    assert phrase.ignore is not None
    assert phrase.ignore().any() and not (phrase.ignore() & phrase.draw()).any()
    assert first.image == tmp_path / "reason_seg/ReasonSeg/train/a.jpg"


def test_explanations_belong_to_images(tmp_path: Path) -> None:
    write_reason_seg(tmp_path, "train")
    path = tmp_path / "reason_seg/ReasonSeg/explanatory/train.json"
    path.parent.mkdir()
    path.write_text(json.dumps([{"image": "b.jpg", "query": "Who?", "outputs": "The dog would."}]))
    found = ReasonSegSet(tmp_path, "train")
    assert [found.scene(item).regions[0].explanation for item in range(2)] == [None, "The dog would."]
    path.write_text(json.dumps([{"image": "b.jpg", "query": "Who?"}]))
    with pytest.raises(DataError, match=r"explanatory/train\.json, entry 0 should have image, query and outputs"):
        ReasonSegSet(tmp_path, "train")
