"""True names: every layout is known by them, both directions are inverse, true sizes are those of transformers."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tests.model.convert import checkpoints
from torch import Tensor
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextModel,
    LlamaConfig,
    LlamaForCausalLM,
    Sam2Config,
    Sam2Model,
    SamConfig,
    SamModel,
)

from miras.errors import CheckpointError, ConfigError
from miras.model.convert.layouts import LAYOUTS, find, recognise
from miras.model.convert.part import adapt
from miras.model.convert.rename import rename
from miras.model.convert.shapes import check, configuration

_SMALL: dict[str, Any] = {"language": {"width": 8, "inner": 12, "depth": 2, "rows": 11}}
_SMALL |= {"vision": {"width": 8, "inner": 12, "depth": 2, "patch": 4, "size": 8}}
_TRUNK: dict[str, Any] = {"depths": (1, 2, 1), "widths": (4, 6, 8)}

SMALL: dict[str, dict[str, tuple[int, ...]]] = {
    "openclip-convnext": checkpoints.openclip(**_TRUNK, text=4, blocks=1),
    "timm-convnext": checkpoints.timm(**_TRUNK, classes=3),
    "sam": checkpoints.sam(**checkpoints.TINY_SAM),
    "openai-clip": checkpoints.openai_clip(width=8, depth=2, patch=4, size=8, text=4, blocks=1),
    "sam2": checkpoints.sam2(width=8, inner=16),
    "llama": checkpoints.llama(**_SMALL["language"]),
    "llava": checkpoints.llava(**_SMALL),
    "lisa": checkpoints.lisa(language=_SMALL["language"], seen=8, marks=checkpoints.TINY_SAM),
}


def _empty(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _meta(make: Callable[[], Any]) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(make().state_dict())


@pytest.mark.parametrize("name", SMALL)
def test_the_layout_is_known_by_its_names(name: str) -> None:
    assert recognise(SMALL[name]).name == name


@pytest.mark.parametrize("name", SMALL)
def test_both_directions_are_inverse_to_the_bit(name: str) -> None:
    state, rules = checkpoints.weights(SMALL[name]), find(name).rules
    there = rename(state, rules)
    back = rename(there.state, rules, reverse=True).state
    assert back.keys() | there.dropped.keys() == state.keys()
    assert not back.keys() & there.dropped.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in back.items())


@pytest.mark.parametrize("name", [name for name in SMALL if find(name).hub])
def test_through_transformers_layout_and_back_to_the_bit(name: str) -> None:
    state, rules = checkpoints.weights(SMALL[name]), find(name).rules
    common = rename(state, rules)
    hub = find(find(name).hub)
    written = rename(common.state, hub.rules, reverse=True).state
    assert recognise(written).hub == hub.name
    back = rename(rename(written, hub.rules).state, rules, reverse=True).state
    assert back.keys() == state.keys() - common.dropped.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in back.items())


@pytest.mark.parametrize("size", checkpoints.SAM)
def test_sam_at_true_size_is_transformers(size: str) -> None:
    kind = checkpoints.SAM[size]
    found = adapt("pixel", _empty(checkpoints.sam(**kind)))
    vision = {
        "hidden_size": kind["width"], "num_hidden_layers": kind["depth"], "num_attention_heads": kind["heads"],
        "global_attn_indexes": list(kind["far"]),
    }  # fmt: skip
    settings: Any = {"vision_config": vision, "prompt_encoder_config": {}, "mask_decoder_config": {}}
    assert _shapes(found) == _shapes(_meta(lambda: SamModel(SamConfig(**settings))))
    told: Any = configuration("pixel", found, {})
    assert told.vision_config.global_attn_indexes == list(kind["far"])
    assert (told.vision_config.window_size, told.vision_config.num_attention_heads) == (14, kind["heads"])
    check("pixel", found, told)


def test_sam2_at_true_size_is_transformers() -> None:
    found = adapt("pixel", _empty(checkpoints.sam2()))
    wanted = _shapes(_meta(lambda: Sam2Model(Sam2Config())))
    assert _shapes(found) == wanted
    trunk = adapt("high", _empty(checkpoints.sam2()))
    assert trunk.keys() == {name for name in wanted if name.startswith("vision_encoder.")}


@pytest.mark.parametrize("name", ["openclip", "timm"])
def test_convnext_at_true_size_is_transformers(name: str) -> None:
    found = adapt("high", _empty(getattr(checkpoints, name)(**checkpoints.LARGE)))
    sizes: Any = {"hidden_sizes": [192, 384, 768, 1536], "depths": [3, 3, 27, 3]}
    assert _shapes(found) == _shapes(_meta(lambda: ConvNextModel(ConvNextConfig(**sizes))))
    told: Any = configuration("high", found, {})
    assert (told.hidden_sizes, told.depths) == (sizes["hidden_sizes"], sizes["depths"])


def test_llava_at_true_size_is_vicuna_and_clip() -> None:
    state = _empty(checkpoints.llava())
    sizes: Any = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "patch_size": 14}
    clip = CLIPVisionConfig(**sizes, image_size=336, num_attention_heads=16)
    assert _shapes(adapt("low", state)) == _shapes(_meta(lambda: CLIPVisionModel(clip)))
    assert clip_sizes(configuration("low", adapt("low", state), {})) == clip_sizes(clip)
    assert _shapes(adapt("language", state)) == _shapes(_meta(lambda: LlamaForCausalLM(LlamaConfig())))
    padded = adapt("language", state, rows=32064)
    assert _shapes(padded) == _shapes(_meta(lambda: LlamaForCausalLM(LlamaConfig(vocab_size=32064))))
    assert _shapes(adapt("projector", state)) == {
        "multi_modal_projector.linear_1.weight": (4096, 1024), "multi_modal_projector.linear_1.bias": (4096,),
        "multi_modal_projector.linear_2.weight": (4096, 4096), "multi_modal_projector.linear_2.bias": (4096,),
    }  # fmt: skip
    assert adapt("vision_projector", state).keys() == adapt("projector", state).keys()


def test_openais_clip_at_true_size_is_transformers() -> None:
    found = adapt("low", _empty(checkpoints.openai_clip()))
    assert _shapes(found) == checkpoints.clip_vision(size=224)


def clip_sizes(config: Any) -> list[int]:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "patch_size", "image_size")
    return [getattr(config, name) for name in names]


def test_lisa_at_true_size_is_llama_and_sam() -> None:
    state = _empty(checkpoints.lisa())
    assert _shapes(adapt("language", state)) == _shapes(_meta(lambda: LlamaForCausalLM(LlamaConfig(vocab_size=32004))))
    assert _shapes(adapt("pixel", state)) == _shapes(adapt("pixel", _empty(checkpoints.sam(**checkpoints.SAM["h"]))))
    assert _shapes(adapt("projector", state))["multi_modal_projector.linear_1.weight"] == (4096, 1024)
    assert len(adapt("projector", state)) == 2
    assert _shapes(adapt("mask_projector", state))["2.weight"] == (256, 4096)


def test_what_transformers_itself_has_is_known() -> None:
    small: Any = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    whole = _meta(lambda: CLIPModel(CLIPConfig(vision_config=small, text_config=small)))
    tower = _meta(lambda: CLIPVisionModel(CLIPVisionConfig(**small)))
    assert {name: x.shape for name, x in adapt("low", whole).items()} == {name: x.shape for name, x in tower.items()}
    assert adapt("low", tower).keys() == tower.keys()
    sizes: Any = {"hidden_sizes": [4, 4], "depths": [1, 1], "num_stages": 2}
    model = _meta(lambda: ConvNextModel(ConvNextConfig(**sizes)))
    classifier = _meta(lambda: ConvNextForImageClassification(ConvNextConfig(**sizes)))
    assert adapt("high", classifier).keys() == adapt("high", model).keys() == model.keys()
    assert recognise(classifier).name == "convnext-classifier"


def test_every_rule_has_the_same_places_on_both_sides() -> None:
    for layout in LAYOUTS:
        for rule in layout.rules:
            places = [sorted(part.split("}")[0] for part in x.split("{")[1:]) for x in (*rule.theirs, *rule.ours)]
            assert all(found == places[0] for found in places), f"{layout.name}: {rule.theirs} and {rule.ours}"
            assert bool(rule.theirs and rule.ours) != bool(rule.why), f"{layout.name}: {rule.theirs} needs a reason"


def test_an_unknown_checkpoint_lists_layouts_and_names() -> None:
    names = [*SMALL["sam"], "image_encoder.extra"]
    with pytest.raises(CheckpointError, match=r"\(sam lacks 1: image_encoder\.extra; .*; nor .*openclip-convnext"):
        recognise(names)
    with pytest.raises(ConfigError, match="got 'sammy'"):
        find("sammy")


def test_a_part_that_is_not_there_is_told() -> None:
    state = _empty(SMALL["sam"])
    with pytest.raises(CheckpointError, match=r"high \(ConvNextModel, .* has pixel"):
        adapt("high", state)
    with pytest.raises(CheckpointError, match="got 'eyes'"):
        adapt("eyes", state)
