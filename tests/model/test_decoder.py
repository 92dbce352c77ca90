"""SAM's mask decoder at the sizes of the tiny model."""

import pytest
import torch
from torch import Tensor

from miras.model.decoder import Attention, MaskDecoder, sine_positions


@pytest.fixture
def decoder() -> MaskDecoder:
    torch.manual_seed(0)
    return MaskDecoder(query_width=16, width=8, fine_width=4, heads=2, depth=2).eval()


@pytest.fixture
def features() -> tuple[Tensor, Tensor]:
    """Two images at 6 x 5 and 12 x 10 cells."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 16, 6, 5, generator=generator), torch.randn(2, 4, 12, 10, generator=generator)


def test_masks_are_twice_as_fine_as_the_features(decoder: MaskDecoder, features: tuple[Tensor, Tensor]) -> None:
    logits, iou = decoder(torch.randn(3, 16), *features, torch.tensor([0, 1, 1]))
    assert logits.shape == (3, 12, 10) and iou.shape == (3,)
    assert ((iou > 0) & (iou < 1)).all()


@torch.no_grad()
def test_every_query_reads_its_own_image_alone(decoder: MaskDecoder, features: tuple[Tensor, Tensor]) -> None:
    queries, image = torch.randn(3, 16), torch.tensor([1, 0, 1])
    logits, iou = decoder(queries, *features, image)
    for index in range(3):
        one = slice(int(image[index]), int(image[index]) + 1)
        alone = decoder(queries[index : index + 1], *(f[one] for f in features), torch.tensor([0]))
        assert torch.allclose(alone[0][0], logits[index], atol=1e-5) and torch.allclose(alone[1][0], iou[index])
    assert not torch.allclose(logits[0], logits[2])


def test_everything_of_it_is_trained(decoder: MaskDecoder, features: tuple[Tensor, Tensor]) -> None:
    logits, iou = decoder(torch.randn(2, 16), *features, torch.tensor([0, 1]))
    (logits.pow(2).sum() + iou.sum()).backward()
    still = [name for name, weight in decoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert all(name.endswith("k.bias") for name in still)  # softmax does not feel what all keys share
    assert any("iou_head" in name for name in decoder.state_dict())


@torch.no_grad()
def test_few_and_many_keys_give_the_same_attention() -> None:
    torch.manual_seed(0)
    attention = Attention(width=8, inner=4, heads=2)
    query, keys = torch.randn(1, 3, 8), torch.randn(1, 4, 8)
    few, many = attention(query, keys, keys), attention(query, keys.repeat(1, 2, 1), keys.repeat(1, 2, 1))
    assert torch.allclose(few, many, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 5)])
def test_positions_differ_from_cell_to_cell(height: int, width: int) -> None:
    encoded = sine_positions(height, width, 16, like=torch.zeros(0, dtype=torch.bfloat16))
    assert encoded.shape == (1, height * width, 16) and encoded.dtype == torch.bfloat16
    assert len(encoded[0].unique(dim=0)) == height * width
    rows = encoded[0].float().unflatten(0, (height, width))
    assert torch.equal(rows[:, 0, :8], rows[:, -1, :8]) and torch.equal(rows[0, :, 8:], rows[-1, :, 8:])


def test_a_place_in_a_photo_is_encoded_alike_whatever_the_shape_of_the_photo() -> None:
    content = torch.tensor([[1.0, 1.0], [0.5, 1.0]])  # a square photo, and one half as high
    square, wide = sine_positions(8, 8, 16, like=content, content=content).unflatten(1, (8, 8))
    coarse = sine_positions(4, 4, 16, like=content).unflatten(1, (4, 4))[0]
    assert torch.equal(wide[:, :, 8:], square[:, :, 8:])
    assert torch.allclose(wide[:4, 0, :8], coarse[:, 0, :8], atol=1e-5)
