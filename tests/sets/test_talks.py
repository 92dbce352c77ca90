"""Conversations of LLaVA, captions and PRIST: what can be used is, what cannot is counted."""

import json
from pathlib import Path

import pytest
from tests.sets.words import write_captions, write_llava, write_prist

from miras.data.masks import area
from miras.errors import DataError, DialogueError
from miras.sets.captions import COCO_CAPTIONS
from miras.sets.llava import LLAVA_INSTRUCT, LLAVA_INSTRUCT_80K, LlavaSet
from miras.sets.prist import PristSet


@pytest.mark.parametrize("entry", [LLAVA_INSTRUCT, LLAVA_INSTRUCT_80K], ids=lambda entry: entry.name)
def test_llava_without_placeholders_and_odd_ones(tmp_path: Path, entry: object) -> None:
    name = "llava_instruct_80k" if entry is LLAVA_INSTRUCT_80K else "llava_instruct_150k"
    found = entry.open(write_llava(tmp_path, name), "train")  # type: ignore[attr-defined]
    assert len(found) == 2
    first, second = found.told(0), found.told(1)
    assert first.image == tmp_path / "coco/train2017/1.jpg"
    assert [turn.text for turn in first.dialogues[0].turns] == ["What is it?", "A dog.", "Old?", "No."]
    assert second.dialogues[0].questions == ("Describe it.",)
    assert found.left_out == {
        "without an image file": 1, "about no image": 1, "that end with a question": 1, "of another form": 1,
        "whose speakers do not alternate": 1, "with an empty turn": 1, "that hold [OBJ] or [SEG]": 1,
    }  # fmt: skip


def test_llava_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file at .*llava_instruct_150k\.json"):
        LLAVA_INSTRUCT.open(tmp_path, "train")
    path = write_llava(tmp_path) / "llava_dataset/llava_instruct_150k.json"
    with pytest.raises(DataError, match=r"holds nothing that can be used: .*without an image file.*check that"):
        LlavaSet(path, tmp_path / "nowhere")
    path.write_text("{}")
    with pytest.raises(DataError, match=r"should hold a list of conversations, got \{\}"):
        LLAVA_INSTRUCT.open(tmp_path, "train")
    path.write_text("[{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        LLAVA_INSTRUCT.open(tmp_path, "train")


def test_captions_are_sentences_and_a_conversation_each(tmp_path: Path) -> None:
    found = COCO_CAPTIONS.open(write_captions(tmp_path), "train")
    assert len(found) == 2
    told = found.told(0)  # type: ignore[union-attr]
    assert told.image == tmp_path / "coco/train2017/1.jpg"
    assert [one.answers for one in told.dialogues] == [("A dog on the grass.",), ("Some dog.",)]
    assert {one.kind for one in told.dialogues} == {"caption"}
    assert found.left_out == {  # type: ignore[union-attr]
        "captions without words": 1, "photos without a caption": 1, "photos without an image file": 1,
    }  # fmt: skip


def test_captions_that_lie_beside_the_folder_are_found(tmp_path: Path) -> None:
    write_captions(tmp_path)
    (tmp_path / "coco/annotations").rename(tmp_path / "annotations")
    assert len(COCO_CAPTIONS.open(tmp_path, "train")) == 2
    (tmp_path / "annotations/captions_train2017.json").write_text(json.dumps({"images": [], "annotations": [{}]}))
    with pytest.raises(DataError, match="should be COCO's JSON of images and annotations with captions"):
        COCO_CAPTIONS.open(tmp_path, "train")


def test_prist_takes_masks_from_records_and_from_labelme(tmp_path: Path) -> None:
    found = PristSet(write_prist(tmp_path), "train")
    assert len(found) == 3
    dialogues = [found.told(item).dialogues[0] for item in range(3)]
    assert [one.targets[0].phrase for one in dialogues] == ["red dog", "blue dog", "dog"]
    assert dialogues[0].answers[-1] == "Sure, [OBJ]red dog[SEG]."
    areas = [area(one.targets[0].mask) for one in dialogues]  # type: ignore[arg-type]
    assert areas[0] == 81
    assert areas[1] < areas[2]
    assert found.left_out == {
        "without a mask": 1, "without an image file": 1, "with a mask of another size than the image": 1,
    }  # fmt: skip


def test_prist_finds_labelmes_files_in_a_folder_of_their_own(tmp_path: Path) -> None:
    write_prist(tmp_path)
    (tmp_path / "prist/masks").mkdir()
    (tmp_path / "prist/images/2.json").rename(tmp_path / "prist/masks/2.json")
    assert len(PristSet(tmp_path, "train")) == 3
    path = tmp_path / "prist/train.json"
    path.write_text(path.read_text().replace('"from": "gpt"', '"from": "bot"', 1))
    with pytest.raises(DialogueError, match=r"train\.json, record 0: turn 1 should have from"):
        PristSet(tmp_path, "train")
