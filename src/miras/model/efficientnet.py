"""EfficientNet-Lite as a feature pyramid: four stages of plain convolutions with bias and ReLU6.

The Lite networks have no squeeze-and-excitation, and their batch norms are folded into the convolutions when
weights are loaded, so nothing here depends on batch statistics and any stage can be frozen or trained.

Inputs are normalised like every view of the canvas, with ImageNet's mean and deviation. The published weights
were trained on (pixel - 127) / 128; `fold` moves that difference into the stem, exactly wherever the stem's
window lies inside the image. At the bottom and right border the stem pads with 0, which is the mean colour here
(what the canvas is padded with, too) and was the grey 127 in training.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from math import ceil
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miras.data.images import MEAN, STD
from miras.errors import BatchError, CheckpointError, ConfigError

__all__ = ["EfficientNetLite", "efficientnet_lite", "fold"]

_STEM = 32
_EPSILON = 1e-3
_LAYOUT = {
    "stage4": ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24)),
    "stage8": ((2, 5, 2, 6, 40),),
    "stage16": ((3, 3, 2, 6, 80), (3, 5, 1, 6, 112)),
    "stage32": ((4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
}
"""Rows of (repeats, kernel, stride of the first block, expansion, channels) before scaling."""
_DROPPED = ("_conv_head.", "_bn1.", "_fc.")
"""Parts of the classifier, which has no use here."""


class _Conv(nn.Conv2d):
    """A convolution with bias whose output has ceil(size / stride) cells, padded as TensorFlow's SAME does."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]
        # with stride 2 and an even size, SAME puts the odd cell of padding at the bottom and right
        self.border = [] if stride == 1 else [kernel // 2 - 1, kernel // 2] * 2

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, self.border) if self.border else input)


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel, narrow; added to its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expand = _Conv(inputs, middle, 1) if expansion > 1 else None
        self.depthwise = _Conv(middle, middle, kernel, stride=stride, groups=middle)
        self.project = _Conv(middle, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        wide = features if self.expand is None else F.relu6(self.expand(features), inplace=True)
        narrow = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return features + narrow if self.residual else narrow


class EfficientNetLite(nn.Module):
    """The feature network of EfficientNet-Lite at any width and depth, without its classifier."""

    channels: tuple[int, int, int, int]
    """Channels of the features at strides 4, 8, 16 and 32."""
    stage4: nn.Sequential
    stage8: nn.Sequential
    stage16: nn.Sequential
    stage32: nn.Sequential

    def __init__(self, *, width: float, depth: float) -> None:
        super().__init__()
        before, made = _STEM, []
        for stage, rows in _LAYOUT.items():
            blocks: list[nn.Module] = []
            if stage == "stage4":
                blocks += [_Conv(3, _STEM, 3, stride=2), nn.ReLU6(inplace=True)]
            for row in rows:
                repeats, kernel, stride, expansion, outputs = row
                ends = row in (_LAYOUT["stage4"][0], _LAYOUT["stage32"][-1])  # Lite never deepens these
                outputs = _round_channels(outputs * width)
                for index in range(repeats if ends else ceil(repeats * depth)):
                    blocks.append(_Block(before, outputs, kernel, stride=1 if index else stride, expansion=expansion))
                    before = outputs
            setattr(self, stage, nn.Sequential(*blocks))
            made.append(before)
        self.channels = (made[0], made[1], made[2], made[3])

    def forward(self, pixels: Tensor, frozen_stages: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(I, 3, h, w) normalised → (I, C, h/s, w/s) for strides s = 4, 8, 16, 32.

        The first `frozen_stages` (0..4) run without gradient. Raises BatchError unless 32 divides h and w.
        """
        if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.shape[2] % 32 or pixels.shape[3] % 32:
            raise BatchError(
                f"pixels are (I, 3, h, w) with h and w divisible by 32, got {tuple(pixels.shape)}; resize them"
            )
        if not 0 <= frozen_stages <= len(_LAYOUT):
            raise ConfigError(f"frozen_stages counts stages from the input, 0 to {len(_LAYOUT)}, got {frozen_stages}")
        features, pyramid = pixels, []
        for index, stage in enumerate(_LAYOUT):
            with torch.no_grad() if index < frozen_stages else nullcontext():
                features = getattr(self, stage)(features)
            pyramid.append(features)
        return pyramid[0], pyramid[1], pyramid[2], pyramid[3]


def efficientnet_lite(size: Literal[0, 2]) -> EfficientNetLite:
    """EfficientNet-Lite0 or -Lite2 with random weights."""
    scales = {0: (1.0, 1.0), 2: (1.1, 1.2)}
    if size not in scales:
        raise ConfigError(f"EfficientNet-Lite comes in sizes {sorted(scales)}, got {size!r}; choose one of them")
    width, depth = scales[size]
    return EfficientNetLite(width=width, depth=depth)


def fold(state: Mapping[str, Tensor], net: EfficientNetLite) -> dict[str, Tensor]:
    """The published weights → the state dict of `net`, batch norms and input normalisation folded in.

    Raises CheckpointError for a name that is missing, left over or of another shape; the classifier is dropped.
    """
    left = {
        name: value
        for name, value in state.items()
        if not name.startswith(_DROPPED) and not name.endswith("num_batches_tracked")
    }
    folded: dict[str, Tensor] = {}
    for ours, conv, norm in _names(net):
        weight, bias = _fold_norm(left, conv, norm)
        if ours == "stage4.0":
            weight, bias = _take_imagenet_input(weight, bias)
        expected = net.get_parameter(f"{ours}.weight").shape
        if weight.shape != expected:
            raise CheckpointError(
                f"{conv}.weight should be {tuple(expected)}, got {tuple(weight.shape)}; is it another size?"
            )
        folded[f"{ours}.weight"], folded[f"{ours}.bias"] = weight.float().contiguous(), bias.float()
    if left:
        raise CheckpointError(
            f"{len(left)} weights have no place in the network, first {min(left)}; is it another size?"
        )
    return folded


def _round_channels(wanted: float) -> int:
    """The nearest multiple of 8, at least 8 and never more than a tenth below what was wanted."""
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def _names(net: EfficientNetLite) -> list[tuple[str, str, str]]:
    """(our module, published convolution, published batch norm) from the input on."""
    names = [("stage4.0", "_conv_stem", "_bn0")]
    blocks = [(name, module) for name, module in net.named_modules() if isinstance(module, _Block)]
    for index, (name, block) in enumerate(blocks):
        parts = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))
        for part, norm in parts:
            if getattr(block, part) is not None:
                names.append((f"{name}.{part}", f"_blocks.{index}._{part}_conv", f"_blocks.{index}.{norm}"))
    return names


def _fold_norm(left: dict[str, Tensor], conv: str, norm: str) -> tuple[Tensor, Tensor]:
    """Takes a convolution and its batch norm out of `left` → (weight, bias) in double precision."""
    wanted = [f"{conv}.weight", *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))]
    if missing := [name for name in wanted if name not in left]:
        raise CheckpointError(f"the weights lack {missing[0]}; expected the state dict of an EfficientNet-Lite")
    weight, gain, shift, mean, variance = (left.pop(name).double() for name in wanted)
    gain = gain / (variance + _EPSILON).sqrt()
    return weight * gain[:, None, None, None], shift - mean * gain


def _take_imagenet_input(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A stem for (pixel - 127) / 128 → the same stem for pixels normalised with ImageNet's mean and deviation."""
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (MEAN, STD))
    scale, shift = 255 * std / 128, (255 * mean - 127) / 128
    return weight * scale[:, None, None], bias + (weight * shift[:, None, None]).sum((1, 2, 3))
