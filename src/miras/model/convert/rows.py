"""How many tokens a language model's tables have: LLaMA's 32,000, llava-hf's 32,064, or LISA's few more."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from miras.errors import CheckpointError
from miras.model.weights import Weights

__all__ = ["LLAMA_ROWS", "TABLES", "with_rows"]

LLAMA_ROWS = 32000
"""Tokens of LLaMA 1 and 2, and of Vicuna."""
TABLES = ("model.embed_tokens.weight", "lm_head.weight")
"""The input and the output embedding of a LlamaForCausalLM."""


def with_rows(state: Mapping[str, Tensor], rows: int, *, before: str = "") -> Weights:
    """The weights with tables of `rows` tokens: rows at the end are cut off, or made as the mean of all others.

    The mean is where a token starts that nobody has trained; llava-hf's own 64 rows were drawn at random around it.
    `before` stands before the tables' names. Raises CheckpointError for fewer than one row.
    """
    if rows < 1:
        raise CheckpointError(f"a vocabulary needs at least 1 row, got {rows}; leave the number out to keep them all")
    tables = {before + table for table in TABLES}
    return Weights({name: partial(_sized, state, name, rows if name in tables else None) for name in state})


def _sized(state: Mapping[str, Tensor], name: str, rows: int | None) -> Tensor:
    table = state[name]
    if rows is None or rows == len(table):
        return table
    if rows < len(table):
        return table[:rows]
    mean = table.float().mean(0, keepdim=True).to(table.dtype)
    return torch.cat([table, mean.expand(rows - len(table), -1)])
