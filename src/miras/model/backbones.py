"""Pretrained vision towers as backbones: a view of the canvas in, feature maps out.

The canvas is normalised by ImageNet's mean and deviation of colours; a tower that was trained with others gets its
own. Its weights may be kept in half precision: pixels are cast on the way in and maps on the way out.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from miras.data.images import MEAN, STD

if TYPE_CHECKING:
    from transformers import CLIPVisionModel, ConvNextBackbone, InternVLVisionModel
    from transformers.models.sam2.modeling_sam2 import Sam2HieraDetModel

__all__ = ["COLOURS", "ClipEncoder", "ConvNextEncoder", "HieraEncoder", "InternVitEncoder", "recolour"]

COLOURS = {
    "imagenet": (MEAN, STD),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
"""Mean and deviation of each channel in 0..1, by which a tower's training images were normalised."""


def recolour(pixels: Tensor, colours: str, dtype: torch.dtype) -> Tensor:
    """Canvas pixels (I, 3, h, w) → the same normalised by other means and deviations, in the tower's dtype."""
    if colours == "imagenet":
        return pixels.to(dtype)
    old_mean, old_std, mean, std = (
        torch.tensor(channel, device=pixels.device)[:, None, None] for channel in (MEAN, STD, *COLOURS[colours])
    )
    return ((pixels.float() * old_std + old_mean - mean) / std).to(dtype)


class ClipEncoder(nn.Module):
    """A CLIP vision tower as a backbone with one map: the patch states of an inner layer (Radford et al. 2021)."""

    def __init__(self, *, model: "CLIPVisionModel", layer: int, colours: str) -> None:
        super().__init__()
        self.model = model
        self.layer, self.colours = layer, colours
        self.channels = (model.config.hidden_size,)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(I, 3, h, w) canvas view → one map (I, C, h/14, w/14)."""
        coloured = recolour(pixels, self.colours, self.model.dtype)
        states: Any = self.model(coloured, output_hidden_states=True).hidden_states
        patches = states[self.layer][:, 1:]  # the first state is the class token
        return (_as_map(patches).to(pixels.dtype),)


class InternVitEncoder(nn.Module):
    """InternViT as a backbone with one map, in which each square of patches is one cell (Chen et al. 2024).

    With `shuffle` 2 four patches of C channels make one cell of 4 C, in the order that InternVL's projector expects.
    """

    def __init__(self, *, model: "InternVLVisionModel", shuffle: int, colours: str) -> None:
        super().__init__()
        self.model = model
        self.shuffle, self.colours = shuffle, colours
        self.channels = (model.config.hidden_size * shuffle**2,)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(I, 3, h, w) canvas view → one map (I, C · shuffle², h/14/shuffle, w/14/shuffle)."""
        states: Tensor = self.model(recolour(pixels, self.colours, self.model.dtype)).last_hidden_state
        grid = _as_map(states[:, 1:]).unflatten(3, (-1, self.shuffle)).unflatten(2, (-1, self.shuffle))
        cells = grid.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)  # a cell's rows vary slowest, then its columns
        return (cells.to(pixels.dtype),)


class ConvNextEncoder(nn.Module):
    """A ConvNeXt as a backbone with four maps, at strides 4 to 32 (Liu et al. 2022)."""

    def __init__(self, *, model: "ConvNextBackbone", colours: str) -> None:
        super().__init__()
        self.model = model
        self.colours = colours
        self.channels = tuple(model.config.hidden_sizes or ())

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(I, 3, h, w) canvas view → maps (I, C, h/s, w/s)."""
        maps = self.model(recolour(pixels, self.colours, self.model.dtype)).feature_maps
        return tuple(map_.to(pixels.dtype) for map_ in maps)


class HieraEncoder(nn.Module):
    """SAM 2's Hiera as a backbone with four maps, at strides 4 to 32 (Ravi et al. 2024).

    `Sam2PixelEncoder` works on the same maps.
    """

    def __init__(self, *, model: "Sam2HieraDetModel", colours: str) -> None:
        super().__init__()
        self.model = model
        self.colours = colours
        self.channels = tuple(model.config.embed_dim_per_stage or ())

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(I, 3, h, w) canvas view → maps (I, C, h/s, w/s)."""
        maps = self.model(recolour(pixels, self.colours, self.model.dtype)).intermediate_hidden_states
        return tuple(map_.permute(0, 3, 1, 2).to(pixels.dtype) for map_ in maps)


def _as_map(patches: Tensor) -> Tensor:
    """Patches of a square image (I, n², C) → (I, C, n, n)."""
    side = int(patches.shape[1] ** 0.5)
    return patches.transpose(1, 2).unflatten(2, (side, side))
