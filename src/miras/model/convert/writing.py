"""Weights into files: safetensors in shards with an index, as transformers writes them, or one file of torch's."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from miras.files import write_beside

__all__ = ["SHARD_BYTES", "write_shards", "write_torch"]

SHARD_BYTES = 2**30
"""Largest shard; about as much memory is needed to write it."""


def write_shards(
    state: Mapping[str, Tensor],
    folder: Path,
    *,
    limit: int = SHARD_BYTES,
    dtype: torch.dtype | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> None:
    """Write `model*.safetensors` and, for more than one, their index, into an existing folder.

    Each shard is put together, written and let go; `done` hears of the bytes. Floating-point weights take `dtype`.
    """
    shards = _shards(state, limit, dtype)
    names = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    names = names if len(names) > 1 else ["model.safetensors"]
    where: dict[str, str] = {}
    for file, shard in zip(names, shards, strict=True):
        # held by the call alone, so that no shard is still there while the next one is put together
        save_file({name: _plain(state[name], dtype) for name in shard}, folder / file, {"format": "pt"})
        (folder / file).chmod(0o644)  # written for its owner's eyes alone
        where |= dict.fromkeys(shard, file)
        done(sum(_size(state[name], dtype) for name in shard))
    if len(names) > 1:
        total = {"total_size": sum(_size(tensor, dtype) for tensor in state.values())}
        text = json.dumps({"metadata": total, "weight_map": dict(sorted(where.items()))}, indent=2)
        (folder / "model.safetensors.index.json").write_text(text + "\n", encoding="utf-8")


def write_torch(state: Mapping[str, Tensor], path: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write one file of torch's, whole or not at all, for programs that read nothing else."""
    with write_beside(path) as beside:
        torch.save({name: _plain(tensor, dtype) for name, tensor in state.items()}, beside)


def _plain(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Numbers of its own, in order: a view of another tensor would bring all of that along, and shared ones clash."""
    cast = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
    return cast.detach().clone(memory_format=torch.contiguous_format)


def _size(tensor: Tensor, dtype: torch.dtype | None) -> int:
    bytes_each = dtype.itemsize if dtype is not None and tensor.is_floating_point() else tensor.element_size()
    return tensor.numel() * bytes_each


def _shards(state: Mapping[str, Tensor], limit: int, dtype: torch.dtype | None) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    room = limit
    for name, tensor in state.items():
        if (size := _size(tensor, dtype)) > room and shards[-1]:
            shards.append([])
            room = limit
        shards[-1].append(name)
        room -= size
    return shards
