"""The whole model: its modules are all there, and take part."""

from typing import Any

import pytest
import torch

from miras.config import LossWeights
from miras.errors import BatchError
from miras.model.losses import compute_losses

FIGURE_4 = {
    "low-resolution encoder": "vision.low.",
    "high-resolution encoder": "vision.high.",
    "fusion": "vision.fusion.",
    "projector": "vision.projector.",
    "language model": "language.lm.",
    "LoRA": "lora_A",
    "rows of the new tokens": "language.rows",
    "mask projector": "mask_projector.",
    "alignment": "alignment.",
    "pixel encoder": "pixel.pyramid.",
    "mask decoder": "pixel.mask_decoder.",
    "IoU head": "pixel.mask_decoder.iou_head.",
}


@pytest.mark.parametrize("part", FIGURE_4)
def test_every_part_of_figure_4_is_saved(tiny: Any, part: str) -> None:
    assert [name for name in tiny.state_dict() if FIGURE_4[part] in name]


def test_every_part_of_figure_4_is_trained(fresh_model: Any, picture: Any, sample: Any) -> None:
    model = fresh_model()
    batch = model.processor.collator(mask_size=32)([sample(picture(60, 40), "Mark.", "It is [OBJ]a b[SEG].")])
    compute_losses(model(batch), batch, LossWeights(iou=1.0)).total.backward()
    for part, name in FIGURE_4.items():
        moved = [p.grad is not None and bool(p.grad.any()) for n, p in model.named_parameters() if name in n]
        assert any(moved), part


def test_without_alignment_there_is_none(make: Any) -> None:
    assert not any(name.startswith("alignment") for name in make(alignment="none").state_dict())


@torch.no_grad()
def test_only_images_that_hold_a_target_are_encoded_for_masks(
    tiny: Any, picture: Any, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks = [sample(picture(60, 40), "Is it?", "Yes."), sample(picture(50, 60, 1), "Mark.", "It is [OBJ]a b[SEG].")]
    collator, encode, encoded = tiny.processor.collator(mask_size=32), tiny.pixel.encode, list[int]()

    def counted(views: torch.Tensor, maps: Any) -> Any:
        encoded.append(len(views))
        return encode(views, maps)

    monkeypatch.setattr(tiny.pixel, "encode", counted)
    both, alone = tiny(collator(talks)), tiny(collator(talks[1:]))
    assert encoded == [1, 1]
    assert torch.allclose(both.mask_logits, alone.mask_logits, atol=1e-4)


@torch.no_grad()
def test_placeholders_must_match_image_tokens(tiny: Any, picture: Any, sample: Any) -> None:
    batch = tiny.processor.collator(mask_size=32)([sample(picture(60, 60), "Is it?", "Yes.")])
    batch.input_ids[0, (batch.input_ids[0] == tiny.processor.encoder.image_id).nonzero()[0]] = 5
    with pytest.raises(BatchError, match=r"\[4\] image tokens, \[3\] placeholders"):
        tiny(batch)


@torch.no_grad()
def test_image_tokens_stand_on_their_placeholders(tiny: Any, picture: Any, sample: Any) -> None:
    batch = tiny.processor.collator(mask_size=32)(
        [sample(picture(60, 20), "Is it?", "Yes."), sample(picture(60, 60, 1), "And this one?", "No.")]
    )
    seen = tiny.see(batch.low, batch.high, batch.content)
    embeddings = tiny.embed(batch.input_ids, seen.tokens, batch.cells, batch.dialogue_image)
    places = batch.input_ids == tiny.processor.encoder.image_id
    assert places.sum(1).tolist() == [2, 4]
    assert torch.equal(embeddings[0][places[0]], seen.tokens[0][batch.cells[0]])
    assert torch.equal(embeddings[1][places[1]], seen.tokens[1])


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"seg_state": "predicting"}], ids=str)
def test_the_state_that_stands_for_seg(make: Any, changes: Any) -> None:
    model, states = make(**changes), torch.randn(1, 6, 64)
    dialogue, bare, named = torch.tensor([0]), torch.tensor([[4, 4]]), torch.tensor([[2, 4]])
    seg = model.mask_projector(states[0, 3 if changes else 4])
    assert torch.allclose(model.queries(states, dialogue, bare)[0], seg, atol=1e-6)
    assert torch.allclose(model.queries(states, dialogue, named, bypass=True)[0], seg, atol=1e-6)
    assert not torch.allclose(model.queries(states, dialogue, named)[0], seg, atol=1e-3)
    assert model.queries(states, dialogue[:0], named[:0]).shape == (0, 32)


@torch.no_grad()
def test_only_trained_tokens_meet_the_vocabulary(tiny: Any, picture: Any, sample: Any) -> None:
    batch = tiny.processor.collator(mask_size=32)([sample(picture(60, 60), "Is it?", "Yes.")])
    output = tiny(batch)
    assert output.labels.tolist() == tiny.processor.encoder.answer("Yes.")
    assert output.logits.shape == (5, 323) and output.mask_logits.shape == (0, 1, 1)


def test_batches_move_without_being_checked_again(
    tiny: Any, picture: Any, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = tiny.processor.collator(mask_size=32)([sample(picture(60, 60), "Mark.", "[SEG]")])
    monkeypatch.setattr(type(batch), "__post_init__", lambda self: pytest.fail("checked again"))
    moved = batch.to("meta")
    assert moved.masks.device.type == "meta" and batch.masks.device.type == "cpu"
    assert moved.phrases == batch.phrases and moved.pixel is None
