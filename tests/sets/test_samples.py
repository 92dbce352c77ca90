"""Samples of public sets: one image, its conversations, in words that the seed decides."""

from pathlib import Path

import numpy as np
import pytest
from tests.sets.words import Squares, boxed, write_captions, write_llava, write_own, write_pictures

from miras.errors import DataError
from miras.sets.captions import CaptionSet
from miras.sets.instruct import Manner
from miras.sets.llava import LLAVA_INSTRUCT
from miras.sets.own import read_own
from miras.sets.packed import Packed
from miras.sets.samples import Joined, Retold, Worded, shortened
from miras.sets.scene import Region, Scene, TalkSet
from miras.types import Dialogue, Turn


def test_an_image_with_up_to_three_conversations(tmp_path: Path) -> None:
    source = Worded("squares", Squares(tmp_path), Manner(3))
    sample = source.sample(1, 5)
    again, other = source.sample(1, 5), source.sample(1, 6)
    assert sample.dialogues == again.dialogues != other.dialogues
    assert sample.image.shape == (64, 64, 3) and sample.source == "squares"
    assert {len(source.sample(0, seed).dialogues) for seed in range(60)} == {1, 3}


class Holes:
    """Images of which only the last holds anything."""

    def __init__(self, folder: Path, mask: np.ndarray) -> None:
        self.folder, self.mask = write_pictures(folder, *(f"{n}.png" for n in range(4))), mask

    def __len__(self) -> int:
        return 4

    def scene(self, item: int) -> Scene:
        """See RegionSet."""
        regions = (Region(("dog",), lambda: self.mask, "thing"),) if item == 3 else ()
        return Scene(self.folder / f"{item}.png", regions)


def test_an_image_with_nothing_gives_way_to_the_next(tmp_path: Path) -> None:
    source = Worded("holes", Holes(tmp_path, boxed(1, 1, 5, 5)), Manner())
    assert {source.sample(item, 0).dialogues[0].image for item in range(4)} == {"3.png"}
    with pytest.raises(DataError, match="holes: nothing to mark in 100 images from number 2 on"):
        Worded("holes", Holes(tmp_path, boxed(0, 0, 0, 0)), Manner()).sample(2, 0)


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    source = Worded("holes", Holes(tmp_path, np.ones((4, 4), dtype=bool)), Manner())
    with pytest.raises(DataError, match=r"holes, 3\.png: the mask of 'dog' should be 64x64 like .*, got \[4, 4\]"):
        source.sample(0, 0)


def test_captions_are_asked_for_in_many_words_and_all_are_told(tmp_path: Path) -> None:
    source = Retold("coco_captions", CaptionSet(write_captions(tmp_path), "train"))
    told = [source.sample(0, seed).dialogues for seed in range(80)]
    assert {len(dialogues) for dialogues in told} == {1}
    assert {one.answers[0] for [one] in told} == {"A dog on the grass.", "Some dog."}
    assert len({one.questions[0] for [one] in told}) > 20


def test_long_conversations_lose_their_last_questions(tmp_path: Path) -> None:
    talks = LLAVA_INSTRUCT.open(write_llava(tmp_path), "train")
    assert hasattr(talks, "told")

    def shorten(dialogue: Dialogue) -> Dialogue:
        return shortened(dialogue, lambda one: len(one.turns), 2)

    known: TalkSet = talks  # type: ignore[assignment]
    assert len(Retold("llava", known, shorten).sample(0, 0).dialogues[0].turns) == 2
    assert len(Retold("llava", known).sample(0, 0).dialogues[0].turns) == 4
    four = Dialogue(tuple(Turn(role, "x") for role in ("user", "assistant") * 2))  # type: ignore[arg-type]
    assert shortened(four, lambda one: 99, 5).turns == four.turns[:2]
    own = read_own(write_own(tmp_path)).talks.told(0).dialogues[0]
    assert shortened(own, lambda one: 99, 5) == own


def test_joined_sets_lie_one_behind_the_other(tmp_path: Path) -> None:
    own = read_own(write_own(tmp_path))
    joined = Joined([Worded("own", own.regions, Manner()), Retold("own", own.talks)])
    assert len(joined) == 4
    kinds = [joined.sample(item, 0).dialogues[0].kind for item in range(4)]
    assert kinds == ["referring", "referring", "own", "own"]
    with pytest.raises(IndexError, match="from 0 to 3, got 4"):
        joined.sample(4, 0)


def test_packed_records_come_back_as_copies() -> None:
    records = [{"a": [1, 2.5], "é": None}, "text", 7]
    packed = Packed(records)
    assert [packed[place] for place in range(len(packed))] == records
    packed[0]["a"].append(3)
    assert packed[0] == records[0]
    for place in (-1, 3):
        with pytest.raises(IndexError, match="from 0 to 2"):
            packed[place]
