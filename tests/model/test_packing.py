"""Several dialogues in one row: states, logits, masks and gradients are those of rows of their own."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from miras.config import LossWeights
from miras.data.collate import Collator
from miras.model.build import build_lm
from miras.model.configuration import preset
from miras.model.language import Language, block_mask
from miras.model.losses import compute_losses
from miras.model.miras import Miras
from miras.types import Batch, Sample


def close(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, atol=1e-5, rtol=1e-5)


@pytest.fixture
def samples(picture: Any, sample: Any) -> list[Sample]:
    """Three dialogues about one image, one about another, of unlike lengths."""
    first, second = picture(60, 40), picture(50, 60, 1)
    talks = [
        sample(first, "Mark the cat.", "It is [OBJ]a cat[SEG]."),
        sample(first, "Is it?", "Yes.", "Then mark both.", "[SEG] and [OBJ]the other one[SEG]"),
        sample(first, "", "No."),
    ]
    return [
        Sample(first, tuple(talk.dialogues[0] for talk in talks)),
        sample(second, "Where?", "There: [OBJ]dog[SEG]"),
    ]


def both(model: Miras, samples: list[Sample]) -> tuple[Batch, Batch]:
    encoder, views = model.processor.encoder, model.processor.views
    packed, apart = (Collator(encoder, views, mask_size=32, pack=pack)(samples) for pack in (True, False))
    assert packed.block is not None and len(packed.input_ids) == 2 and len(apart.input_ids) == 4
    return packed, apart


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"seg_state": "predicting", "chat": "vicuna"}], ids=str)
def test_outputs_are_those_of_separate_rows(make: Any, changes: Any, samples: list[Sample]) -> None:
    model = make(**changes)
    packed, apart = (model(batch) for batch in both(model, samples))
    assert torch.equal(packed.labels, apart.labels) and len(packed.mask_logits) == 4
    for name in ("logits", "mask_logits", "iou"):
        assert close(getattr(packed, name), getattr(apart, name)), name


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_separate_rows(checkpointing: bool, fresh_model: Any, samples: list[Sample]) -> None:
    model = fresh_model().train()
    if checkpointing:
        model.language.lm.activation_checkpointing_enable()
    found = list[dict[str, Tensor]]()
    for batch in both(model, samples):
        model.zero_grad()
        compute_losses(model(batch), batch, LossWeights(iou=1.0)).total.backward()
        found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    packed, apart = found
    assert packed.keys() == apart.keys() and any("lora_A" in name for name in packed)
    for name, gradient in packed.items():
        assert torch.allclose(gradient, apart[name], atol=1e-5 * max(1.0, float(apart[name].abs().max()))), name


def test_the_mask_of_blocks_written_by_hand() -> None:
    block, real = torch.tensor([[-1, 0, 0, 1, -1]]), torch.tensor([[1, 1, 1, 1, 0]])
    rows = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 1]]
    assert block_mask(block, real).int().tolist() == [[rows]]


def _nano() -> Language:
    lm = build_lm(preset("nano"))
    return Language(lm=lm, new_tokens=3)


def _of(model_type: str) -> Language:
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    options = shape | {"vocab_size": 320, "num_key_value_heads": 2, "head_dim": 16}
    lm = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **options), attn_implementation="sdpa")
    return Language(lm=lm, new_tokens=3)


@torch.no_grad()
@pytest.mark.parametrize("name", ["nano", "llama", "qwen3", "mistral"])
def test_any_language_model_sees_each_dialogue_alone(name: str) -> None:
    torch.manual_seed(0)
    language = (_nano() if name == "nano" else _of(name)).eval()
    width, shared, lengths = int(language.lm.config.hidden_size), 70, (20, 35, 9)
    opening = torch.randn(1, shared, width)
    own = [torch.randn(1, length, width) for length in lengths]
    row = torch.cat([opening, *own], 1)
    numbers = torch.repeat_interleave(torch.arange(-1, 3), torch.tensor([shared, *lengths]))[None]
    positions = torch.cat([torch.arange(shared), *(shared + torch.arange(length) for length in lengths)])[None]
    packed = language.states(row, block_mask(numbers, torch.ones_like(numbers)), positions)
    for number, talk in enumerate(own):
        alone = language.states(torch.cat([opening, talk], 1))
        assert close(packed[numbers == number], alone[0, shared:])
    assert close(packed[numbers < 0], alone[0, :shared])
