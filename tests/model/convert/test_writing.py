"""Weights into files: shards within their limit, the same numbers, and files that stand for themselves."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from miras.model.convert.writing import write_shards, write_torch
from miras.model.weights import read_weights


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), limit=st.integers(4, 200))
def test_no_shard_passes_its_limit_but_by_a_single_weight(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    state = {f"w{n}": torch.full((size,), float(n)) for n, size in enumerate(sizes)}
    heard: list[int] = []
    write_shards(state, folder, limit=limit, done=heard.append)
    files = sorted(folder.glob("*.safetensors"))
    held = [read_weights(file) for file in files]
    assert all(sum(x.nbytes for x in shard.values()) <= limit or len(shard) == 1 for shard in held)
    assert sum(heard) == 4 * sum(sizes)
    found = {name: x for shard in held for name, x in shard.items()}
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], x) for name, x in state.items())
    if len(files) > 1:
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        assert index["metadata"] == {"total_size": 4 * sum(sizes)}
        assert index["weight_map"].keys() == state.keys()
        assert all(name in read_weights(folder / file) for name, file in index["weight_map"].items())


def test_views_and_shared_numbers_are_written_alone(tmp_path: Path) -> None:
    whole = torch.arange(3000.0).reshape(3, 1000)
    state = {"q": whole[0], "k": whole[1], "turned": whole.T, "again": whole[0]}
    write_shards(state, tmp_path)
    assert all(torch.equal(x, state[name]) for name, x in read_weights(tmp_path).items())
    write_torch({"q": whole[0]}, path := tmp_path / "q.pth")
    assert path.stat().st_size < 6000  # 4 bytes each, not those of the rows beside it


def test_another_dtype_is_for_floating_point_alone(tmp_path: Path) -> None:
    write_shards({"a": torch.ones(2), "n": torch.tensor([2**40])}, tmp_path, dtype=torch.bfloat16)
    found = read_weights(tmp_path)
    assert (found["a"].dtype, found["n"].dtype) == (torch.bfloat16, torch.int64)
