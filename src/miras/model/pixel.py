"""Pixel encoders behind two calls: `encode` an image once, `decode` any number of queries on it (eq. 5 and 7)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from miras.model.decoder import MaskDecoder, sine_positions

__all__ = ["PixelFeatures", "Pyramid", "PyramidPixelEncoder"]


@dataclass
class PixelFeatures:
    """What a pixel encoder keeps of some images."""

    embedding: Tensor
    """(I, Q, h, w) the paper's E_seg, one vector per pixel of a coarse grid."""
    fine: Tensor
    """(I, F, 2h, 2w) finer features that skip the transformer."""
    finest: Tensor | None = None
    """(I, F', 4h, 4w) still finer ones, where the decoder takes any."""


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.GELU())


class Pyramid(nn.Module):
    """Features of strides 4 to 32 → E_seg at stride 8 and a skip at stride 4.

    Attention over the coarsest map gives every pixel sight of the whole image, which a small convolutional
    backbone lacks; the rest is a feature pyramid (Lin et al. 2017).
    """

    def __init__(self, *, channels: tuple[int, ...], width: int, query_width: int, fine_width: int, depth: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Conv2d(n, out, 1) for n, out in zip(channels, (fine_width, width, width, 2 * width), strict=True)
        )
        self.context = nn.ModuleList(
            nn.TransformerEncoderLayer(
                2 * width, 8, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.down = nn.ModuleList(nn.Conv2d(n, out, 1) for n, out in ((2 * width, width), (width, fine_width)))
        self.smooth16, self.smooth8, self.smooth4 = (
            _block(width),
            nn.Sequential(_block(width), _block(width)),
            _block(fine_width),
        )
        self.out = nn.Conv2d(width, query_width, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> PixelFeatures:
        """Maps (I, C, h, w) at strides 4, 8, 16, 32 → features."""
        x4, x8, x16, x32 = (layer(x) for layer, x in zip(self.lateral, maps, strict=True))
        height, width = x32.shape[-2:]
        cells = x32.flatten(2).transpose(1, 2)
        cells = cells + sine_positions(height, width, cells.shape[-1], like=cells)
        for layer in self.context:
            cells = layer(cells)
        x32 = self.down[0](cells.transpose(1, 2).unflatten(2, (height, width)))
        x16 = self.smooth16(x16 + _twice(x32))
        x8 = self.smooth8(x8 + _twice(x16))
        x4 = self.smooth4(x4 + _twice(self.down[1](x8)))
        return PixelFeatures(self.out(x8), x4)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear")


class PyramidPixelEncoder(nn.Module):
    """Nano's pixel encoder: a pyramid over the high-resolution encoder's own maps, and SAM's mask decoder."""

    def __init__(self, *, pyramid: Pyramid, mask_decoder: MaskDecoder) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.mask_decoder = mask_decoder

    def encode(self, pixels: Tensor, maps: tuple[Tensor, ...]) -> PixelFeatures:
        """High-resolution view (I, 3, h, w) and its maps → features; only the maps are needed here."""
        return self.pyramid(maps)

    def decode(self, query: Tensor, features: PixelFeatures, image: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (S, Q) and which image each is about (S,) → logits (S, h, w) and IoU estimates (S,)."""
        logits, iou = self.mask_decoder(query, features.embedding, features.fine, image)
        return logits.float(), iou.float()
