"""Greedy decoding against the same computed from nothing at every step."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from miras.model.generation import READ_AT_ONCE, Decoding, Marks, Row, generate
from miras.model.language import Language


def run(language: Language, rows: list[Row], limit: int = 6, **changes: Any) -> list[list[Row]]:
    for row in rows:
        row.limit = limit
    return list(generate(Decoding(language, **{"stop_id": 322} | changes), rows))


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
    run(tiny.language, rows, stop_id=stop)
    assert rows[0].stopped and rows[0].ids == ids[: ids.index(stop)]
    assert rows[0].past_length == 5 + len(rows[0].ids) and len(rows[0].states) == 1 + len(rows[0].ids)
    alone = Row(prompt(4, 1))
    run(tiny.language, [alone], stop_id=stop)
    assert rows[1].ids == alone.ids


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


ARRIVAL = st.tuples(st.integers(1, 150), st.integers(0, 9), st.integers(0, 12), st.none() | st.integers(1, 5))
"""Length of a prompt, its limit, the step at which it joins, and after how many steps it leaves, if it does."""


@settings(max_examples=20)
@given(st.lists(ARRIVAL, min_size=1, max_size=6))
def test_rows_that_come_and_go_are_as_when_alone(tiny: Any, arrivals: list[tuple[int, int, int, int | None]]) -> None:
    decoding, rows, left = Decoding(tiny.language, stop_id=322), dict[int, Row](), set[int]()
    for step in range(60):
        for index, (length, limit, join, leave) in enumerate(arrivals):
            if step == join:
                rows[index] = Row(prompt(length, length), limit=limit)
                decoding.join(rows[index])
            elif leave is not None and step == join + leave and not rows[index].ended:
                decoding.leave(rows[index])
                left.add(index)
        decoding.read()
        decoding.step()
    assert not decoding.rows
    for index, (length, limit, *_) in enumerate(arrivals):
        alone = Row(prompt(length, length))
        run(tiny.language, [alone], limit=limit)
        row = rows[index]
        assert row.ids == alone.ids[: len(row.ids)] if index in left else row.ids == alone.ids and row.ended
        if index in left:
            assert row.past is None
            continue
        assert row.past is not None and alone.past is not None
        for (keys, values), (other_keys, other_values) in zip(row.past, alone.past, strict=True):
            assert torch.allclose(keys, other_keys, atol=1e-4) and torch.allclose(values, other_values, atol=1e-4)


def test_a_row_that_leaves_disturbs_none_that_waits_with_a_past(tiny: Any) -> None:
    """Who waits holds no slot yet, however much its past says."""
    earlier = [Row(prompt(4 + number, number)) for number in range(6)]
    run(tiny.language, earlier, limit=2)
    alone = [Row(prompt(3, number), row.past, limit=4) for number, row in enumerate(earlier)]
    for row in alone:
        list(generate(Decoding(tiny.language, stop_id=322), [row]))
    batch, going = Decoding(tiny.language, stop_id=322), Row(prompt(5, 9), limit=9)
    batch.join(going)
    batch.read()
    batch.step()
    later = [Row(prompt(3, number), row.past, limit=4) for number, row in enumerate(earlier)]
    for row in later:
        batch.join(row)
    batch.leave(going)
    while batch.read():
        pass
    while batch.rows:
        batch.step()
    assert [row.ids for row in later] == [row.ids for row in alone]


def test_long_prompts_are_read_in_pieces(tiny: Any) -> None:
    decoding, short, long = (
        Decoding(tiny.language, stop_id=322),
        Row(prompt(5, 0)),
        Row(prompt(2 * READ_AT_ONCE + 1, 1)),
    )
    for row in (long, short):
        decoding.join(row)
    assert [decoding.read() for _ in range(4)] == [True, True, False, False] and long.read == 2 * READ_AT_ONCE + 1
    assert decoding.step() == [long, short]


def test_what_nobody_reads_is_written_alone(tiny: Any) -> None:
    decoding = Decoding(tiny.language, stop_id=322)
    assert not decoding.read() and decoding.step() == []
    decoding.join(Row(prompt(5, 0)))
    assert decoding.step() == []
