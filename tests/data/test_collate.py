"""Samples as one batch: views, ids and the index tensors between them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from miras.data.collate import Collator, Views
from miras.data.encode import CHATML, IGNORE, Encoder
from miras.data.masks import encode
from miras.errors import BatchError
from miras.types import Batch, Dialogue, Sample, Target, Turn

SPECIAL = ["[OBJ]", "[SEG]", "<image>", "<|im_end|>", "<|im_start|>"]


class Letters:
    """One id per character, special tokens from 1,000 on."""

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = False) -> list[int]:
        for index, token in enumerate(SPECIAL if not split_special_tokens else []):
            text = text.replace(token, chr(1000 + index))
        return [ord(letter) for letter in text]

    def decode(self, token_ids: list[int], **kwargs: object) -> str:
        return "".join(map(chr, token_ids))

    def convert_tokens_to_ids(self, tokens: str) -> int:
        return 1000 + SPECIAL.index(tokens)


@pytest.fixture
def collate() -> Collator:
    return Collator(Encoder(Letters(), CHATML), Views(low=32, high=64, grid=2), mask_size=16)


def image(height: int = 20, width: int = 20, value: int = 200) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def talk(answers: Sequence[str], shape: tuple[int, int] = (20, 20)) -> Dialogue:
    turns, targets = list[Turn](), list[Target]()
    for index, answer in enumerate(answers):
        turns += [Turn("user", f"Question {index}?"), Turn("assistant", answer)]
        for _ in range(answer.count("[SEG]")):
            mask = np.zeros(shape, dtype=bool)
            mask[: len(targets) + 1] = True
            targets.append(Target(f"thing {len(targets)}", encode(mask)))
    return Dialogue(tuple(turns), tuple(targets), image="x.png")


def test_several_images_dialogues_and_targets(collate: Collator) -> None:
    batch = collate(
        [
            Sample(image(20, 20), (talk(["No."]), talk(["A [OBJ]b[SEG].", "[SEG] [OBJ]c d[SEG]"]))),
            Sample(image(10, 20), (talk(["[OBJ]e[SEG]"], (10, 20)),)),
        ]
    )
    assert batch.low.shape == (2, 3, 32, 32) and batch.high.shape == (2, 3, 64, 64) and batch.pixel is None
    assert batch.cells.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.content.tolist() == [[1.0, 1.0], [0.5, 1.0]]
    assert batch.dialogue_image.tolist() == [0, 0, 1]
    assert batch.seg_dialogue.tolist() == [1, 1, 1, 2] and batch.seg_image.tolist() == [0, 0, 0, 1]
    ids = batch.input_ids
    assert batch.dialogue_row.tolist() == [0, 0, 1] and batch.row_image.tolist() == [0, 1]
    assert (ids[batch.seg_row, batch.seg_position] == 1001).all()
    assert torch.equal(batch.obj_span[:, 1], batch.seg_position)
    starts = ids[batch.seg_row, batch.obj_span[:, 0]]
    assert starts.tolist() == [1000, 1001, 1000, 1000]
    assert (ids == 1002).sum(1).tolist() == [4, 2]
    assert batch.phrases == ("thing 0", "thing 1", "thing 2", "thing 0")


def test_rows_are_padded_on_the_right(collate: Collator) -> None:
    batch = collate([Sample(image(), (talk([answer]),)) for answer in ("No.", "A long answer.")])
    length = batch.attention_mask.sum(1)
    assert batch.attention_mask[0].tolist() == [1] * int(length[0]) + [0] * int(length[1] - length[0])
    padding = batch.attention_mask == 0
    assert (batch.labels[padding] == IGNORE).all() and (batch.input_ids[padding] == 1003).all()
    trained = batch.labels != IGNORE
    assert torch.equal(batch.labels[trained], batch.input_ids[trained])
    assert trained.sum(1).tolist() == [len("No.") + 1, len("A long answer.") + 1]


def test_masks_lie_in_the_frame_of_the_canvas(collate: Collator) -> None:
    batch = collate([Sample(image(32, 64), (talk(["[SEG]"], (32, 64)),))])
    mask = batch.masks[0]  # one row of 32, four of which make one row of the canvas
    assert mask.shape == (16, 16) and not mask[1:].any()
    assert mask[0].tolist() == pytest.approx([0.25] * 16, abs=0.01)


def test_ignored_pixels_lie_in_the_same_frame(collate: Collator) -> None:
    told = talk(["[SEG] [SEG]"], (32, 64))
    assert collate([Sample(image(32, 64), (told,))]).ignored is None
    upper = np.zeros((32, 64), bool)
    upper[:8] = True
    told = replace(told, targets=(told.targets[0], replace(told.targets[1], ignore=encode(upper))))
    for batch in (collate([Sample(image(32, 64), (told,))]), collate.masks_only([Sample(image(32, 64), (told,))])):
        assert batch.ignored is not None and not batch.ignored[0].any()
        assert batch.ignored[1].eq(torch.tensor([[1.0]] * 2 + [[0.0]] * 14)).all()


def test_names_are_left_out_per_sample(collate: Collator) -> None:
    samples = [Sample(image(), (talk(["[OBJ]a[SEG]"]),)) for _ in range(2)]
    batch = collate(samples, named=[False, True])
    assert (batch.input_ids == 1000).sum(1).tolist() == [0, 1]
    assert (batch.obj_span[:, 0] == batch.obj_span[:, 1]).tolist() == [True, False]


def test_text_alone_gives_no_masks(collate: Collator) -> None:
    batch = collate([Sample(image(), (talk(["No."]),))])
    assert (
        batch.masks.shape == (0, 16, 16) and batch.obj_span.shape == (0, 2) and batch.seg_position.dtype == torch.long
    )


def test_a_third_view_is_made_where_it_is_wanted(collate: Collator) -> None:
    views = Views(low=32, high=64, grid=2, pixel=48)
    batch = Collator(collate.encoder, views, mask_size=16)([Sample(image(), (talk(["No."]),))])
    assert batch.pixel is not None and batch.pixel.shape == (1, 3, 48, 48)


def test_what_cannot_be_trained_on_is_refused(collate: Collator) -> None:
    nameless = Dialogue((Turn("user", "a"), Turn("assistant", "[SEG]")), (Target("dog"),), image="d.png")
    with pytest.raises(BatchError, match=r"d\.png: 'dog' has no mask"):
        collate([Sample(image(), (nameless,))])
    with pytest.raises(BatchError, match=r"should be \(20, 20\) like its image, got \(10, 20\)"):
        collate([Sample(image(), (talk(["[SEG]"], (10, 20)),))])
    for samples in ([], [Sample(image(), ())]):
        with pytest.raises(BatchError, match="needs a dialogue"):
            collate(samples)


def test_the_mask_path_alone_needs_no_text(collate: Collator) -> None:
    samples = [Sample(image(), (talk(["[SEG] [SEG]"]), talk(["[SEG]"]))), Sample(image(), (talk(["No."]),))]
    batch = collate.masks_only(samples)
    assert batch.seg_image.tolist() == [0, 0, 0] and batch.masks.shape == (3, 16, 16)
    assert batch.high.shape == (2, 3, 64, 64) and batch.input_ids.shape == (2, 0)


def apart(collate: Collator, samples: Sequence[Sample]) -> Batch:
    return Collator(collate.encoder, collate.views, mask_size=16, pack=False)(samples)


def test_dialogues_about_one_image_share_a_row_and_stay_as_they_are(collate: Collator) -> None:
    samples = [
        Sample(image(), (talk(["No."]), talk(["A [OBJ]b[SEG].", "[SEG] [OBJ]c d[SEG]"]))),
        Sample(image(), ()),
        Sample(image(10, 20), (talk(["[OBJ]e[SEG]"], (10, 20)),)),
    ]
    packed, alone = collate(samples), apart(collate, samples)
    assert packed.block is not None and packed.positions is not None and alone.block is None
    assert packed.row_image.tolist() == [0, 2] and alone.row_image.tolist() == [0, 0, 2]
    for dialogue, row in enumerate(packed.dialogue_row.tolist()):
        chosen = (packed.block[row] == dialogue) | ((packed.block[row] < 0) & packed.attention_mask[row].bool())
        real = alone.attention_mask[dialogue].bool()
        assert torch.equal(packed.input_ids[row][chosen], alone.input_ids[dialogue][real])
        assert torch.equal(packed.labels[row][chosen], alone.labels[dialogue][real])
        assert packed.positions[row][chosen].tolist() == list(range(int(real.sum())))
    padding = packed.attention_mask == 0
    assert padding.any() and (packed.block[padding] == -1).all() and not packed.positions[padding].any()
    for field in ("obj_span", "seg_position"):
        where, own = getattr(packed, field), getattr(alone, field)
        row, spread = packed.seg_row, where.reshape(len(where), -1)
        assert torch.equal(packed.positions[row[:, None], spread], own.reshape(len(own), -1))
    assert torch.equal(packed.seg_dialogue, alone.seg_dialogue) and packed.phrases == alone.phrases


def test_a_batch_of_single_dialogues_has_no_blocks(collate: Collator) -> None:
    batch = collate([Sample(image(), (talk(["No."]),)), Sample(image(), (talk(["Yes, it is."]),))])
    assert batch.block is None and batch.positions is None and batch.dialogue_row.tolist() == [0, 1]


def test_a_row_is_shared_only_where_that_saves_tokens(collate: Collator) -> None:
    one, long = Sample(image(), (talk(["No."]),)), talk(["A very long answer, longer than its opening." * 5])
    many = Sample(image(), (long,) * 3)
    mixed, alone = collate([one, many]), apart(collate, [one, many])
    assert collate([many]).block is not None
    # three dialogues in a row, and as much padding behind the single one, would be more than four rows
    assert mixed.block is None and mixed.input_ids.numel() == alone.input_ids.numel()
