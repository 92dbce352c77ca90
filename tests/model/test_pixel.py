"""The pixel encoders behind `encode` and `decode`: nano's pyramid, and SAM small."""

import pytest
import torch
from torch import Tensor
from transformers import SamMaskDecoderConfig, SamVisionConfig
from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPositionalEmbedding, SamVisionEncoder

from miras.model.decoder import MaskDecoder
from miras.model.pixel import Pyramid, PyramidPixelEncoder
from miras.model.sam import SamPixelEncoder


@pytest.fixture(scope="module")
def pyramid() -> PyramidPixelEncoder:
    torch.manual_seed(0)
    return PyramidPixelEncoder(
        pyramid=Pyramid(channels=(4, 6, 8, 10), width=16, query_width=12, fine_width=8, depth=1),
        mask_decoder=MaskDecoder(query_width=12, width=8, fine_width=8, heads=2, depth=1),
    ).eval()


@pytest.fixture(scope="module")
def sam() -> SamPixelEncoder:
    torch.manual_seed(0)
    vision = SamVisionConfig(
        image_size=64, patch_size=16, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, output_channels=32,
        global_attn_indexes=[1], window_size=2, mlp_dim=32,
    )  # fmt: skip
    decoder = SamMaskDecoderConfig(hidden_size=32, num_attention_heads=2, mlp_dim=32, iou_head_hidden_dim=16)
    for config in (vision, decoder):
        config._attn_implementation = "sdpa"
    vision.num_pos_feats = 16
    return SamPixelEncoder(
        encoder=SamVisionEncoder(vision), decoder=SamMaskDecoder(decoder), positions=SamPositionalEmbedding(vision)
    ).eval()


def maps(images: int, size: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(images, n, size // s, size // s, generator=generator)
        for n, s in zip((4, 6, 8, 10), (4, 8, 16, 32), strict=True)
    )


@torch.no_grad()
def test_the_pyramid_gives_strides_8_and_4(pyramid: PyramidPixelEncoder) -> None:
    features = pyramid.encode(torch.empty(0), maps(2, 64))
    assert features.embedding.shape == (2, 12, 8, 8) and features.fine.shape == (2, 8, 16, 16)
    alone = pyramid.encode(torch.empty(0), tuple(x[1:] for x in maps(2, 64)))
    assert torch.allclose(alone.embedding, features.embedding[1:], atol=1e-5)


@torch.no_grad()
def test_every_pixel_sees_the_whole_image(pyramid: PyramidPixelEncoder) -> None:
    before, changed = maps(1, 128), maps(1, 128)
    changed[3][..., -1, -1] += 10
    moved = pyramid.encode(torch.empty(0), before).embedding - pyramid.encode(torch.empty(0), changed).embedding
    assert moved[..., 0, 0].abs().max() > 1e-5


@torch.no_grad()
def test_masks_come_in_float32_whatever_goes_in(pyramid: PyramidPixelEncoder, sam: SamPixelEncoder) -> None:
    features = pyramid.encode(torch.empty(0), maps(1, 64))
    logits, iou = pyramid.decode(torch.randn(2, 12), features, torch.tensor([0, 0]))
    assert logits.shape == (2, 16, 16) and logits.dtype == iou.dtype == torch.float32


@torch.no_grad()
def test_sam_answers_each_query_on_its_image(sam: SamPixelEncoder) -> None:
    pixels, queries, image = torch.randn(2, 3, 64, 64), torch.randn(3, 32), torch.tensor([1, 0, 1])
    features = sam.encode(pixels, ())
    assert features.embedding.shape == (2, 32, 4, 4)
    logits, iou = sam.decode(queries, features, image)
    assert logits.shape == (3, 16, 16) and iou.shape == (3,)
    for index in range(3):
        alone = sam.decode(queries[index : index + 1], sam.encode(pixels[image[index]][None], ()), torch.tensor([0]))
        assert torch.allclose(alone[0][0], logits[index], atol=1e-4)
    assert not torch.allclose(logits[0], logits[2])


def test_sam_takes_gradients_through_the_query(sam: SamPixelEncoder) -> None:
    features = sam.encode(torch.randn(1, 3, 64, 64), ())
    query = torch.randn(1, 32, requires_grad=True)
    logits, iou = sam.decode(query, features, torch.tensor([0]))
    (logits.sum() + iou.sum()).backward()
    assert query.grad is not None and query.grad.any()
    assert any("iou_prediction_head" in name for name in sam.state_dict())
