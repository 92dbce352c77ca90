"""The language model: a frozen causal transformer, its LoRA, and the rows of the new tokens.

The vocabulary only grows: the base embedding keeps its rows, and the new tokens' rows are parameters of their
own, used for input and, where the base ties its embeddings, for output too.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from miras.errors import ConfigError
from miras.model.ordered import order_weights
from miras.model.quantize import is_quantized
from miras.model.quick import Quick
from miras.model.slots import Slots
from miras.model.unpadded import Rows
from miras.types import Batch

__all__ = ["Language", "block_mask"]


class Language(nn.Module):
    """A causal language model with `new_tokens` more tokens than it was trained with."""

    def __init__(self, *, lm: PreTrainedModel, new_tokens: int) -> None:
        super().__init__()
        self.lm = lm
        width = lm.config.hidden_size
        self.rows = nn.Parameter(torch.randn(new_tokens, width) * 0.02)
        """Input embeddings of the new tokens."""
        self.out_rows = None if lm.config.tie_word_embeddings else nn.Parameter(torch.randn(new_tokens, width) * 0.02)
        """Their output embeddings, where the base does not tie the two."""
        self.quick: Quick | None = None
        """What writes answers in 8 bits; see `quicken`."""

    @property
    def base_size(self) -> int:
        """Tokens of the base vocabulary; new tokens have ids from here on."""
        return int(self.lm.config.vocab_size)

    @torch.no_grad()
    def set_rows(self, meanings: Sequence[Sequence[int]]) -> None:
        """Start each new token's rows at the mean of some base tokens' rows."""
        for row, ids in enumerate(meanings):
            self.rows[row] = _mean(self.lm.get_input_embeddings(), ids)
            if self.out_rows is not None:
                self.out_rows[row] = _mean(self.lm.get_output_embeddings(), ids)

    @torch.no_grad()
    def merge_lora(self) -> None:
        """Fold LoRA into the layers it adapts, for good: the same answers, in less time per token.

        Raises ConfigError for layers in 4 bits, which would round the sum anew.
        """
        if is_quantized(self.lm):
            raise ConfigError("LoRA cannot be folded into weights of 4 bits; load without quantize, or without merging")
        for name, layer in list(self.lm.named_modules()):
            if hasattr(layer, "lora_A") and hasattr(layer, "base_layer"):
                layer.merge()
                self.lm.set_submodule(name, layer.base_layer)
        order_weights(self.lm)

    def quicken(self) -> None:
        """Have further tokens computed in 8 bits, from the weights as they are now. Raises ConfigError; see `Quick`."""
        self.quick = Quick(self.lm, self._out_rows)

    @property
    def decode(self) -> Literal["int8", "float"]:
        """How further tokens are computed."""
        return "float" if self.quick is None else "int8"

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (B, T) → embeddings (B, T, D)."""
        new = ids >= self.base_size
        embeddings = self.lm.get_input_embeddings()(ids.masked_fill(new, 0))
        return torch.where(new[..., None], self.rows[(ids - self.base_size).clamp(min=0)].to(embeddings), embeddings)

    def states(
        self,
        embeddings: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Cache | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """Embeddings (B, T, D), mask (B, past + T), positions (B, T) → last hidden states (B, T, D).

        A mask may also be (B, 1, T, T) bool, true where a token sees another; see `block_mask`. With `rows` it is the
        mask of the rows, everything else is of their tokens alone, (1, L, …).
        """
        output = self.lm.get_decoder()(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            rows=rows,
        )
        return output.last_hidden_state

    def batch_states(self, embeddings: Tensor, batch: Batch) -> Tensor:
        """The embeddings (B, T, D) of a batch's rows → last hidden states (B, T, D), zeros where padding is.

        Padding costs nothing but in attention, whose mask takes T² bytes a row, once for all layers: 0.6 MB at 800
        tokens, which three requests about an image take of the 7B model, 16.8 MB at 4,096. The attention of each layer
        adds a copy in the type of its states, kept for the backward pass unless layers are checkpointed.
        """
        real = batch.attention_mask.bool()
        block = torch.zeros_like(batch.input_ids) if batch.block is None else batch.block
        positions = batch.positions
        if positions is None:
            positions = torch.arange(real.shape[1], device=real.device).expand_as(real)
        rows = Rows.of(real)
        states = self.states(rows.tokens(embeddings), block_mask(block, real), rows.tokens(positions), rows=rows)
        return rows.pad(states)

    def step(self, embeddings: Tensor, slots: Slots, lengths: Sequence[int]) -> Tensor:
        """Embeddings (B, 1, D) of a token behind each of the first B slots, which hold so many → states (B, 1, D)."""
        if self.quick is not None:
            return self.quick.states(embeddings, slots, lengths)
        mask, positions = slots.behind(0, lengths, embeddings)
        return self.states(embeddings, mask, positions, slots)

    def logits(self, states: Tensor) -> Tensor:
        """States (..., D) → next-token logits (..., V) over base and new tokens."""
        if self.quick is not None and not torch.is_grad_enabled():
            return self.quick.logits(states)
        return torch.cat([self.lm.get_output_embeddings()(states), F.linear(states, self._out_rows.to(states))], -1)

    @property
    def _out_rows(self) -> Tensor:
        return self.rows if self.out_rows is None else self.out_rows


def block_mask(block: Tensor, real: Tensor) -> Tensor:
    """Dialogue of each token (B, T), -1 in the opening, and real tokens (B, T) → (B, 1, T, T) bool: who sees whom.

    A token sees the opening and what came before it in its own dialogue. Padding sees itself, lest its softmax be
    undefined.
    """
    steps = torch.arange(block.shape[1], device=block.device)
    opening = (block < 0) & real.bool()
    seen = opening[:, None, :] | (block[:, :, None] == block[:, None, :])
    return (seen & (steps[:, None] >= steps))[:, None]


def _mean(embedding: Any, ids: Sequence[int]) -> Tensor:
    weight: Tensor = embedding.weight
    return weight[list(ids)].float().mean(0)
