"""Whole conversions: what transformers then loads, what comes back, what is refused, and that nothing is half done."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.model.convert import checkpoints
from torch import Tensor
from transformers import (
    CLIPVisionModel,
    ConvNextModel,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    SamModel,
)
from typer.testing import CliRunner

from miras.cli import app
from miras.errors import CheckpointError, ConfigError
from miras.model.convert.folder import convert, reversible
from miras.model.convert.part import adapt
from miras.model.convert.writing import write_torch
from miras.model.weights import read_weights

_LANGUAGE: dict[str, Any] = {"width": 16, "inner": 24, "depth": 2, "rows": 32000}
_LLAVA: dict[str, Any] = {
    "language": _LANGUAGE,
    "vision": {"width": 8, "inner": 12, "depth": 3, "patch": 4, "size": 8},
}
_CONFIG: dict[str, Any] = {
    "model_type": "llava_llama", "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2, "mm_vision_select_layer": -2,
    "image_grid_pinpoints": [[8, 16], [16, 8]],
}  # fmt: skip
_TRUNK: dict[str, Any] = {"depths": (1, 2, 1, 1), "widths": (4, 6, 8, 8)}


def _loaded(kind: Any, folder: Path) -> dict[str, Tensor]:
    """The weights as transformers reads them, not one of them missing, left over or of another shape."""
    model, told = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told
    return dict(model.state_dict())


@pytest.fixture
def llava(tmp_path: Path) -> Path:
    folder = tmp_path / "llava"
    folder.mkdir()
    state = checkpoints.weights(checkpoints.llava(**_LLAVA))
    names = list(state)
    files = {f"pytorch_model-{n}.bin": names[n::2] for n in range(2)}
    for file, held in files.items():
        torch.save({name: state[name] for name in held}, folder / file)
    index = {"weight_map": {name: file for file, held in files.items() for name in held}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(_CONFIG))
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


def test_openclip_becomes_transformers_and_comes_back(tmp_path: Path) -> None:
    state = checkpoints.weights(checkpoints.openclip(**_TRUNK, text=4, blocks=1))
    write_torch(state, source := tmp_path / "open_clip_pytorch_model.bin")
    made = convert(source, out := tmp_path / "out")
    assert (made.source, made.to) == ("openclip-convnext", "convnext")
    assert made.dropped["the text tower of CLIP; we take the image tower"] == 18
    loaded = _loaded(ConvNextModel, out)
    assert all(torch.equal(loaded[name], x) for name, x in adapt("high", state).items())
    convert(out, back := tmp_path / "back.pth", layout="openclip-convnext", reverse=True)
    found = read_weights(back)
    assert found.keys() == {name for name in state if name.startswith("visual.trunk.")}
    assert all(torch.equal(x, state[name]) for name, x in found.items())


def test_sam_becomes_transformers_and_comes_back(tmp_path: Path) -> None:
    state = checkpoints.weights(checkpoints.sam(**checkpoints.TINY_SAM))
    write_torch(state, source := tmp_path / "sam.pth")
    convert(source, out := tmp_path / "out", layout="sam")
    loaded = _loaded(SamModel, out)
    assert all(torch.equal(loaded[name], x) for name, x in adapt("pixel", state).items())
    convert(out, back := tmp_path / "back.pth", layout="sam", reverse=True)
    found = read_weights(back)
    assert found.keys() == state.keys()
    assert all(torch.equal(x, state[name]) for name, x in found.items())


def test_llava_becomes_transformers_and_comes_back(tmp_path: Path, llava: Path) -> None:
    made = convert(llava, out := tmp_path / "out")
    assert (made.source, made.to) == ("llava", "llava-hf")
    assert made.notes == ["the vocabulary has 32064 rows instead of 32000: the new ones are the mean of all others"]
    loaded, state = _loaded(LlavaNextForConditionalGeneration, out), read_weights(llava)
    table = loaded["model.language_model.embed_tokens.weight"]
    assert table.shape == (32064, 16)
    assert torch.equal(table[:32000], state["model.embed_tokens.weight"])
    assert torch.allclose(table[32000:], state["model.embed_tokens.weight"].mean(0), atol=1e-6)
    assert torch.equal(loaded["model.image_newline"], state["model.image_newline"])
    config = json.loads((out / "config.json").read_text())
    assert (config["model_type"], config["image_grid_pinpoints"]) == ("llava_next", [[8, 16], [16, 8]])
    assert config["text_config"]["num_attention_heads"] == 2
    assert (out / "tokenizer_config.json").exists()
    convert(out, back := tmp_path / "back", layout="llava", reverse=True)
    found = read_weights(back)
    assert found.keys() == state.keys()
    assert all(torch.equal(x, state[name]) for name, x in found.items())
    assert not (back / "config.json").exists()


def test_llava_1_5_and_its_rows_as_they_are(tmp_path: Path, llava: Path) -> None:
    state = {name: x for name, x in read_weights(llava).items() if name != "model.image_newline"}
    save_file(state, (source := tmp_path / "old.safetensors"))
    (tmp_path / "config.json").write_text(json.dumps(_CONFIG))
    made = convert(source, out := tmp_path / "out", rows=32000, dtype=torch.bfloat16)
    assert not made.notes
    loaded = _loaded(LlavaForConditionalGeneration, out)
    assert {x.dtype for x in loaded.values()} == {torch.bfloat16}
    assert loaded["lm_head.weight"].shape == (32000, 16)


def test_towers_alone(tmp_path: Path, llava: Path) -> None:
    state = read_weights(llava)
    for part, kind, file in (("language", LlamaForCausalLM, "l"), ("low", CLIPVisionModel, "c")):
        (source := tmp_path / file).mkdir()
        save_file({name: x.clone() for name, x in adapt(part, state).items()}, source / "model.safetensors")
        (source / "config.json").write_text(json.dumps(_CONFIG))
        convert(source, out := tmp_path / f"{file}-out")
        assert _loaded(kind, out).keys() == adapt(part, state).keys()


def test_a_projector_alone_has_no_configuration(tmp_path: Path, llava: Path) -> None:
    state = {name: x for name, x in read_weights(llava).items() if "mm_projector" in name}
    write_torch(state, source := tmp_path / "mm_projector.bin")
    made = convert(source, out := tmp_path / "out")
    assert made.notes == ["no config.json: the checkpoint lacks language, low"]
    assert sorted(read_weights(out)) == [
        f"multi_modal_projector.linear_{n}.{x}" for n in (1, 2) for x in ("bias", "weight")
    ]


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("image_encoder.blocks.2.mlp.lin1.bias", r"missing vision_encoder\.layers\.2\.mlp\.lin1\.bias"),
        ("image_encoder.pos_embed", r"vision_encoder\.pos_embed should be among"),
    ],
)
def test_an_incomplete_checkpoint_is_refused_and_nothing_written(tmp_path: Path, lost: str, told: str) -> None:
    state = checkpoints.weights(checkpoints.sam(**checkpoints.TINY_SAM))
    state.pop(lost)
    write_torch(state, source := tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match=told):
        convert(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sam.pth"]


def test_wrong_shapes_are_told(tmp_path: Path) -> None:
    state = checkpoints.weights(checkpoints.timm(**_TRUNK))
    state["stages.1.blocks.1.norm.weight"] = torch.ones(7)
    write_torch(state, source := tmp_path / "timm.pth")
    with pytest.raises(CheckpointError, match=r"layers\.1\.layernorm\.weight should be \(6,\), got \(7,\)"):
        convert(source, tmp_path / "out")


def test_an_interrupted_conversion_leaves_nothing(tmp_path: Path) -> None:
    write_torch(checkpoints.weights(checkpoints.timm(**_TRUNK)), source := tmp_path / "timm.pth")

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out", done=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["timm.pth"]


def test_contradictions_are_refused(tmp_path: Path, llava: Path) -> None:
    state = checkpoints.weights(checkpoints.timm(**_TRUNK))
    write_torch(state, source := tmp_path / "timm.pth")
    with pytest.raises(ConfigError, match="same place"):
        convert(source, source)
    with pytest.raises(ConfigError, match="give a folder"):
        convert(source, tmp_path / "out.pth")
    with pytest.raises(ConfigError, match=f"one of {', '.join(reversible())}, got auto"):
        convert(source, tmp_path / "out", reverse=True)
    with pytest.raises(CheckpointError, match=r"stem\.0\.weight"):
        convert(source, tmp_path / "out", layout="sam")
    with pytest.raises(CheckpointError, match=r"high\.embeddings"):
        convert(source, tmp_path / "out", layout="sam", reverse=True)
    (llava / "config.json").unlink()
    with pytest.raises(CheckpointError, match="attention heads cannot be told"):
        convert(llava, tmp_path / "out")
    lisa = checkpoints.lisa(language=_LANGUAGE, seen=8, marks=checkpoints.TINY_SAM)
    write_torch(checkpoints.weights(lisa), source := tmp_path / "lisa.bin")
    with pytest.raises(ConfigError, match="--clip"):
        convert(source, tmp_path / "out")


def test_the_command(tmp_path: Path) -> None:
    write_torch(checkpoints.weights(checkpoints.timm(**_TRUNK, classes=3)), source := tmp_path / "timm.pth")
    run = CliRunner().invoke(app, ["convert", str(source), "--to", str(out := tmp_path / "out"), "--dtype", "float16"])
    assert run.exit_code == 0, run.output
    assert "timm-convnext → convnext" in run.output
    assert "left out 2: a classifier's head; we take maps, not classes" in run.output
    assert {x.dtype for x in read_weights(out).values()} == {torch.float16}
    run = CliRunner().invoke(app, ["convert", str(source), "--to", str(out), "--layout", "sammy"])
    assert run.exit_code == 2
    assert "got 'sammy'" in run.output
    run = CliRunner().invoke(app, ["convert", str(source), "--to", str(out), "--clip", str(out), "--reverse"])
    assert run.exit_code == 2
    assert "--clip makes a model of a LISA" in run.output
