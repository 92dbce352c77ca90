"""SAM's mask decoder, for features of any stride: one query and one image's features → one mask and its IoU.

A two-way transformer lets a few tokens and the image's pixels attend to each other; a small network turns the
mask token into weights that are dotted with the upscaled pixels (Kirillov et al. 2023, section 3 and appendix A).
Two things differ, both for fine targets: the pixels come at stride 8 with a stride-4 skip, and the similarity of
query and pixels enters as SAM's dense prompt, so that the transformer starts from a rough mask.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Attention", "MaskDecoder", "sine_positions"]


def sine_positions(height: int, width: int, channels: int, *, like: Tensor, content: Tensor | None = None) -> Tensor:
    """Fixed 2-D sine encoding of cell centres, (1, height · width, channels), on the device and dtype of `like`.

    Cells are measured by the whole grid; with `content`, (I, 2), by the real part of each image, so that one place in
    a photo has one encoding whatever the photo's shape: (I, height · width, channels).
    """
    steps = torch.arange(channels // 4, device=like.device, dtype=torch.float32)
    frequency = torch.pi * 2.0 ** (steps * 8 / (channels // 4) - 1)
    extent = like.new_ones(1, 2, dtype=torch.float32) if content is None else content.float()
    axes = [
        (torch.arange(n, device=like.device) + 0.5) / max(height, width) / extent[:, axis, None]
        for axis, n in enumerate((height, width))
    ]  # (I, n)
    waves = [torch.cat([fn(axis[..., None] * frequency) for fn in (torch.sin, torch.cos)], -1) for axis in axes]
    rows = waves[0][:, :, None].expand(-1, -1, width, -1)
    columns = waves[1][:, None].expand(-1, height, -1, -1)
    return torch.cat([rows, columns], -1).flatten(1, 2).to(like.dtype)


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than its outer one."""

    def __init__(self, *, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(S, n, width), (S, m, width), (S, m, width) → (S, n, width)."""
        q, k, v = (self._split(layer(x)) for layer, x in ((self.q, query), (self.k, key), (self.v, value)))
        return self._joined((q @ k.transpose(2, 3) * self._scale).softmax(-1) @ v)

    def of_pixels(self, query: Tensor, pixels: Tensor, where: Tensor) -> Tensor:
        """A few tokens (S, n, width) look at many pixels (S, m, width) at (1, m, width) → (S, n, width).

        As `forward(query, pixels + where, pixels)`, but `k` and `v` are applied to n tokens instead of to m pixels,
        W p · q being p · Wᵀ q: the same sums in another order, with n products instead of the width of a head.
        """
        scores = self._scores(self._split(self.q(query)), self.k, pixels, where)
        seen = (scores.softmax(-1).flatten(1, 2) @ pixels).unflatten(1, (self.heads, -1))  # (S, heads, n, width)
        value = seen @ self._by_head(self.v.weight).transpose(1, 2) + self.v.bias.unflatten(0, (self.heads, 1, -1))
        return self._joined(value)

    def by_pixels(self, pixels: Tensor, where: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Many pixels (S, m, width) at (1, m, width) look at a few tokens, twice (S, n, width) → (S, m, width).

        As `forward(pixels + where, key, value)`, with `q` and `out` applied to the tokens, as above. What a pixel sees
        adds up to 1 in each head, so each head brings its share of the bias.
        """
        scores = self._scores(self._split(self.k(key)), self.q, pixels, where)
        told = self._split(self.v(value)) @ self._by_head(self.out.weight.t()) + self.out.bias / self.heads
        return scores.softmax(2).flatten(1, 2).transpose(1, 2) @ told.flatten(1, 2)

    def _scores(self, tokens: Tensor, layer: nn.Linear, pixels: Tensor, where: Tensor) -> Tensor:
        """Tokens (S, heads, n, d) times pixels at their places through a layer → (S, heads, n, m)."""
        tokens = tokens * self._scale
        into = (tokens @ self._by_head(layer.weight)).flatten(1, 2)  # (S, heads·n, width)
        same = tokens @ layer.bias.unflatten(0, (self.heads, -1, 1))  # (S, heads, n, 1)
        scores = into @ pixels.transpose(1, 2) + into @ where[0].t()
        return scores.unflatten(1, tokens.shape[1:3]) + same

    @property
    def _scale(self) -> float:
        return float((self.q.out_features // self.heads) ** -0.5)

    def _split(self, x: Tensor) -> Tensor:
        """(S, n, inner) → (S, heads, n, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _joined(self, x: Tensor) -> Tensor:
        """(S, heads, n, d) → (S, n, width)."""
        return self.out(x.transpose(1, 2).flatten(2))

    def _by_head(self, weight: Tensor) -> Tensor:
        """(inner, width) → (heads, d, width)."""
        return weight.unflatten(0, (self.heads, -1))


class _TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the pixels, then the pixels attend to the tokens."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.self_attention = Attention(width=width, inner=width, heads=heads)
        self.to_pixels = Attention(width=width, inner=width // 2, heads=heads)
        self.to_tokens = Attention(width=width, inner=width // 2, heads=heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))

    def forward(self, tokens: Tensor, pixels: Tensor, start: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (S, n, width), pixels (S, h·w, width), the tokens' start values and pixel positions as keys."""
        tokens = self.norms[0](tokens + self.self_attention(tokens + start, tokens + start, tokens))
        tokens = self.norms[1](tokens + self.to_pixels.of_pixels(tokens + start, pixels, where))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        pixels = self.norms[3](pixels + self.to_tokens.by_pixels(pixels, where, tokens + start, tokens))
        return tokens, pixels


def _for_queries(x: Tensor, image: Tensor) -> Tensor:
    """(I, …) of images → (S, …), that of each query's image; the backward pass adds up runs of one image."""
    numbers, counts = image.unique_consecutive(return_counts=True)
    runs = zip(numbers.tolist(), counts.tolist(), strict=True)
    return torch.cat([x[number].expand(count, *x.shape[1:]) for number, count in runs])


def _quarters(x: Tensor) -> Tensor:
    """(I, F, 2h, 2w) → (I, h·w·4, F), the four of each cell side by side."""
    return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 2, 4, 3, 5, 1).flatten(1, 4)


def _mlp(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))


class MaskDecoder(nn.Module):
    """Queries and pixel features → mask logits at twice the features' resolution and an IoU estimate."""

    def __init__(self, *, query_width: int, width: int, fine_width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.width = width
        self.query_in = nn.Linear(query_width, width)
        self.pixels_in = nn.Conv2d(query_width, width, 1)
        self.query_match = nn.Linear(query_width, query_width)
        self.dense_prompt = nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width))
        self.own_tokens = nn.Parameter(torch.randn(2, width) * width**-0.5)
        self.blocks = nn.ModuleList(_TwoWayBlock(width=width, heads=heads) for _ in range(depth))
        self.last_look = Attention(width=width, inner=width // 2, heads=heads)
        self.last_norm = nn.LayerNorm(width)
        self.upscale = nn.ConvTranspose2d(width, fine_width, 2, stride=2)
        self.mask_weights = _mlp(width, fine_width + 1)
        self.iou_head = _mlp(width, 1)
        self.rough_gain = nn.Parameter(torch.ones(1))

    def forward(self, query: Tensor, features: Tensor, fine: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Query (S, Q), features (I, Q, h, w), fine (I, F, 2h, 2w), image (S,) → logits (S, 2h, 2w), IoU (S,)."""
        _, channels, height, width = features.shape
        match = self.query_match(query)  # (S, Q)
        # every query meets every image: one matrix product costs less than a copy of the features per query
        rough = (match @ features.flatten(2)).gather(0, image[None, :, None].expand(1, -1, height * width))[0]
        rough = rough * channels**-0.5  # (S, h·w)
        cells = F.linear(features.flatten(2).transpose(1, 2), self.pixels_in.weight[..., 0, 0], self.pixels_in.bias)
        pixels = _for_queries(cells, image) + self.dense_prompt(rough[..., None])  # (S, h·w, width)
        where = sine_positions(height, width, self.width, like=pixels)
        start = torch.cat(
            [self.own_tokens.expand(len(query), -1, -1).to(query.dtype), self.query_in(query)[:, None]], 1
        )
        tokens = start
        for block in self.blocks:
            tokens, pixels = block(tokens, pixels, start, where)
        tokens = self.last_norm(tokens + self.last_look.of_pixels(tokens + start, pixels, where))

        weights = self.mask_weights(tokens[:, 1])  # (S, F + 1)
        up = self._upscaled(pixels, fine, image)
        logits = up @ weights[:, :-1, None] + weights[:, None, -1:]  # (S, h·w·4, 1)
        logits = logits.reshape(-1, height, width, 2, 2).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        rough = F.interpolate(rough.unflatten(1, (1, height, width)), scale_factor=2, mode="bilinear")
        return logits + self.rough_gain * rough[:, 0], self.iou_head(tokens[:, 0])[:, 0].sigmoid()

    def _upscaled(self, pixels: Tensor, fine: Tensor, image: Tensor) -> Tensor:
        """Pixels (S, h·w, width) and what skips them → (S, h·w·4, F), the four of each cell side by side.

        `upscale` as one product, with its bias added once per image.
        """
        upscale: Any = self.upscale
        weight = upscale.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (2·2·F, width)
        coarse = F.linear(pixels, weight).unflatten(-1, (4, -1)).flatten(1, 2)
        return F.relu(coarse + _for_queries(_quarters(fine) + upscale.bias, image))
