"""The nouns check themselves and say both sides of a mismatch."""

from typing import Any

import pytest
import torch

from miras.errors import BatchError, DialogueError
from miras.types import Batch, Dialogue, Target, Turn

ASK, MARK = Turn("user", "Mark it."), Turn("assistant", "[OBJ]cup[SEG]")
TELL = Turn("assistant", "It is a cup.")
CUP = Target("cup")


def batch(**changed: torch.Tensor) -> Batch:
    """Two images, three dialogues of 5 tokens, two [SEG]s; 4 x 4 views, 2 x 2 cells."""
    fields: dict[str, Any] = {
        "low": torch.zeros(2, 3, 4, 4),
        "high": torch.zeros(2, 3, 4, 4),
        "cells": torch.ones(2, 4, dtype=torch.bool),
        "input_ids": torch.zeros(3, 5, dtype=torch.long),
        "attention_mask": torch.ones(3, 5, dtype=torch.long),
        "labels": torch.zeros(3, 5, dtype=torch.long),
        "dialogue_image": torch.tensor([0, 0, 1]),
        "seg_dialogue": torch.tensor([2, 1]),
        "seg_position": torch.tensor([4, 3]),
        "obj_span": torch.tensor([[2, 4], [1, 3]]),
        "masks": torch.zeros(2, 4, 4),
        "content": torch.ones(2, 2),
    }
    return Batch(**(fields | changed), phrases=("cup", "plate"))


@pytest.mark.parametrize(
    ("turns", "targets", "message"),
    [
        ((), (), "got 0 turns"),
        ((ASK,), (), "ends with the assistant's turn, got 1 turns"),
        ((MARK, ASK), (CUP,), "turn 0 of a.jpg should be spoken by the user, got assistant"),
        ((ASK, ASK), (), "turn 1 of a.jpg should be spoken by the assistant, got user"),
        ((ASK, MARK), (), r"1 \[SEG\] written, 0 targets given for a.jpg"),
        ((ASK, TELL), (CUP,), r"0 \[SEG\] written, 1 targets"),
        ((ASK, MARK, ASK, MARK), (CUP,), r"2 \[SEG\] written, 1 targets"),
    ],
)
def test_a_dialogue_that_breaks_the_rules_is_refused(
    turns: tuple[Turn, ...], targets: tuple[Target, ...], message: str
) -> None:
    with pytest.raises(DialogueError, match=message):
        Dialogue(turns, targets, image="a.jpg")


def test_a_dialogue_gives_its_questions_and_answers() -> None:
    dialogue = Dialogue((ASK, TELL, Turn("user", "A [SEG] of mine"), MARK), (CUP,))
    assert dialogue.questions == ("Mark it.", "A [SEG] of mine")
    assert dialogue.answers == ("It is a cup.", "[OBJ]cup[SEG]")
    assert (dialogue.kind, dialogue.image, dialogue.meta) == ("dialogue", None, {})


def test_a_batch_knows_the_image_of_each_seg() -> None:
    assert batch().seg_image.tolist() == [1, 0]


def test_a_batch_knows_which_images_hold_a_target() -> None:
    assert batch().marked.tolist() == [0, 1]
    assert batch(seg_dialogue=torch.tensor([2, 2])).marked.tolist() == [1]
    assert without_targets().marked.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("low", 2), ("cells", 2), ("content", 2), ("dialogue_image", 3), ("labels", 3), ("attention_mask", 3),
        ("seg_position", 2), ("obj_span", 2), ("masks", 2),
    ],
)  # fmt: skip
def test_rows_that_do_not_match_are_named(name: str, expected: int) -> None:
    longer = torch.cat([getattr(batch(), name), getattr(batch(), name)[:1]])
    with pytest.raises(BatchError, match=rf"batch\.{name} needs {expected} rows, got {expected + 1}"):
        batch(**{name: longer})


def test_a_seg_points_at_a_dialogue_of_the_batch() -> None:
    with pytest.raises(BatchError, match="points at dialogue 3, the batch has 3"):
        batch(seg_dialogue=torch.tensor([3, 1]))


def without_targets() -> Batch:
    none = torch.zeros(0, dtype=torch.long)
    return batch(seg_dialogue=none, seg_position=none, obj_span=none.reshape(0, 2), masks=torch.zeros(0, 4, 4))


def test_a_batch_without_targets_is_a_batch() -> None:
    assert without_targets().seg_image.shape == (0,)


def test_moving_a_batch_moves_every_tensor_and_keeps_the_words() -> None:
    moved = without_targets().to("meta")
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 14
    assert {value.device.type for value in tensors} == {"meta"}
    assert moved.phrases == ("cup", "plate")


BLOCK = torch.tensor([[-1, -1, 0, 1, 1], [-1, 2, 2, 2, 2]])
"""Dialogues 0 and 1 about the first image, 2 about the second."""


def packed(block: torch.Tensor = BLOCK, **changed: torch.Tensor) -> Batch:
    rows = {name: torch.ones(2, 5, dtype=torch.long) for name in ("input_ids", "attention_mask", "labels")}
    made = rows | {"seg_dialogue": torch.tensor([2, 1]), "seg_position": torch.tensor([4, 3])} | changed
    return batch(**made, block=block)


def test_dialogues_of_one_row_know_their_places() -> None:
    made = packed()
    assert made.dialogue_row.tolist() == [0, 0, 1] and made.row_image.tolist() == [0, 1]
    assert made.seg_row.tolist() == [1, 0] and made.seg_image.tolist() == [1, 0]
    assert made.positions is not None and made.positions.tolist() == [[0, 1, 2, 2, 3], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"block": BLOCK[:, :4]}, r"block is \(2, 5\) like input_ids, got \(2, 4\)"),
        ({"block": BLOCK.clamp(max=1)}, "should hold each of 3 dialogues"),
        ({"block": BLOCK.clamp(min=1) + 1}, "should hold each of 3 dialogues"),
        ({"block": torch.tensor([[-1, -1, 0, 1, 2], [-1, 2, 2, 2, 2]])}, "spreads a dialogue over two rows"),
        ({"dialogue_image": torch.tensor([0, 1, 1])}, "two images' dialogues into one row"),
        ({"seg_position": torch.tensor([4, 2])}, "disagree on which dialogue"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(changed: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(BatchError, match=message):
        packed(**changed)
