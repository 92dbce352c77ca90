"""A batch costs its tokens, not its padding, and says the same."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from miras.model.language import Language
from miras.model.unpadded import UNPADDED, Rows
from miras.types import Batch

REAL = torch.tensor([[1, 1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]])


def _language(model_type: str) -> Language:
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    options = shape | {"vocab_size": 320, "num_key_value_heads": 2, "head_dim": 16}
    config = AutoConfig.for_model(model_type, **options)
    return Language(lm=AutoModelForCausalLM.from_config(config, attn_implementation=UNPADDED), new_tokens=3).eval()


def _batch(real: Tensor) -> Batch:
    """Rows of one dialogue each, about no image in particular."""
    rows, none = len(real), torch.zeros(0, dtype=torch.long)
    return Batch(
        low=torch.zeros(rows, 3, 8, 8), high=torch.zeros(rows, 3, 8, 8), pixel=None,
        cells=torch.zeros(rows, 1, dtype=torch.bool), content=torch.ones(rows, 2),
        input_ids=torch.zeros_like(real), attention_mask=real, labels=torch.zeros_like(real),
        dialogue_image=torch.arange(rows), seg_dialogue=none, seg_position=none, obj_span=none.new_zeros(0, 2),
        masks=torch.zeros(0, 8, 8), phrases=(), colors=(),
    )  # fmt: skip


def test_tokens_and_rows_are_each_other_turned_back() -> None:
    rows, x = Rows.of(REAL), torch.randn(3, 7, 4)
    assert rows.tokens(x).shape == (1, 14, 4)
    assert torch.equal(rows.pad(rows.tokens(x)), x * REAL[..., None])


@pytest.mark.parametrize("model_type", ["llama", "qwen3", "mistral"])
def test_states_and_gradients_are_those_with_padding(model_type: str) -> None:
    torch.manual_seed(0)
    language, found = _language(model_type), list[tuple[Tensor, dict[str, Tensor]]]()
    embeddings, wanted = torch.randn(3, 7, 64), torch.randn(3, 7, 64) * REAL[..., None]
    for states in (language.states(embeddings, REAL), language.batch_states(embeddings, _batch(REAL))):
        language.zero_grad()
        (states * wanted).sum().backward()
        grads = {name: p.grad.clone() for name, p in language.named_parameters() if p.grad is not None}
        found.append((states * REAL[..., None], grads))
    (padded, theirs), (tokens, ours) = found
    assert (
        torch.allclose(tokens, padded, atol=1e-5)
        and ours.keys() == theirs.keys()
        and "lm.model.layers.0.mlp.up_proj.weight" in ours
    )
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-4) for name in ours)


def test_layers_meet_no_padding() -> None:
    language, met = _language("llama"), list[Any]()
    layer: Any = language.lm.get_decoder().layers[1].mlp
    layer.register_forward_pre_hook(lambda _, inputs: met.append(tuple(inputs[0].shape)))
    states = language.batch_states(torch.randn(3, 7, 64), _batch(REAL))
    assert met == [(1, 14, 64)] and not states[REAL == 0].any() and states[REAL == 1].all()
