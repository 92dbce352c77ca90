"""SAM's mask decoder, for features of any stride: one query and one image's features → one mask and its IoU.

A two-way transformer lets a few tokens and the image's pixels attend to each other; a small network turns the
mask token into weights that are dotted with the upscaled pixels (Kirillov et al. 2023, section 3 and appendix A).
Two things differ, both for fine targets: the pixels come at stride 8 with a stride-4 skip, and the similarity of
query and pixels enters as SAM's dense prompt, so that the transformer starts from a rough mask.
"""

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
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.q, query), (self.k, key), (self.v, value))
        )
        if k.shape[2] < 8:  # pixels looking at a few tokens: plain products train faster on a CPU
            seen = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1) @ v
        else:
            seen = F.scaled_dot_product_attention(q, k, v)
        return self.out(seen.transpose(1, 2).flatten(2))


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
        tokens = self.norms[1](tokens + self.to_pixels(tokens + start, pixels + where, pixels))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        pixels = self.norms[3](pixels + self.to_tokens(pixels + where, tokens + start, tokens))
        return tokens, pixels


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
        pixels = self.pixels_in(features).flatten(2).transpose(1, 2).index_select(0, image)  # (S, h·w, width)
        pixels = pixels + self.dense_prompt(rough[..., None])
        where = sine_positions(height, width, self.width, like=pixels)
        start = torch.cat(
            [self.own_tokens.expand(len(query), -1, -1).to(query.dtype), self.query_in(query)[:, None]], 1
        )
        tokens = start
        for block in self.blocks:
            tokens, pixels = block(tokens, pixels, start, where)
        tokens = self.last_norm(tokens + self.last_look(tokens + start, pixels + where, pixels))

        grid = pixels.transpose(1, 2).unflatten(2, (height, width))
        up = F.relu(self.upscale(grid) + fine.index_select(0, image))  # (S, F, 2h, 2w)
        weights = self.mask_weights(tokens[:, 1])  # (S, F + 1)
        logits = torch.einsum("sf,sfhw->shw", weights[:, :-1], up) + weights[:, -1, None, None]
        rough = F.interpolate(rough.unflatten(1, (1, height, width)), scale_factor=2, mode="bilinear")
        return logits + self.rough_gain * rough[:, 0], self.iou_head(tokens[:, 0])[:, 0].sigmoid()
