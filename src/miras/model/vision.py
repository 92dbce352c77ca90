"""The dual visual encoder: two backbones, their fusion and the projector into the language model (eq. 4).

Every backbone turns a view of the canvas into feature maps; the fusion lets each low-resolution cell look at the
high-resolution maps. Since both views are scalings of one canvas, cells correspond by position alone.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miras.model.decoder import sine_positions

__all__ = ["DualVisualEncoder", "Fusion", "VisionProjector"]


class Fusion(nn.Module):
    """Low-resolution cells attend to high-resolution ones, then a residual MLP (eq. 4).

    `windowed` shows each cell only its own square of `cells` x `cells` high-resolution cells, `global` shows it all
    of them; either way only cells that hold real pixels. With `residual` the result is added to the low-resolution
    features through a gate that starts at zero, so that a pretrained projector first sees what it expects.
    """

    def __init__(self, *, low: int, high: int, windowed: bool, cells: int, residual: bool) -> None:
        super().__init__()
        self.windowed, self.cells = windowed, cells
        self.low_norm, self.high_norm = nn.LayerNorm(low), nn.LayerNorm(high)
        self.q, self.k, self.v = nn.Linear(low, low), nn.Linear(high, low), nn.Linear(high, low)
        self.mlp = nn.Sequential(nn.Linear(low, low), nn.GELU(), nn.Linear(low, low))
        self.gate = nn.Parameter(torch.zeros(low)) if residual else None

    def forward(self, low: Tensor, maps: tuple[Tensor, ...], content: Tensor) -> Tensor:
        """Low map (I, C, g, g), high maps (I, C', h, w), content (I, 2) → (I, g · g, C)."""
        grid = low.shape[-1]
        tokens = low.flatten(2).transpose(1, 2)  # (I, G, C)
        size = (grid * self.cells, grid * self.cells)
        high = torch.cat(self.on_grid(maps, grid), 1)
        query = self.q(self.low_norm(tokens))
        real = self._real_cells(content, size[0])  # (I, n)
        if self.windowed:
            cells = self.high_norm(self._windows(high))  # (I, G, cells², C')
            real = self._windows(real.unflatten(1, size)[:, None])[..., 0]  # (I, G, cells²)
            # a window of padding alone makes no image token; it sees itself, lest its softmax spoil the gradient
            real = (real | ~real.any(-1, keepdim=True))[:, :, None]
            seen = F.scaled_dot_product_attention(query[:, :, None], self.k(cells), self.v(cells), attn_mask=real)
            seen = seen[:, :, 0]
        else:
            cells = self.high_norm(high.flatten(2).transpose(1, 2))  # (I, n, C')
            seen = F.scaled_dot_product_attention(query, self.k(cells), self.v(cells), attn_mask=real[:, None])
        fused = self.mlp(seen) + seen
        return fused if self.gate is None else tokens + self.gate * fused

    def on_grid(self, maps: tuple[Tensor, ...], grid: int) -> tuple[Tensor, ...]:
        """High maps (I, C', h, w) → all at `cells` per side of one of grid x grid low cells; those that are stay so."""
        size = (grid * self.cells, grid * self.cells)
        return tuple(F.interpolate(x, size, mode="bilinear", align_corners=False) for x in maps)

    def _windows(self, maps: Tensor) -> Tensor:
        """(I, C, side, side) → the cells of each low-resolution cell, (I, G, cells², C)."""
        cells = maps.unfold(2, self.cells, self.cells).unfold(3, self.cells, self.cells)
        return cells.flatten(4).permute(0, 2, 3, 4, 1).flatten(1, 2)

    @staticmethod
    def _real_cells(content: Tensor, side: int) -> Tensor:
        """(I, side · side) bool: cells whose corner lies on real pixels; the first always does."""
        corner = torch.arange(side, device=content.device) / side
        rows, columns = (corner[None] < content[:, axis, None] for axis in (0, 1))
        return (rows[:, :, None] & columns[:, None]).flatten(1)


class VisionProjector(nn.Sequential):
    """Visual features (..., C) → embeddings of the language model (..., D).

    `mlp` is that of LLaVA 1.5 and 1.6, `linear` that of LLaVA 1 and LISA, `norm_mlp` that of InternVL.
    """

    def __init__(self, *, channels: int, width: int, kind: Literal["mlp", "linear", "norm_mlp"] = "mlp") -> None:
        layers: list[nn.Module] = [nn.Linear(channels, width)]
        if kind != "linear":
            layers += [nn.GELU(), nn.Linear(width, width)]
        if kind == "norm_mlp":
            layers.insert(0, nn.LayerNorm(channels))
        super().__init__(*layers)


class DualVisualEncoder(nn.Module):
    """Two views of a canvas → image tokens; the high-resolution maps are kept for the pixel encoder.

    Without `fusion` image tokens come from the low view alone: the ablation of table 6. Without `high` there is
    nothing else to look at, as in LISA.
    """

    def __init__(
        self,
        *,
        low: nn.Module,
        high: nn.Module | None,
        fusion: Fusion | None,
        projector: VisionProjector,
        positions: bool,
    ) -> None:
        super().__init__()
        self.low, self.fusion, self.projector = low, fusion, projector
        self.high: Any = high
        self.positions = positions

    def forward(self, low: Tensor, maps: tuple[Tensor, ...], content: Tensor) -> Tensor:
        """Low view (I, 3, h, w), maps of the high view, content (I, 2) → image tokens (I, G, D)."""
        encode: Callable[[Tensor], tuple[Tensor, ...]] = self.low
        return self.projector(self.cells(encode(low)[-1], maps, content))

    def cells(self, features: Tensor, maps: tuple[Tensor, ...], content: Tensor) -> Tensor:
        """Low map (I, C, g, g), maps of the high view, content (I, 2) → (I, G, C) for the projector."""
        if self.fusion is None:
            cells = features.flatten(2).transpose(1, 2)  # (I, G, C)
        else:
            cells = self.fusion(features, self.seen_by_fusion(maps), content)
        if self.positions:
            grid = features.shape[-1]
            cells = cells + sine_positions(grid, grid, cells.shape[-1], like=cells, content=content)
        return cells

    @staticmethod
    def seen_by_fusion(maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The maps that the fusion looks at: all but the finest, where there are four."""
        return maps[-3:]
