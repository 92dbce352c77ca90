"""Greedy decoding against the same computed from nothing at every step."""

from typing import Any

import pytest
import torch
from torch import Tensor

from miras.model.generation import Marks, Row, generate
from miras.model.language import Language


def run(language: Language, rows: list[Row], **changes: Any) -> list[list[tuple[int, int]]]:
    return list(generate(language, rows, **{"stop_id": 322, "limit": 6} | changes))


def prompt(length: int, seed: int) -> Tensor:
    return torch.randn(length, 64, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def naive(language: Language, embeddings: Tensor, limit: int) -> tuple[list[int], list[Tensor]]:
    ids: list[int] = []
    states: list[Tensor] = []
    for _ in range(limit + 1):
        states.append(language.states(embeddings[None])[0, -1])
        ids.append(int(language.logits(states[-1]).argmax()))
        embeddings = torch.cat([embeddings, language.embed(torch.tensor([[ids[-1]]]))[0]])
    return ids[:limit], states


def test_equals_decoding_without_a_cache(tiny: Any) -> None:
    rows = [Row(prompt(length, length)) for length in (5, 1, 9)]
    run(tiny.language, rows)
    for row, length in zip(rows, (5, 1, 9), strict=True):
        ids, states = naive(tiny.language, prompt(length, length), 6)
        assert row.ids == ids and not row.stopped
        assert torch.allclose(torch.stack(row.states), torch.stack(states), atol=1e-4)
        assert row.past_length == length + 6


def test_goes_on_from_what_it_kept(tiny: Any) -> None:
    first, more = prompt(5, 0), prompt(3, 1)
    row, other = Row(first), Row(prompt(8, 2))
    run(tiny.language, [row, other], limit=2)
    fed = torch.cat([first, tiny.language.embed(torch.tensor([row.ids]))[0], more]).detach()
    later, fresh = Row(more, row.past), Row(prompt(2, 3))
    run(tiny.language, [fresh, later])
    ids, states = naive(tiny.language, fed, 6)
    assert later.ids == ids and torch.allclose(torch.stack(later.states), torch.stack(states), atol=1e-4)
    assert fresh.ids == naive(tiny.language, prompt(2, 3), 6)[0]


def test_rows_that_stop_leave_the_others_alone(tiny: Any) -> None:
    ids, _ = naive(tiny.language, prompt(5, 0), 6)
    stop = next(token for token in ids if ids.count(token) < len(ids)) if len(set(ids)) > 1 else ids[0]
    rows = [Row(prompt(5, 0)), Row(prompt(4, 1))]
    steps = run(tiny.language, rows, stop_id=stop)
    assert rows[0].stopped and rows[0].ids == ids[: ids.index(stop)]
    assert rows[0].past_length == 5 + len(rows[0].ids) and len(rows[0].states) == 1 + len(rows[0].ids)
    alone = Row(prompt(4, 1))
    run(tiny.language, [alone], stop_id=stop)
    assert rows[1].ids == alone.ids
    assert [token for step in steps for index, token in step if index == 1] == alone.ids


def test_barred_tokens_are_not_written(tiny: Any) -> None:
    ids, _ = naive(tiny.language, prompt(5, 0), 1)
    row = Row(prompt(5, 0))
    run(tiny.language, [row], never=ids, limit=4)
    assert ids[0] not in row.ids and len(row.ids) == 4


@pytest.mark.parametrize(
    ("ids", "token", "next_one"),
    [
        ([5], 9, 9),  # outside a name anything goes
        ([5, 1, 6, 2], 9, 9),
        ([5, 1, 6], 7, 7),
        ([5, 1, 6], 2, 2),
        ([5, 1, 6], 9, 2),  # the answer would end, or another name begin, within one
        ([5, 1, 6], 1, 2),
        ([5, 1], 2, 4),  # an empty name
        ([5, 1], 9, 4),
    ],
)
def test_a_name_that_is_opened_is_closed(ids: list[int], token: int, next_one: int) -> None:
    likes = torch.zeros(10).index_fill(0, torch.tensor([1, 2, 9]), 5.0)
    likes[4] = 3.0
    assert Marks(opens=1, closes=2).settle(ids, token, likes, stop_id=9) == next_one


def test_rows_of_a_batch_close_their_own_names(tiny: Any) -> None:
    free, held = Row(prompt(5, 0)), Row(prompt(5, 0))
    run(tiny.language, [free], limit=4)
    first, second = free.ids[:2]
    assert first != second
    run(tiny.language, [Row(prompt(4, 1)), held], limit=4, stop_id=second, marks=Marks(opens=first, closes=300))
    assert held.ids[0] == first and held.ids[1] not in (first, second, 300)  # not empty, although it would end there


@pytest.mark.parametrize("limit", [0, 1])
def test_the_limit_is_kept(tiny: Any, limit: int) -> None:
    row = Row(prompt(5, 0))
    run(tiny.language, [row], limit=limit)
    assert len(row.ids) == limit and not row.stopped and row.past_length == 5 + limit
