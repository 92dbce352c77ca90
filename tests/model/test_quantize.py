"""A language model in 4 bits: close to what it was, as bitsandbytes has it, trained beside and never written."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from miras import Miras
from miras.errors import CheckpointError, ConfigError
from miras.model.checkpoint import fresh
from miras.model.configuration import preset
from miras.model.quantize import drop_quantized, is_quantized, quantize, settle

bnb = pytest.importorskip("bitsandbytes")


@pytest.fixture
def pair() -> tuple[Miras, Miras]:
    """The tiny model as it is, and in 4 bits."""
    made = []
    for quantized in (False, True):
        torch.manual_seed(0)
        made.append(fresh(preset("tiny"), quantized=quantized).eval())
    return made[0], made[1]


def test_the_frozen_matrices_and_nothing_else_are_quantized(pair: tuple[Miras, Miras]) -> None:
    whole, small = pair
    inside = {name for name, module in small.named_modules() if type(module).__name__ == "Linear4bit"}
    assert len(inside) == 2 * 7
    assert all(name.startswith("language.lm.model.layers.") for name in inside)
    lm: Any = small.language.lm
    same: Any = whole.language.lm
    assert type(lm.get_output_embeddings()) is nn.Linear
    assert torch.equal(lm.get_input_embeddings().weight, same.get_input_embeddings().weight)
    layer = lm.model.layers[0].self_attn.q_proj
    assert layer.base_layer.weight.numel() == 64 * 64 // 2
    assert layer.lora_A["default"].weight.dtype == torch.float32


def test_a_layer_gives_the_product_that_bitsandbytes_dequantizes(pair: tuple[Miras, Miras]) -> None:
    whole, small = (model.language.lm.model.layers[1].mlp.gate_proj for model in pair)
    x = torch.randn(5, 64)
    weight = bnb.functional.dequantize_4bit(small.weight, small.weight.quant_state)
    assert torch.allclose(small(x), F.linear(x, weight), atol=1e-5)
    # NF4's widest gap between two numbers is 0.304 of the largest of 64: half of it is the most that rounding loses
    blocks = whole.weight.detach().reshape(-1, 64)
    lost = (weight.reshape(-1, 64) - blocks).abs() / blocks.abs().amax(1, keepdim=True)
    assert 0.01 < float(lost.max()) < 0.16


def test_states_stay_near(pair: tuple[Miras, Miras]) -> None:
    ids = torch.arange(40)[None]
    whole, small = (model.language.states(model.language.embed(ids)).detach().flatten() for model in pair)
    assert 0.98 < float(F.cosine_similarity(whole, small, dim=0)) < 0.99999


def test_gradients_pass_after_answers_were_given(pair: tuple[Miras, Miras]) -> None:
    language = pair[1].language
    language.lm.eval()
    with torch.no_grad():
        language.states(language.embed(torch.arange(8)[None]))
    language.lm.train()
    embeddings = language.embed(torch.arange(8)[None]).detach().requires_grad_(True)
    language.states(embeddings).square().sum().backward()
    assert embeddings.grad is not None
    assert float(embeddings.grad.abs().sum()) > 0
    assert float(language.lm.model.layers[0].self_attn.q_proj.lora_B["default"].weight.grad.abs().sum()) > 0


def test_a_session_answers(pair: tuple[Miras, Miras]) -> None:
    import numpy as np

    reply = pair[1].session(np.zeros((48, 64, 3), np.uint8)).ask("what is there?")
    assert isinstance(reply.text, str)


def test_four_bits_are_never_written_as_the_model(pair: tuple[Miras, Miras], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written whole"):
        pair[1].save_pretrained(tmp_path / "whole")
    with pytest.raises(CheckpointError, match="whose language part has a source"):
        pair[1].save_pretrained(tmp_path / "part", frozen=False)
    assert not list(tmp_path.iterdir())
    kept = drop_quantized(pair[1], dict(pair[1].state_dict()))
    assert not [name for name in kept if "quant" in name or kept[name].dtype == torch.uint8]
    assert [name for name in kept if "lora_A" in name]


def test_a_saved_model_is_loaded_in_4_bits_matrix_by_matrix(pair: tuple[Miras, Miras], tmp_path: Path) -> None:
    pair[0].save_pretrained(tmp_path)
    loaded = Miras.from_pretrained(tmp_path, quantize="nf4")
    ours, theirs = (model.language.lm.model.layers[0].mlp.down_proj.weight for model in (pair[1], loaded))
    assert torch.equal(ours, theirs)
    with pytest.raises(ConfigError, match="quantize is nf4 or None, got 'int8'"):
        Miras.from_pretrained(tmp_path, quantize="int8")
    with pytest.raises(ConfigError, match="cannot be folded into weights of 4 bits"):
        Miras.from_pretrained(tmp_path, quantize="nf4", merge_lora=True)


def test_matrices_come_one_at_a_time() -> None:
    model = fresh(preset("tiny"))
    quantize(model.language.lm, later=True)
    layers: list[Any] = [m for m in model.language.lm.modules() if type(m).__name__ == "Linear4bit"]
    assert all(layer.weight.is_meta for layer in layers)
    assert settle(layers[0], torch.randn(layers[0].out_features, layers[0].in_features))
    assert not layers[0].weight.is_meta
    assert not settle(nn.Linear(2, 2), torch.zeros(2, 2))
    with pytest.raises(ConfigError, match=r"a 4-bit layer is \(64, 64\), got a matrix of \(2, 2\)"):
        settle(layers[0], torch.zeros(2, 2))


def test_without_bitsandbytes_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    model = fresh(preset("tiny"))
    with pytest.raises(ConfigError, match=r"pip install 'miras\[quantize\]'"):
        quantize(model.language.lm)
    assert not is_quantized(model)
