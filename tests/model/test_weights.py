"""Files of weights: every kind is read, nothing runs code, whatever is broken or incomplete is told."""

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from miras.errors import CheckpointError
from miras.model.convert.writing import write_shards, write_torch
from miras.model.weights import read_config, read_weights


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16), "c": torch.tensor(3)}


def _same(got: Mapping[str, Tensor], state: dict[str, Tensor]) -> bool:
    same = all(torch.equal(got[name], x) and got[name].dtype == x.dtype for name, x in state.items())
    return got.keys() == state.keys() and same


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
def test_torch_files(tmp_path: Path, state: dict[str, Tensor], suffix: str) -> None:
    write_torch(state, path := tmp_path / f"weights{suffix}")
    assert _same(read_weights(path), state)
    assert _same(read_weights(tmp_path), state)


@pytest.mark.parametrize("word", ["state_dict", "model", "module"])
def test_a_state_dict_among_other_things(tmp_path: Path, state: dict[str, Tensor], word: str) -> None:
    torch.save({word: state, "epoch": 3}, path := tmp_path / "run.pth")
    assert _same(read_weights(path), state)


def test_files_from_before_torch_1_6(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, path := tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert _same(read_weights(path), state)


@pytest.mark.parametrize("limit", [16, 10**6])
def test_shards_and_their_index(tmp_path: Path, state: dict[str, Tensor], limit: int) -> None:
    write_shards(state, tmp_path, limit=limit)
    assert _same(read_weights(tmp_path), state)
    assert (tmp_path / "model.safetensors.index.json").exists() == (limit == 16)
    assert len(list(tmp_path.glob("*.safetensors"))) == (2 if limit == 16 else 1)


def test_torch_shards_with_an_index(tmp_path: Path, state: dict[str, Tensor]) -> None:
    names = {name: f"pytorch_model-{n:05d}-of-00003.bin" for n, name in enumerate(state, 1)}
    for name, file in names.items():
        torch.save({name: state[name]}, tmp_path / file)
    torch.save({"learning_rate": 1.0}, tmp_path / "training_args.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": names}))
    assert _same(read_weights(tmp_path), state)
    (tmp_path / "pytorch_model-00002-of-00003.bin").unlink()
    with pytest.raises(CheckpointError, match=r"pytorch_model-00002-of-00003\.bin is missing"):
        read_weights(tmp_path)
    torch.save({"d": state["b"]}, tmp_path / "pytorch_model-00002-of-00003.bin")
    with pytest.raises(CheckpointError, match="promises b, its shard lacks it"):
        read_weights(tmp_path)


def test_an_index_may_not_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": "../secret.bin"}}))
    with pytest.raises(CheckpointError, match=r"beside .* got '\.\./secret\.bin'"):
        read_weights(tmp_path)


def test_weights_are_mapped_not_read(tmp_path: Path) -> None:
    """A sparse file of 8 GB with one small and one huge tensor is opened at once and looked at where it is asked."""
    header = json.dumps(
        {
            "huge": {"dtype": "F32", "shape": [2**31 - 1], "data_offsets": [0, 4 * (2**31 - 1)]},
            "small": {"dtype": "F32", "shape": [1], "data_offsets": [4 * (2**31 - 1), 4 * 2**31]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    with (path := tmp_path / "sparse.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * 2**31)
    if path.stat().st_blocks > 1000:
        pytest.skip("this file system knows no sparse files")
    before = _anonymous()
    found = read_weights(path)
    assert found["huge"].shape == (2**31 - 1,)
    assert float(found["huge"][12345]) == 0.0
    assert _anonymous() - before < 2**28


def _anonymous() -> int:
    """Bytes of memory of this process that are no file's."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("needs Linux's /proc")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(_Evil.place),)

    place = Path()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, zipped: bool) -> None:
    _Evil.place = tmp_path / "owned"
    torch.save({"a": _Evil()}, path := tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"evil\.pth should hold tensors alone, .*could run code"):
        read_weights(path)
    assert not _Evil.place.exists()


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    _Evil.place = tmp_path / "owned"
    (path := tmp_path / "evil.bin").write_bytes(pickle.dumps({"a": _Evil()}))
    with pytest.raises(CheckpointError, match=r"evil\.bin"):
        read_weights(path)
    assert not _Evil.place.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_cut_off_files_are_told(tmp_path: Path, state: dict[str, Tensor], suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CheckpointError, match="broken or cut off"):
        read_weights(path)


def test_what_is_no_state_dict_is_told(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state | {"step": 3}, path := tmp_path / "run.pth")
    with pytest.raises(CheckpointError, match="tensors by name, step are none"):
        read_weights(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="it holds list"):
        read_weights(path)


def test_the_same_weight_in_two_files_is_refused(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "one.safetensors")
    save_file({"b": state["b"]}, tmp_path / "two.safetensors")
    with pytest.raises(CheckpointError, match=r"got b in .*two\.safetensors too"):
        read_weights(tmp_path)


def test_missing_and_strange_sources_are_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing is there"):
        read_weights(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="got neither"):
        read_weights(tmp_path)
    (note := tmp_path / "note.txt").write_text("weights")
    with pytest.raises(CheckpointError, match=r"got .*note\.txt"):
        read_weights(note)
    save_file({}, empty := tmp_path / "empty.safetensors")
    with pytest.raises(CheckpointError, match="got none"):
        read_weights(empty)


def test_the_configuration_beside_weights(tmp_path: Path) -> None:
    assert read_config(tmp_path) == {}
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    assert read_config(tmp_path / "weights.bin") == read_config(tmp_path) == {"hidden_size": 8}
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="got list"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_config(tmp_path)
