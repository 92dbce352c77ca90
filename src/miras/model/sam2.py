"""SAM 2 as a pixel encoder over the high-resolution encoder's own maps, through transformers (Ravi et al. 2024)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from miras.model.pixel import PixelFeatures
from miras.model.sam import decode_query

if TYPE_CHECKING:
    from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder, Sam2PositionalEmbedding, Sam2VisionNeck

__all__ = ["Sam2PixelEncoder"]


class Sam2PixelEncoder(nn.Module):
    """SAM 2's neck and mask decoder for still images, prompted by one query per mask and nothing else.

    Its Hiera is the high-resolution encoder, so that it runs once. SAM 2 falls back on its other mask tokens where
    the first one's mask is unstable; here only the first is trained, and only it answers.
    """

    def __init__(
        self, *, neck: "Sam2VisionNeck", decoder: "Sam2MaskDecoder", positions: "Sam2PositionalEmbedding"
    ) -> None:
        super().__init__()
        self.neck = neck
        self.mask_decoder = decoder
        self.positions = positions
        self.no_mask = nn.Parameter(torch.zeros(decoder.hidden_size))
        """SAM's dense prompt for "no mask given"."""
        self.no_memory = nn.Parameter(torch.zeros(decoder.hidden_size))
        """SAM 2's mark of a frame that nothing is remembered of."""

    def encode(self, pixels: Tensor, maps: tuple[Tensor, ...]) -> PixelFeatures:
        """Hiera's maps (I, C, h, w) at strides 4 to 32 → features; the view itself is not needed again."""
        levels, _ = self.neck([map_.permute(0, 2, 3, 1) for map_ in maps])
        stride16, stride8, stride4 = levels[1:]  # the neck gives the coarsest first, of which only the next one asks
        return PixelFeatures(
            stride16 + self.no_memory[:, None, None],
            self.mask_decoder.conv_s1(stride8),
            self.mask_decoder.conv_s0(stride4),
        )

    def decode(self, query: Tensor, features: PixelFeatures, image: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (S, Q) and which image each is about (S,) → logits (S, h, w) and IoU estimates (S,)."""
        assert features.finest is not None
        finer = [level.index_select(0, image) for level in (features.finest, features.fine)]
        return decode_query(self, query, features, image, high_resolution_features=finer)
