"""Vocabularies of other sizes: which rows stay, what new ones hold."""

import pytest
import torch

from miras.errors import CheckpointError
from miras.model.convert.rows import TABLES, with_rows


def test_new_rows_are_the_mean_and_old_ones_stay() -> None:
    state = {name: torch.tensor([[1.0, 2.0], [3.0, 6.0]]) for name in TABLES} | {"model.norm.weight": torch.ones(2)}
    grown = with_rows(state, 4)
    assert grown["lm_head.weight"].tolist() == [[1, 2], [3, 6], [2, 4], [2, 4]]
    assert grown["model.norm.weight"] is state["model.norm.weight"]
    assert with_rows(grown, 2)["model.embed_tokens.weight"].tolist() == [[1, 2], [3, 6]]
    assert len(state["lm_head.weight"]) == 2


def test_half_precision_and_prefixes() -> None:
    state = {"language.lm_head.weight": torch.full((3, 1), 0.1, dtype=torch.float16)}
    grown = with_rows(state, 5, before="language.")["language.lm_head.weight"]
    assert grown.dtype == torch.float16
    assert grown.unique().tolist() == state["language.lm_head.weight"].unique().tolist()


def test_no_rows_are_refused() -> None:
    with pytest.raises(CheckpointError, match="at least 1 row, got 0"):
        with_rows({}, 0)
