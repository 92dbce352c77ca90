"""Greedy decoding of several conversations at once, keeping the state of every token that is fed.

Conversations differ in length, in what their caches already hold and in when they stop, so a batch is laid out as
`[padding | cached | pending | padding | generated…]`. Padding is masked wherever it stands, and positions count
real tokens only; a conversation therefore gives the same tokens and states alone and in any batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from miras.model.language import Language

__all__ = ["KeyValues", "Marks", "Row", "generate"]

KeyValues = list[tuple[Tensor, Tensor]]
"""Keys and values of one conversation, layer by layer, each (1, heads, T, width)."""


@dataclass
class Row:
    """One conversation of a batch: what to feed, and what came of it."""

    embeddings: Tensor
    """(n, D) of the tokens that the cache does not hold yet; at least one."""
    past: KeyValues | None = None
    """The cache of everything before."""
    ids: list[int] = field(default_factory=list)
    """Generated tokens, without the stop token."""
    states: list[Tensor] = field(default_factory=list)
    """(D,) of the last prompt token, then of each generated token."""
    stopped: bool = False
    """Whether the model ended the answer itself, within the limit."""

    @property
    def past_length(self) -> int:
        """Tokens in the cache."""
        return self.past[0][0].shape[2] if self.past else 0


@dataclass(frozen=True)
class Marks:
    """The tokens around the name of what is marked; what is opened is closed, and no name is empty."""

    opens: int
    closes: int

    def settle(self, ids: Sequence[int], token: int, logits: Tensor, stop_id: int) -> int:
        """The token that follows `ids` where `token` was the likeliest of the logits (V,).

        Within a name, the end of the answer or a second opening closes it.
        """
        inside = next((seen for seen in reversed(ids) if seen in (self.opens, self.closes)), None) == self.opens
        ends = (self.opens, self.closes, stop_id)
        if not inside or token not in ends:
            return token
        if ids[-1] != self.opens:
            return self.closes
        return int(logits.index_fill(-1, torch.tensor(ends, device=logits.device), -torch.inf).argmax())


@torch.inference_mode()
def generate(
    language: Language,
    rows: Sequence[Row],
    *,
    stop_id: int,
    limit: int,
    never: Sequence[int] = (),
    marks: Marks | None = None,
) -> Iterator[list[tuple[int, int]]]:
    """Decode until every row stopped or has `limit` tokens; yields (row, token) pairs of every step.

    Tokens in `never` are not written, however likely; `marks` says which come in pairs. Fills `ids`, `states`,
    `stopped` of each row and, at the end, `past` with everything that was fed.
    """
    cache, mask, states = _prefill(language, rows)
    lengths = torch.tensor([row.past_length + len(row.embeddings) for row in rows], device=mask.device)
    barred = torch.tensor(list(never), dtype=torch.long, device=mask.device)
    active = list(range(len(rows)))
    while active:
        for place, index in enumerate(active):
            rows[index].states.append(states[place])
        logits = language.logits(states).index_fill(-1, barred, -torch.inf)
        chosen = logits.argmax(-1).tolist()
        if marks is not None:
            each = zip(active, chosen, logits, strict=True)
            chosen = [marks.settle(rows[index].ids, token, likes, stop_id) for index, token, likes in each]
        going = []
        for place, (index, token) in enumerate(zip(active, chosen, strict=True)):
            row = rows[index]
            if token == stop_id or len(row.ids) >= limit:
                row.stopped = token == stop_id
                row.past = _take(cache, mask, place)
            else:
                row.ids.append(token)
                going.append(place)
        yield [(active[place], chosen[place]) for place in going]
        if len(going) < len(active):
            cache, mask, lengths = _keep(cache, going), mask[going], lengths[going]
        active = [active[place] for place in going]
        if not active:
            return
        fed = language.embed(torch.tensor([[chosen[place]] for place in going], device=mask.device))
        mask = torch.cat([mask, mask.new_ones(len(active), 1)], 1)
        states = language.states(fed, mask, lengths[:, None], cache)[:, -1]
        lengths = lengths + 1


def _prefill(language: Language, rows: Sequence[Row]) -> tuple[DynamicCache, Tensor, Tensor]:
    """Feed what is pending: the batch's cache, its mask (B, past + n), each row's last state (B, D)."""
    past, pending = [row.past_length for row in rows], [len(row.embeddings) for row in rows]
    most_past, most_pending = max(past), max(pending)
    first = rows[0].embeddings
    embeddings = first.new_zeros(len(rows), most_pending, first.shape[1])
    mask = torch.zeros(len(rows), most_past + most_pending, dtype=torch.long, device=first.device)
    for index, row in enumerate(rows):
        embeddings[index, : pending[index]] = row.embeddings
        mask[index, most_past - past[index] : most_past + pending[index]] = 1
    steps = torch.arange(most_pending, device=first.device)
    positions = torch.tensor(past, device=first.device)[:, None] + steps
    cache = _join([row.past for row in rows], most_past)
    states = language.states(embeddings, mask, positions, cache)
    ends = torch.tensor(pending, device=first.device) - 1
    return cache, mask, states[torch.arange(len(rows), device=first.device), ends]


def _join(pasts: Sequence[KeyValues | None], length: int) -> DynamicCache:
    """Single caches → one cache, padded on the left to `length`."""
    cache = DynamicCache()
    filled = next((past for past in pasts if past), None)
    if filled is None:
        return cache
    for layer in range(len(filled)):
        pair = []
        for side in (0, 1):
            like = filled[layer][side]
            joined = like.new_zeros(len(pasts), like.shape[1], length, like.shape[3])
            for index, past in enumerate(pasts):
                if past:
                    joined[index, :, length - past[layer][side].shape[2] :] = past[layer][side][0]
            pair.append(joined)
        cache.update(pair[0], pair[1], layer)
    return cache


def _layers(cache: DynamicCache) -> KeyValues:
    """Keys and values of all rows, layer by layer."""
    layers: list[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers]


def _take(cache: DynamicCache, mask: Tensor, place: int) -> KeyValues:
    """The cache of one row without its padding."""
    real = mask[place].bool()
    return [(keys[place : place + 1, :, real], values[place : place + 1, :, real]) for keys, values in _layers(cache)]


def _keep(cache: DynamicCache, places: list[int]) -> DynamicCache:
    """The cache of some of the rows."""
    kept = DynamicCache()
    if places:
        for index, (keys, values) in enumerate(_layers(cache)):
            kept.update(keys[places], values[places], index)
    return kept
