"""Full-size parts against transformers: equal weights give equal image tokens, logits and masks."""

from typing import Any

import pytest
import torch
from tests.model import published
from tests.model.published import stir
from torch import Tensor, nn

from miras.data.images import MEAN, STD
from miras.model.backbones import COLOURS, recolour
from miras.model.build import build, build_processor
from miras.model.configuration import preset
from miras.model.miras import Miras
from miras.model.parts import build_encoder, build_pixel_encoder

SQUARE = torch.tensor([[1.0, 1.0]])


def picture(size: int, seed: int = 5) -> Tensor:
    """(1, 3, size, size) colours in 0..1."""
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed))


def normalised(colours: Tensor, by: str = "imagenet") -> Tensor:
    mean, std = (torch.tensor(v)[:, None, None] for v in COLOURS[by])
    return (colours - mean) / std


def rebuilt(name: str, **changes: Any) -> Miras:
    config = preset(name, lora={}, fusion="none", **changes)
    return build(config, build_processor(config)).eval()


def theirs_to_ours(model: Any, oracle: Any, projector: tuple[str, ...]) -> None:
    """Copy an oracle's tower, projector and language model, each module to its place."""
    model.vision.low.model.load_state_dict(oracle.model.vision_tower.state_dict())
    layers = [layer for layer in model.vision.projector if not isinstance(layer, nn.GELU)]
    for layer, named in zip(layers, projector, strict=True):
        layer.load_state_dict(getattr(oracle.model.multi_modal_projector, named).state_dict())
    model.language.lm.get_decoder().load_state_dict(oracle.model.language_model.state_dict())
    model.language.lm.get_output_embeddings().load_state_dict(oracle.lm_head.state_dict())


def check_conversation(model: Miras, oracle: Any, pixels: Tensor, side: int) -> None:
    """The same ids give the same image tokens and the same logits at every place."""
    colours = picture(pixels.shape[-1])
    high = torch.zeros(1, 3, model.config.views().high, model.config.views().high)
    ours = model.see(normalised(colours), high, SQUARE).tokens
    projected = oracle.model.get_image_features(pixel_values=pixels).pooler_output
    assert torch.allclose(ours, torch.stack(list(projected)), atol=1e-5)

    image, theirs = model.processor.encoder.image_id, oracle.config.image_token_id
    ids = torch.tensor([[1, 9, *[image] * side**2, 30, 31, 7, 3]])
    embeddings = model.embed(ids, ours, torch.ones(1, side**2, dtype=torch.bool), torch.tensor([0]))
    logits = model.language.logits(model.language.states(embeddings, torch.ones_like(ids)))
    expected = oracle(input_ids=torch.where(ids == image, theirs, ids), pixel_values=pixels).logits
    assert torch.allclose(logits[..., : expected.shape[-1]], expected, atol=1e-4)
    assert expected.std() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("name", ["tiny-7b", "tiny-lisa-7b"])
def test_llava_gives_the_same_tokens_and_logits(name: str) -> None:
    model = rebuilt(name, projector="mlp")
    oracle = published.llava(model.config)
    stir(oracle, 1)
    theirs_to_ours(model, oracle, ("linear_1", "linear_2"))
    check_conversation(model, oracle, normalised(picture(28), "clip"), 2)


@torch.no_grad()
def test_internvl_gives_the_same_tokens_and_logits() -> None:
    model = rebuilt("tiny-4b")
    oracle = published.internvl(model.config)
    stir(oracle, 2)
    theirs_to_ours(model, oracle, ("layer_norm", "linear_1", "linear_2"))
    check_conversation(model, oracle, normalised(picture(56)), 2)


def sam_pair(name: str) -> tuple[Any, Any, Any]:
    """Our pixel encoder, the oracle with the same weights, and the high-resolution encoder that they may share."""
    config = preset(name)
    high = build_encoder(config.high) if config.pixel["kind"] == "sam2" else None
    pixel = build_pixel_encoder(config, high.channels if high else ()).eval()
    oracle: Any = published.sam2(config) if high else published.sam(config)
    stir(oracle, 3)
    pixel.mask_decoder.load_state_dict(oracle.mask_decoder.state_dict())
    pixel.positions.load_state_dict(oracle.shared_image_embedding.state_dict())
    pixel.no_mask.data = oracle.prompt_encoder.no_mask_embed.weight[0]
    if high:
        high.model.load_state_dict(oracle.vision_encoder.backbone.state_dict())
        pixel.neck.load_state_dict(oracle.vision_encoder.neck.state_dict())
        pixel.no_memory.data = oracle.no_memory_embedding[0, 0]
        high.eval()
    else:
        pixel.encoder.load_state_dict(oracle.vision_encoder.state_dict())
    return pixel, oracle, high


@torch.no_grad()
@pytest.mark.parametrize("name", ["tiny-7b", "tiny-4b"])
def test_sam_marks_the_same_pixels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle's whole forward pass runs, its prompt encoder gives our query in place of points."""
    pixel, oracle, high = sam_pair(name)
    view, query = normalised(picture(64)), torch.randn(2, 32, generator=torch.Generator().manual_seed(6))
    maps = high(view) if high else ()
    logits, iou = pixel.decode(query, pixel.encode(view, maps), torch.tensor([0, 0]))
    for index in range(2):
        dense = oracle.prompt_encoder.no_mask_embed.weight[0][None, :, None, None].expand(1, -1, 4, 4)
        monkeypatch.setattr(
            oracle.prompt_encoder, "forward", lambda i=index, dense=dense, **_: (query[i][None, None, None], dense)
        )
        points = torch.zeros(1, 1, 1, 2)
        expected = oracle(pixel_values=view, input_points=points, multimask_output=False)
        assert torch.allclose(logits[index], expected.pred_masks[0, 0, 0], atol=1e-4)
        assert torch.allclose(iou[index], expected.iou_scores[0, 0, 0], atol=1e-5)
        assert expected.pred_masks.std() > 0.1


def test_sam2_shares_the_high_resolution_encoder() -> None:
    model = rebuilt("tiny-4b")
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert sum("patch_embed.projection.weight" in name for name in names) == 1
    assert any(name.startswith("vision.high.model.patch_embed") for name in names)
    assert model.config.views().pixel is None


@pytest.mark.parametrize("colours", sorted(COLOURS))
def test_colours_are_normalised_as_the_tower_was_trained(colours: str) -> None:
    rgb = picture(4)
    assert torch.allclose(recolour(normalised(rgb), colours, torch.float32), normalised(rgb, colours), atol=1e-5)
    assert recolour(normalised(rgb), colours, torch.bfloat16).dtype == torch.bfloat16


def test_sams_own_numbers_are_imagenets() -> None:
    """SAM's and SAM 2's mean and deviation, which SAM gives in 0..255."""
    assert [round(255 * mean, 3) for mean in MEAN] == [123.675, 116.28, 103.53]
    assert [round(255 * std, 3) for std in STD] == [58.395, 57.12, 57.375]


@torch.no_grad()
@pytest.mark.parametrize("name", ["tiny-7b", "tiny-4b"])
def test_half_precision_towers_give_maps_in_the_views_precision(name: str) -> None:
    config = preset(name)
    for part in (config.low, config.high):
        tower = build_encoder(part).eval()
        stir(tower, 4)
        whole = tower(view := normalised(picture(part["size"])))
        half = tower.to(torch.bfloat16)(view)
        assert all(map_.dtype == torch.float32 for map_ in half)
        near = [(a - b).norm() / a.norm() for a, b in zip(whole, half, strict=True)]
        assert max(near) < 0.1
