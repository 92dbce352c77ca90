"""Stage 1's other half: image tokens learn to read like the words for what they show (paper §C.2).

"Align mask-based region features with language embeddings": every image token under an object's mask should lie
nearer to the input embedding of that object's name, and of its colour, than to any other name or colour. The frozen
language model then finds words it knows where it expects image tokens. This costs no pass through it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["RegionNaming", "coverage"]

_SHARPNESS = 12.0
"""Factor on cosines before the softmax."""
_COLOR_WEIGHT = 0.5
_LENGTH_WEIGHT = 0.1


def coverage(masks: Tensor, grid: int) -> Tensor:
    """Masks in the frame of the canvas (S, h, w), 0..1 → share of each grid cell that is covered (S, G), peak 1.

    Small objects count as much as large ones: each is scaled by the cell it covers most.
    """
    shares = F.adaptive_avg_pool2d(masks[:, None], grid).flatten(1)
    return shares / shares.amax(1, keepdim=True).clamp(min=1e-6)


class RegionNaming(nn.Module):
    """Compares image tokens with the word embeddings of a fixed list of names and a fixed list of colours."""

    names: Tensor
    colors: Tensor
    center: Tensor

    def __init__(self, *, names: Tensor, colors: Tensor) -> None:
        super().__init__()
        both = torch.cat([names, colors])
        self.register_buffer("center", both.mean(0))
        self.register_buffer("names", F.normalize(names - self.center, dim=-1))
        self.register_buffer("colors", F.normalize(colors - self.center, dim=-1))
        self.length = float((both - self.center).norm(dim=-1).mean())
        """Typical distance of a word from the centre; tokens are drawn to the same distance."""

    @classmethod
    def from_words(
        cls, embeddings: Tensor, names: Sequence[Sequence[int]], colors: Sequence[Sequence[int]]
    ) -> "RegionNaming":
        """Input embeddings (V, D), token ids of every name and colour; a word of several tokens is their mean."""
        rows = [torch.stack([embeddings[list(ids)].float().mean(0) for ids in words]) for words in (names, colors)]
        return cls(names=rows[0], colors=rows[1])

    def forward(self, tokens: Tensor, cover: Tensor, image: Tensor, name: Tensor, color: Tensor) -> Tensor:
        """Tokens (I, G, D); per object its cover (S, G), image, name index, colour index or -1 (S,) → loss."""
        offset = tokens.float() - self.center
        length = offset.norm(dim=-1).clamp(min=1e-6)
        direction = offset / length[..., None]
        spread = (length / self.length - 1).square().mean()
        named = self._miss(direction, self.names, cover, image, name)
        known = color >= 0
        colored = self._miss(direction, self.colors, cover[known], image[known], color[known])
        return named + _COLOR_WEIGHT * colored + _LENGTH_WEIGHT * spread

    @staticmethod
    def _miss(direction: Tensor, words: Tensor, cover: Tensor, image: Tensor, index: Tensor) -> Tensor:
        """Cross-entropy of each object's word over the cells it covers."""
        if not len(index):
            return direction.sum() * 0
        chance = F.log_softmax(direction @ words.T * _SHARPNESS, -1)  # (I, G, words)
        of_word = chance[image, :, index]  # (S, G)
        return -(of_word * cover).sum() / cover.sum()
