"""Stage 1's other half: image tokens learn to read like the words for what they show (paper §C.2).

"Align mask-based region features with language embeddings": every image token under an object's mask should lie
nearer to the input embedding of that object's name, and of its colour, than to any other name or colour; and every
image token nearer to the words for its own place in the photo than to those for others. The frozen language model
then finds words it knows where it expects image tokens. This costs no pass through it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["RegionNaming", "coverage"]

_SHARPNESS = 12.0
"""Factor on cosines before the softmax."""
_COLOR_WEIGHT = 1.0
_PLACE_WEIGHT = 0.25
_LENGTH_WEIGHT = 0.1


def coverage(masks: Tensor, grid: int) -> Tensor:
    """Masks in the frame of the canvas (S, h, w), 0..1 → share of each grid cell that is covered (S, G), peak 1.

    Small objects count as much as large ones: each is scaled by the cell it covers most.
    """
    shares = F.adaptive_avg_pool2d(masks[:, None], grid).flatten(1)
    return shares / shares.amax(1, keepdim=True).clamp(min=1e-6)


class RegionNaming(nn.Module):
    """Compares image tokens with the word embeddings of fixed lists: names, colours, the three rows and columns."""

    names: Tensor
    colors: Tensor
    rows: Tensor
    columns: Tensor
    center: Tensor

    def __init__(self, *, names: Tensor, colors: Tensor, rows: Tensor, columns: Tensor) -> None:
        super().__init__()
        words = {"names": names, "colors": colors, "rows": rows, "columns": columns}
        every = torch.cat(list(words.values()))
        self.register_buffer("center", every.mean(0))
        for name, list_ in words.items():
            self.register_buffer(name, F.normalize(list_ - self.center, dim=-1))
        self.length = float((every - self.center).norm(dim=-1).mean())
        """Typical distance of a word from the centre; tokens are drawn to the same distance."""

    @classmethod
    def from_words(cls, embeddings: Tensor, **words: Sequence[Sequence[int]]) -> "RegionNaming":
        """Input embeddings (V, D), token ids of every word of the four lists; several tokens count as their mean."""
        return cls(**{
            kind: torch.stack([embeddings[list(ids)].float().mean(0) for ids in each]) for kind, each in words.items()
        })  # fmt: skip

    def forward(
        self, tokens: Tensor, content: Tensor, cover: Tensor, image: Tensor, name: Tensor, color: Tensor
    ) -> Tensor:
        """Tokens (I, G, D), content (I, 2); per object its cover (S, G), image, name index, colour index or -1 (S,).

        Gives the weighted sum of how far tokens are from their names, colours, places and the length of a word.
        """
        offset = tokens.float() - self.center
        length = offset.norm(dim=-1).clamp(min=1e-6)
        direction = offset / length[..., None]
        spread = (length / self.length - 1).square().mean()
        named = self._miss(direction, self.names, cover, image, name)
        known = color >= 0
        colored = self._miss(direction, self.colors, cover[known], image[known], color[known])
        placed = self._misplaced(direction, content)
        return named + _COLOR_WEIGHT * colored + _PLACE_WEIGHT * placed + _LENGTH_WEIGHT * spread

    @staticmethod
    def _miss(direction: Tensor, words: Tensor, cover: Tensor, image: Tensor, index: Tensor) -> Tensor:
        """Cross-entropy of each object's word over the cells it covers; an object counts by the root of its size."""
        if not len(index):
            return direction.sum() * 0
        chance = F.log_softmax(direction @ words.T * _SHARPNESS, -1)  # (I, G, words)
        of_word = chance[image, :, index]  # (S, G)
        weight = cover / cover.sum(1, keepdim=True).clamp(min=1e-6).sqrt()
        return -(of_word * weight).sum() / weight.sum()

    def _misplaced(self, direction: Tensor, content: Tensor) -> Tensor:
        """Cross-entropy of every cell's row and column, over the cells that hold real pixels."""
        grid = round(direction.shape[1] ** 0.5)
        where = (torch.arange(grid, device=content.device) + 0.5) / grid / content[..., None]  # (I, 2, g), real below 1
        row, column = (where.clamp(max=0.999) * 3).long().unbind(1)
        both = [row[:, :, None].expand(-1, -1, grid).flatten(1), column[:, None].expand(-1, grid, -1).flatten(1)]
        real = ((where[:, 0, :, None] < 1) & (where[:, 1, None] < 1)).flatten(1)
        miss = [
            F.cross_entropy((direction @ words.T * _SHARPNESS)[real], third[real])
            for words, third in zip((self.rows, self.columns), both, strict=True)
        ]
        return miss[0] + miss[1]
