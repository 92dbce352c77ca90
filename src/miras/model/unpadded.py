"""Rows of different lengths without their padding: attention is given rows, all other layers the tokens alone.

`UNPADDED` names an attention of transformers that does so where `rows` comes with the pass, and is SDPA where none do.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

__all__ = ["UNPADDED", "Rows"]

UNPADDED = "sdpa_unpadded"


@dataclass(frozen=True)
class Rows:
    """Where the L tokens of B rows lie among B · T places."""

    places: Tensor
    """(L,) ascending."""
    shape: torch.Size
    """B and T."""

    @classmethod
    def of(cls, real: Tensor) -> "Rows":
        """Those of (B, T), true where a token is."""
        return cls(real.flatten().nonzero()[:, 0], real.shape)

    def tokens(self, x: Tensor) -> Tensor:
        """(B, T, …) → (1, L, …)."""
        return x.flatten(0, 1).index_select(0, self.places)[None]

    def pad(self, x: Tensor) -> Tensor:
        """(1, L, …) → (B, T, …), zeros where no token is."""
        # `index_copy` would keep x for the backward pass
        return x.new_zeros(self.shape.numel(), *x.shape[2:]).index_put((self.places,), x[0]).unflatten(0, self.shape)


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    rows: Rows | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Query, key, value (1, heads, L, width) and mask (B, 1, T, T) → (1, L, heads, width)."""
    if rows is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    query, key, value = (rows.pad(x.transpose(1, 2)).transpose(1, 2) for x in (query, key, value))
    seen, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    return rows.tokens(seen), None


AttentionInterface.register(UNPADDED, _attention)
AttentionMaskInterface.register(UNPADDED, sdpa_mask)
