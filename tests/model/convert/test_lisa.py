"""A tiny LISA with true names, and its CLIP, made one of our models: the same states, logits and rows as before."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.model.convert import checkpoints
from torch import Tensor
from transformers import LlamaForCausalLM

from miras.data.encode import VICUNA
from miras.errors import CheckpointError, ConfigError
from miras.model import checkpoint
from miras.model.configuration import MirasConfig, preset
from miras.model.convert.lisa import convert_lisa, lisa_weights
from miras.model.convert.part import adapt
from miras.model.convert.shapes import llama_config
from miras.model.convert.vocabulary import without_seg
from miras.model.convert.writing import write_shards
from miras.model.processing import byte_tokenizer
from miras.model.weights import read_weights

_LAST = ("<im_patch>", "<im_start>", "<im_end>", "[SEG]")
"""What LISA-7B-v1 adds to LLaMA's tokens, in its order."""
_FIRST = ("[SEG]", "<im_start>", "<im_end>")
"""What the 13B releases add."""
_BYTES = len(byte_tokenizer(VICUNA))
_WIDTH = 16
_MARKS = checkpoints.TINY_SAM | {"channels": 256, "inner": 2048}
"""A tiny encoder before the mask decoder of SAM's release."""
_HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128}


def _release(folder: Path, added: tuple[str, ...] = _LAST) -> dict[str, Tensor]:
    """A folder as LISA is released, with tiny weights."""
    tokenizer = byte_tokenizer(VICUNA)
    tokenizer.add_special_tokens({"additional_special_tokens": list(added)}, replace_extra_special_tokens=False)
    tokenizer.save_pretrained(folder)
    language = {"width": _WIDTH, "inner": 24, "depth": 2, "rows": len(tokenizer)}
    state = checkpoints.weights(checkpoints.lisa(language=language, seen=8, marks=_MARKS))
    for name, held in (("a", list(state)[::2]), ("b", list(state)[1::2])):
        torch.save({key: state[key] for key in held}, folder / f"pytorch_model-{name}.bin")
    return state


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (folder := tmp_path / "clip").mkdir()
    shapes = checkpoints.clip_vision(width=8, inner=12, depth=3, patch=4, size=8)
    write_shards({f"vision_model.{name}": x for name, x in checkpoints.weights(shapes, seed=1).items()}, folder)
    return folder


def _config(**changes: Any) -> MirasConfig:
    settings: dict[str, Any] = {
        "language": {
            "model_type": "llama", "vocab_size": 1, "hidden_size": _WIDTH, "intermediate_size": 24,
            "num_hidden_layers": 2, "tie_word_embeddings": False, **_HEADS,
        },
        "low": {
            "kind": "clip", "size": 8, "layer": -2, "patch_size": 4, "hidden_size": 8, "intermediate_size": 12,
            "num_hidden_layers": 3, "num_attention_heads": 1,
        },
        "pixel": {
            "kind": "sam", "size": 20, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
            "global_attn_indexes": [1], "patch_size": 4, "window_size": 2,
        },
        "high": {}, "projector": "linear",
        "image_grid": 2, "fusion": "none", "token_positions": False, "query_width": 256, "alignment": "none",
        "seg_state": "predicting", "chat": "vicuna", "max_context": 128, "lora": {},
    }  # fmt: skip
    return preset("tiny", **settings | changes)


@pytest.fixture(params=[_LAST, _FIRST], ids=["seg last", "seg first"])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Tensor], tuple[str, ...]]:
    (folder := tmp_path / "lisa").mkdir()
    return folder, _release(folder, request.param), request.param


@pytest.mark.parametrize("lora", [{}, {"r": 2, "alpha": 4, "dropout": 0.0, "targets": ["q_proj", "v_proj"]}])
@torch.no_grad()
def test_the_model_thinks_as_lisa_does(
    tmp_path: Path, clip: Path, release: tuple[Path, dict[str, Tensor], tuple[str, ...]], lora: dict[str, Any]
) -> None:
    folder, state, added = release
    convert_lisa(folder, clip, out := tmp_path / "out", config=_config(lora=lora))
    ours = checkpoint.load(out)
    base, tokenizer = _BYTES + len(added) - 1, ours.processor.tokenizer
    assert ours.language.base_size == base
    names = [*added, "a", "</s>"]
    theirs = {
        name: _BYTES + added.index(name) if name in added else tokenizer.convert_tokens_to_ids(name) for name in names
    }
    mine = {name: tokenizer.convert_tokens_to_ids(name) for name in names}
    assert mine["[SEG]"] == base + 1 == ours.processor.encoder.seg_id
    words = ["a", "<im_start>", "a", "<im_end>", "a", "[SEG]", "</s>"]
    original = LlamaForCausalLM(llama_config(adapt("language", state), _HEADS)).eval()
    original.load_state_dict(adapt("language", state), strict=True)
    said = original(torch.tensor([[theirs[word] for word in words]]), output_hidden_states=True)
    states = ours.language.states(ours.language.embed(torch.tensor([[mine[word] for word in words]])))
    assert torch.allclose(states, said.hidden_states[-1], atol=1e-5)
    logits = ours.language.logits(states)
    columns = [theirs[name] for name in names]
    assert torch.allclose(logits[..., [mine[name] for name in names]], said.logits[..., columns], atol=1e-5)


def test_every_weight_of_lisa_is_in_the_model(tmp_path: Path, clip: Path) -> None:
    (folder := tmp_path / "lisa").mkdir()
    state = _release(folder)
    told = convert_lisa(folder, clip, out := tmp_path / "out", config=_config())
    ours = checkpoint.load(out).state_dict()
    table = state["model.embed_tokens.weight"]
    assert torch.equal(ours["language.lm.model.embed_tokens.weight"], table[:-1])
    assert torch.equal(ours["language.rows"][1], table[-1])
    assert torch.equal(ours["language.out_rows"][1], state["lm_head.weight"][-1])
    assert torch.equal(ours["vision.projector.0.weight"], state["model.mm_projector.weight"])
    assert torch.equal(ours["mask_projector.layers.2.bias"], state["model.text_hidden_fcs.0.2.bias"])
    assert torch.equal(ours["pixel.no_mask"], state["model.visual_model.prompt_encoder.no_mask_embed.weight"][0])
    assert ours["mask_projector.mean"].eq(0).all() and ours["mask_projector.deviation"].eq(1).all()
    assert all(torch.equal(ours[f"vision.low.model.{name}"], x) for name, x in adapt("low", read_weights(clip)).items())
    assert set(told.dropped.values()) == {"points, boxes and masks as prompts; ours are queries alone"}
    assert told.rows == len(table) - 1
    config = json.loads((out / "config.json").read_text())
    assert (config["seg_state"], config["alignment"], config["language"]["vocab_size"]) == (
        "predicting",
        "none",
        told.rows,
    )


def test_what_the_model_has_and_lisa_has_not_is_listed(tmp_path: Path, clip: Path) -> None:
    (folder := tmp_path / "lisa").mkdir()
    _release(folder)
    with pytest.raises(CheckpointError, match=r"missing vision\.high\..* and \d+ more; is it the right CLIP"):
        convert_lisa(folder, clip, tmp_path / "out", config=_config(high=preset("tiny").high))
    assert not (tmp_path / "out").exists()


def test_another_clip_is_refused(tmp_path: Path) -> None:
    (folder := tmp_path / "lisa").mkdir()
    _release(folder)
    shapes = checkpoints.clip_vision(width=8, inner=12, depth=4, patch=4, size=12)
    write_shards(checkpoints.weights(shapes), folder, limit=10**9)
    (clip := tmp_path / "clip336").mkdir()
    (folder / "model.safetensors").rename(clip / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"no place for .*layers\.3\..* and \d+ more"):
        convert_lisa(folder, clip, tmp_path / "out", config=_config())


def test_the_row_of_seg_must_be_there(clip: Path) -> None:
    language = {"width": _WIDTH, "inner": 24, "depth": 1, "rows": 9}
    state = checkpoints.weights(checkpoints.lisa(language=language, seen=8, marks=_MARKS))
    with pytest.raises(CheckpointError, match=r"row 9 for .*, got 9 rows"):
        lisa_weights(state, read_weights(clip), seg=9)


def test_a_tokenizer_without_seg_is_refused(tmp_path: Path) -> None:
    byte_tokenizer(VICUNA).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"\[SEG\] among its added tokens"):
        without_seg(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot be read .*added_tokens\.json"):
        without_seg(tmp_path / "empty")


def test_tokens_behind_seg_move_down(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer(VICUNA)
    tokenizer.add_special_tokens({"additional_special_tokens": list(_FIRST)}, replace_extra_special_tokens=False)
    tokenizer.save_pretrained(tmp_path)
    found, seg = without_seg(tmp_path)
    assert (seg, len(found)) == (_BYTES, _BYTES + 2)
    assert found.convert_tokens_to_ids(["<im_start>", "<im_end>"]) == [_BYTES, _BYTES + 1]
    assert found.encode("<im_start>ab", add_special_tokens=False) == [_BYTES, *tokenizer.encode("ab")]
    assert found.encode("[SEG]", add_special_tokens=False) == [tokenizer.convert_tokens_to_ids(x) for x in "[SEG]"]


def test_the_preset_is_asked_for_by_default(tmp_path: Path, clip: Path) -> None:
    (folder := tmp_path / "lisa").mkdir()
    _release(folder)
    with pytest.raises((ConfigError, CheckpointError)):  # sizes of 7B, or a preset that is not there
        convert_lisa(folder, clip, tmp_path / "out")
