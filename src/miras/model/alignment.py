"""From hidden states to mask queries: the mask projector and the semantic region alignment (paper §4.1, eq. 6).

Both are registered modules, trained, saved, and used the same way in training and in generation.
"""

import torch
from torch import Tensor, nn

from miras.errors import BatchError

__all__ = ["MaskProjector", "SemanticAlignment", "gather_spans"]


class MaskProjector(nn.Module):
    """Hidden states (..., D) → mask queries (..., Q), with one hidden layer as in LISA.

    States of a language model share one large offset and a few giant channels (SmolLM2's [SEG] states: norm 55, of
    which 53 are their mean), so they are first standardised by the mean and deviation set with `standardize`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, width: int, query_width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, query_width))

    def standardize(self, states: Tensor) -> None:
        """Take the offset and scale of every channel from some states (n, D)."""
        self.mean.copy_(states.mean(0))
        self.deviation.copy_(states.std(0).clamp(min=1e-3))

    def forward(self, states: Tensor) -> Tensor:
        """(..., D) → (..., Q)."""
        return self.layers((states.to(self.mean.dtype) - self.mean) / self.deviation)


class SemanticAlignment(nn.Module):
    """Cross-attention in which the [SEG] state asks the states of its `[OBJ]…[SEG]` span (eq. 6).

    The query is the projected [SEG] state, keys and values are the projected states of the span; the output,
    one vector per target, replaces the [SEG] state as the mask decoder's prompt. With `residual` it is added to
    it, through a gate that starts open.
    """

    def __init__(self, *, query_width: int, heads: int, residual: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(query_width, heads, batch_first=True)
        self.out = nn.Linear(query_width, query_width)
        self.gate = nn.Parameter(torch.ones(1)) if residual else None

    def forward(self, seg: Tensor, span: Tensor, length: Tensor) -> Tensor:
        """[SEG] queries (S, Q), span states (S, n, Q) right-padded, true span lengths (S,) → (S, Q)."""
        if int(length.min()) < 1:
            raise BatchError(
                "every [SEG] needs a span of at least one state, got an empty one; the span holds the [SEG]"
            )
        padding = torch.arange(span.shape[1], device=span.device) >= length[:, None]  # (S, n)
        seen, _ = self.attention(seg[:, None], span, span, key_padding_mask=padding, need_weights=False)
        aligned = self.out(seen[:, 0])
        return aligned if self.gate is None else seg + self.gate * aligned


def gather_spans(states: Tensor, dialogue: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """States (B, T, C), dialogue of each [SEG] (S,), its first and last position (S, 2) → (S, n, C), lengths (S,).

    Rows are right-padded by repeating the last state, so that no position outside the span is ever read.
    """
    length = span[:, 1] - span[:, 0] + 1
    steps = torch.arange(int(length.max()), device=states.device)
    position = torch.minimum(span[:, :1] + steps, span[:, 1:])  # (S, n)
    return states[dialogue[:, None], position], length
