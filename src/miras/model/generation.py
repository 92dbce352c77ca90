"""Greedy decoding of several conversations at once, keeping the state of every token that is fed.

Conversations join and leave at any step. Each has a slot of one buffer of keys and values, filled from the left; what
lies behind its end is masked, and positions count its own tokens only. A conversation therefore gives the same tokens
and states alone and in any company, and a step copies nothing but the new tokens' keys and values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from miras.model.language import Language
from miras.model.slots import KeyValues, Slots

__all__ = ["READ_AT_ONCE", "Decoding", "Marks", "Row", "generate"]

READ_AT_ONCE = 128
"""Tokens of prompts, padding counted, that one pass reads; it bounds how long those who are answered wait for it."""


@dataclass(eq=False)
class Row:
    """One conversation of a batch: what to feed, and what came of it."""

    embeddings: Tensor
    """(n, D) of the tokens that the cache does not hold yet; at least one."""
    past: KeyValues | None = None
    """The cache of everything before."""
    limit: int = 96
    """Tokens after which it is cut."""
    ids: list[int] = field(default_factory=list)
    """Generated tokens, without the stop token."""
    states: list[Tensor] = field(default_factory=list)
    """(D,) of the last prompt token, then of each generated token that was fed."""
    read: int = 0
    """How many of the embeddings have been fed."""
    stopped: bool = False
    """Whether the model ended the answer itself, within the limit."""
    ended: bool = False
    """Whether it is over, `past` holding everything that was fed."""

    @property
    def past_length(self) -> int:
        """Tokens in the cache."""
        return self.past[0][0].shape[2] if self.past else 0

    @property
    def length(self) -> int:
        """Tokens in its slot."""
        return self.past_length + self.read + max(0, len(self.states) - 1)


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


class Decoding:
    """Rows that are decoded together, each from when it joins until it ends or leaves."""

    def __init__(
        self, language: Language, *, stop_id: int, never: Sequence[int] = (), marks: Marks | None = None
    ) -> None:
        """Tokens in `never` are not written, however likely; `marks` says which come in pairs."""
        self.language, self.stop_id, self.marks = language, stop_id, marks
        self.rows: list[Row] = []
        """In the order in which they joined; those that have been read come first."""
        self._barred = list(never)
        self._slots = Slots()

    def join(self, row: Row) -> None:
        """Take a row in; it is read behind those that wait to be read."""
        self.rows.append(row)

    @torch.inference_mode()
    def leave(self, row: Row) -> None:
        """Let a row go before its end; what it was made of is as it was."""
        self._keep([other for other in self.rows if other is not row])

    @torch.inference_mode()
    def read(self) -> bool:
        """Read on in what waits to be read, one pass; whether there is more.

        As many rows as fit are read together; a long one is read in pieces, alone.
        """
        begin = sum(1 for row in self.rows if row.states)
        group = list[Row]()
        width = 0
        for row in self.rows[begin:]:
            wider = max(width, min(len(row.embeddings) - row.read, READ_AT_ONCE))
            if group and (len(group) + 1) * wider > READ_AT_ONCE:
                break
            group.append(row)
            width = wider
        if not group:
            return False
        room = max(row.length + max(width, len(row.embeddings) + min(row.limit, READ_AT_ONCE)) for row in group)
        self._slots.reserve(len(self.rows), room)
        for place, row in enumerate(group, begin):
            if row.past and not row.read:
                self._slots.put(place, row.past)
        pieces = [row.embeddings[row.read : row.read + width] for row in group]
        states = self._pass(torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True), group, begin)
        for place, (row, piece) in enumerate(zip(group, pieces, strict=True)):
            row.read += len(piece)
            if row.read == len(row.embeddings):
                row.states.append(states[place, len(piece) - 1])
        return any(not row.states for row in self.rows)

    @torch.inference_mode()
    def step(self) -> list[Row]:
        """One more token for every row that has been read; those rows, in order.

        A row that stops, or has as many tokens as it may, ends: it keeps all that was fed as its `past` and leaves.
        """
        told = [row for row in self.rows if row.states and len(row.states) == len(row.ids)]
        if told:
            self._slots.reserve(len(told), 1 + max(row.length for row in told))
            fed = self.language.embed(torch.tensor([[row.ids[-1]] for row in told], device=told[0].embeddings.device))
            states = self.language.step(fed, self._slots, [row.length for row in told])
            for row, state in zip(told, states[:, 0], strict=True):
                row.states.append(state)
        ready = [row for row in self.rows if row.states]
        if not ready:
            return []
        self._choose(ready)
        for place, row in enumerate(ready):
            if row.ended:
                row.past = self._slots.take(place, row.length)
        self._keep([row for row in self.rows if not row.ended])
        return ready

    def _choose(self, ready: Sequence[Row]) -> None:
        """Give each row its likeliest token, or end it."""
        logits = self.language.logits(torch.stack([row.states[-1] for row in ready]))
        if self._barred:
            logits = logits.index_fill(-1, torch.tensor(self._barred, device=logits.device), -torch.inf)
        for row, token, likes in zip(ready, logits.argmax(-1).tolist(), logits, strict=True):
            chosen = self.marks.settle(row.ids, token, likes, self.stop_id) if self.marks else token
            row.stopped = chosen == self.stop_id
            row.ended = row.stopped or len(row.ids) >= row.limit
            if not row.ended:
                row.ids.append(chosen)

    def _pass(self, embeddings: Tensor, rows: Sequence[Row], begin: int) -> Tensor:
        """Feed (b, n, D) behind what rows hold whose slots lie side by side from `begin` on → states (b, n, D)."""
        mask, positions = self._slots.behind(begin, [row.length for row in rows], embeddings)
        return self.language.states(embeddings, mask, positions, self._slots)

    def _keep(self, rows: list[Row]) -> None:
        """Leave the others out; who stays moves up."""
        place = {id(row): place for place, row in enumerate(self.rows)}
        for new, row in enumerate(rows):
            if row.read and place[id(row)] != new:  # what is not read yet has filled no slot
                self._slots.move(place[id(row)], new, row.length)
        self.rows = rows
        if not rows:
            self._slots = Slots()


def generate(decoding: Decoding, rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Decode rows from beginning to end, with nobody joining; yields the rows that went on, step by step."""
    for row in rows:
        decoding.join(row)
    while decoding.read():
        pass
    while decoding.rows:
        yield decoding.step()
