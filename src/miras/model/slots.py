"""One buffer of keys and values for several conversations that differ in length, written in place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

__all__ = ["KeyValues", "Slots"]

KeyValues = list[tuple[Tensor, Tensor]]
"""Keys and values of one conversation, layer by layer, each (1, heads, T, width)."""


class Slots(Cache):
    """Each conversation's keys and values from the left of its slot; the buffer grows by leaps.

    Before a pass, `behind` says where it writes.
    """

    layers: list[Any]

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=CacheLayerMixin)  # `update` makes the layers
        self._rows = self._tokens = 0
        self._begin, self._lengths, self._until = 0, list[int](), 0
        self._places = self._starts = torch.zeros(0, dtype=torch.long)

    def reserve(self, rows: int, tokens: int) -> None:
        """Make room for so many conversations of at most so many tokens, what is held staying where it is."""
        if rows > self._rows:
            self._rows = max(rows, 2 * self._rows)
        if tokens > self._tokens:
            self._tokens = max(tokens, self._tokens * 5 // 4)
        for layer in self.layers:
            layer.resize(self._rows, self._tokens)

    def behind(self, begin: int, lengths: Sequence[int], new: Tensor) -> tuple[Tensor | None, Tensor]:
        """The next pass feeds (b, n, D) behind the b slots from `begin` on, which hold so many tokens.

        Returns who sees whom, (b, 1, n, T) bool or None where all see all, and positions (b, n).
        """
        count = new.shape[1]
        self._begin, self._lengths, self._until = begin, list(lengths), max(lengths) + count
        self._starts = torch.tensor(self._lengths, device=new.device)
        self._places = torch.arange(begin, begin + len(lengths), device=new.device)
        positions = self._starts[:, None] + torch.arange(count, device=new.device)
        if count == 1 and min(lengths) == max(lengths):
            return None, positions
        steps = torch.arange(self._until, device=new.device)
        return (steps <= positions[..., None])[:, None], positions

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (b, heads, n, width) where `behind` said; all that these slots hold, (b, heads, T, width)."""
        while len(self.layers) <= layer_idx:
            self.layers.append(_Layer(self, key_states, value_states))
        layer: _Layer = self.layers[layer_idx]
        here = slice(self._begin, self._begin + len(self._lengths))
        for buffer, new in ((layer.keys, key_states), (layer.values, value_states)):
            if new.shape[2] == 1:
                buffer[self._places, :, self._starts] = new[:, :, 0]
                continue
            for place, start in enumerate(self._lengths, self._begin):
                buffer[place, :, start : start + new.shape[2]] = new[place - self._begin]
        return layer.keys[here, :, : self._until], layer.values[here, :, : self._until]

    def put(self, place: int, past: KeyValues) -> None:
        """Fill a slot with what a conversation held."""
        while len(self.layers) < len(past):
            self.layers.append(_Layer(self, *past[len(self.layers)]))
        for layer, (keys, values) in zip(self.layers, past, strict=True):
            layer.keys[place, :, : keys.shape[2]], layer.values[place, :, : keys.shape[2]] = keys[0], values[0]

    def take(self, place: int, length: int) -> KeyValues:
        """A copy of what a slot holds."""
        here = slice(place, place + 1)
        return [(layer.keys[here, :, :length].clone(), layer.values[here, :, :length].clone()) for layer in self.layers]

    def move(self, place: int, to: int, length: int) -> None:
        """Copy a slot into another."""
        for layer in self.layers:
            for buffer in (layer.keys, layer.values):
                buffer[to, :, :length] = buffer[place, :, :length]

    @property
    def room(self) -> tuple[int, int]:
        """Slots, and tokens of each."""
        return self._rows, self._tokens

    @property
    def until(self) -> int:
        """Tokens of the longest slot behind the pass that is under way."""
        return self._until

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of the longest slot before the pass that is under way."""
        return max(self._lengths, default=0)


class _Layer(CacheLayerMixin):
    """Keys and values of one layer, (slots, heads, tokens, width) each."""

    is_sliding = False
    keys: Any
    values: Any

    def __init__(self, slots: Slots, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self._slots = slots
        self.lazy_initialization(keys, values)

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """An empty buffer; zeros, since what is masked must still be numbers."""
        rows, tokens = self._slots.room
        self.keys, self.values = (
            like.new_zeros(rows, like.shape[1], tokens, like.shape[3]) for like in (key_states, value_states)
        )
        self.is_initialized = True

    def resize(self, rows: int, tokens: int) -> None:
        """The same in a larger buffer."""
        old = self.keys, self.values
        if old[0].shape[0] < rows or old[0].shape[2] < tokens:
            self.lazy_initialization(*old)
            for new, before in zip((self.keys, self.values), old, strict=True):
                new[: before.shape[0], :, : before.shape[2]] = before

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Not used: `Slots.update` writes for all layers."""
        raise NotImplementedError

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Tokens that the pass under way sees, and where they begin."""
        return self._slots.until, 0

    def get_seq_length(self) -> int:
        """Tokens before the pass under way."""
        return self._slots.get_seq_length()

    def get_max_length(self) -> int:
        """No bound."""
        return -1
