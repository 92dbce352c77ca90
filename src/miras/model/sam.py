"""SAM as the pixel encoder of the full model, through transformers (Kirillov et al. 2023)."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from miras.model.pixel import PixelFeatures

if TYPE_CHECKING:
    from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPositionalEmbedding, SamVisionEncoder

__all__ = ["SamPixelEncoder", "decode_query"]


class SamPixelEncoder(nn.Module):
    """SAM's vision encoder and mask decoder, prompted by one query per mask and nothing else."""

    def __init__(
        self, *, encoder: "SamVisionEncoder", decoder: "SamMaskDecoder", positions: "SamPositionalEmbedding"
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.mask_decoder = decoder
        self.positions = positions
        self.no_mask = nn.Parameter(torch.zeros(decoder.hidden_size))
        """SAM's dense prompt for "no mask given"."""

    def encode(self, pixels: Tensor, maps: tuple[Tensor, ...]) -> PixelFeatures:
        """The canvas at SAM's size (I, 3, 1024, 1024) → features; the other encoder's maps are not needed."""
        embedding = self.encoder(pixels.to(self.encoder.dtype)).last_hidden_state.to(pixels.dtype)
        return PixelFeatures(embedding, embedding[:, :0])

    def decode(self, query: Tensor, features: PixelFeatures, image: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (S, Q) and which image each is about (S,) → logits (S, h, w) and IoU estimates (S,)."""
        return decode_query(self, query, features, image)


def decode_query(
    sam: Any, query: Tensor, features: PixelFeatures, image: Tensor, **further: Any
) -> tuple[Tensor, Tensor]:
    """The first mask of SAM's or SAM 2's decoder for each query alone, and its IoU estimate, as `decode` gives them."""
    embedding = features.embedding.index_select(0, image)
    where = _cell_positions(sam.positions, embedding)
    masks, iou, *_ = sam.mask_decoder(
        image_embeddings=embedding,
        image_positional_embeddings=where.expand(len(query), -1, -1, -1),
        sparse_prompt_embeddings=query[:, None, None],
        dense_prompt_embeddings=sam.no_mask[None, :, None, None].expand_as(embedding),
        multimask_output=False,
        **further,
    )
    return masks[:, 0, 0].float(), iou[:, 0, 0].float()


def _cell_positions(positions: Any, like: Tensor) -> Tensor:
    """SAM's own encoding of the cell centres of features (I, Q, h, w), as (1, Q, h, w)."""
    height, width = like.shape[-2:]
    rows, columns = ((torch.arange(n, device=like.device) + 0.5) / n for n in (height, width))
    grid = torch.stack([columns[None].expand(height, -1), rows[:, None].expand(-1, width)], -1)
    return positions(grid.to(like.dtype)).permute(2, 0, 1)[None]
