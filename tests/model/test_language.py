"""The language model's new tokens and its LoRA."""

from typing import Any

import pytest
import torch

from miras.errors import ConfigError
from miras.model.build import build_lm
from miras.model.configuration import preset
from miras.model.language import Language


@pytest.fixture
def untied() -> Language:
    torch.manual_seed(0)
    options = preset("tiny").language | {"tie_word_embeddings": False}
    return Language(lm=build_lm(preset("tiny", language=options)), new_tokens=3).eval()


def test_new_tokens_stand_behind_the_base_vocabulary(tiny: Any) -> None:
    language, ids = tiny.language, torch.tensor([[5, 320, 319], [322, 0, 321]])
    embedded, base = language.embed(ids), language.lm.get_input_embeddings().weight
    assert torch.equal(embedded[0, 0], base[5]) and torch.equal(embedded[1, 1], base[0])
    assert torch.equal(embedded[0, 1], language.rows[0]) and torch.equal(embedded[1, 0], language.rows[2])
    states = torch.randn(2, 64)
    logits = language.logits(states)
    assert logits.shape == (2, 323)
    assert torch.allclose(logits[:, :320], states @ base.T, atol=1e-5)
    assert torch.allclose(logits[:, 320:], states @ language.rows.T, atol=1e-5)


def test_new_tokens_have_rows_of_their_own_where_the_base_unties_them(untied: Language) -> None:
    untied.set_rows([[1, 2], [3], [4]])
    assert untied.out_rows is not None
    for rows, weight in (
        (untied.rows, untied.lm.get_input_embeddings().get_parameter("weight")),
        (untied.out_rows, untied.lm.get_output_embeddings().get_parameter("weight")),
    ):
        assert torch.allclose(rows[0], (weight[1] + weight[2]) / 2) and torch.allclose(rows[2], weight[4])
    states = torch.randn(1, 64)
    assert torch.allclose(untied.logits(states)[:, 320:], states @ untied.out_rows.T, atol=1e-5)


def test_only_rows_that_are_used_get_a_gradient(fresh_model: Any) -> None:
    language = fresh_model(lora={}).language
    language.embed(torch.tensor([[5, 321]])).sum().backward()
    assert language.rows.grad.any(-1).tolist() == [False, True, False]
    assert language.lm.get_input_embeddings().weight.grad[5].any()
    assert not language.lm.get_input_embeddings().weight.grad[0].any()  # what stands in for a new token's row


@torch.no_grad()
def test_merged_lora_gives_the_same_states(fresh_model: Any) -> None:
    language, base = fresh_model().language, fresh_model(lora={}).language
    embeddings = torch.randn(2, 7, 64)
    before = language.states(embeddings)
    language.merge_lora()
    assert torch.allclose(language.states(embeddings), before, atol=1e-5)
    assert set(language.state_dict()) == set(base.state_dict())
    assert not any("lora" in name for name, _ in language.named_modules())
    assert (before - base.states(embeddings)).abs().max() > 1e-3
    language.merge_lora()
    assert torch.allclose(language.states(embeddings), before, atol=1e-5)


def test_lora_stands_where_it_was_asked_for(tiny: Any) -> None:
    adapted = {name.split(".")[-4] for name, _ in tiny.language.named_parameters() if "lora_A" in name}
    assert adapted == {"q_proj", "v_proj"}
    shapes = {tuple(p.shape) for name, p in tiny.language.named_parameters() if "lora_A" in name}
    assert shapes == {(4, 64)}


def test_tied_embeddings_are_one_weight(tiny: Any) -> None:
    lm = tiny.language.lm
    assert lm.get_input_embeddings().weight is lm.get_output_embeddings().weight
    assert tiny.language.out_rows is None


def test_unknown_parts_are_refused(fresh_model: Any) -> None:
    with pytest.raises(ConfigError, match="kind must be one of"):
        fresh_model(pixel={"kind": "magic"})
