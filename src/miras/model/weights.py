"""Weights out of files: safetensors, torch's .pth, .pt and .bin, and folders of shards.

Tensors are mapped from disk or copied one by one when they are asked for, never read all at once: a folder of 13 GB
costs memory only where, and while, it is looked at. Only files from before torch 1.6 cannot be mapped and are read
whole. Of torch's files nothing but tensors is taken, since a pickle may hold code.
"""

import json
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from miras.errors import CheckpointError

__all__ = ["Weights", "read_config", "read_weights"]

_INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_TORCH = (".pth", ".pt", ".bin", ".ckpt")
_AROUND = ("state_dict", "model", "module")
"""Words under which some trainers put the state dict."""
_LEFT_OUT = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")
"""Files of torch that hold no weights, which trainers leave in the same folder."""


class Weights(Mapping[str, Tensor]):
    """Tensors by name, each made when it is asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], Tensor]]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, name: str) -> Tensor:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __or__(self, others: Mapping[str, Tensor]) -> "Weights":
        """These and others, which come first where both have a name."""
        return Weights(self._makers | {name: partial(others.__getitem__, name) for name in others})

    def only(self, names: Mapping[str, str]) -> "Weights":
        """Some of them, under other names."""
        return Weights({other: self._makers[name] for name, other in names.items()})


def read_weights(source: Path, *, mapped: bool = True) -> Weights:
    """All weights of a file or folder, mapped from disk.

    `mapped=False` copies those of safetensors when they are asked for: for readers who take each once, and whose
    resident memory should not count the file. Raises CheckpointError for what is not there, broken, incomplete, or
    would run code.
    """
    found = Weights({})
    for path in _files(source):
        here = _safetensors(path, mapped) if path.suffix == ".safetensors" else _torch(path)
        if twice := sorted(found.keys() & here.keys()):
            raise CheckpointError(f"every weight should be in one file, got {twice[0]} in {path} too; remove one")
        found = found | here
    if not found:
        raise CheckpointError(f"{source} should hold weights, got none; give a checkpoint")
    _check_index(source, found)
    return found


def _files(source: Path) -> list[Path]:
    """The files that hold a checkpoint: the file itself, or those of the folder."""
    if source.is_dir():
        return _in_folder(source)
    if not source.is_file():
        raise CheckpointError(f"weights should be at {source}, nothing is there; fetch them or correct the path")
    if source.suffix not in (".safetensors", *_TORCH):
        raise CheckpointError(
            f"weights are .safetensors or {', '.join(_TORCH)}, got {source}; give such a file or its folder"
        )
    return [source]


def _in_folder(folder: Path) -> list[Path]:
    """The shards of its index, else the whole as transformers names it, else what lies there, of one kind."""
    for index in (folder / name for name in _INDEX):
        if index.is_file():
            shards = sorted(set(_index(index).values()))
            if gone := [shard for shard in shards if not (folder / shard).is_file()]:
                raise CheckpointError(
                    f"{folder} lacks {gone[0]}: {index.name} names it and {gone[0]} is missing; fetch it again"
                )
            return [folder / shard for shard in shards]
    if whole := next((folder / name for name in _WHOLE if (folder / name).is_file()), None):
        return [whole]
    for kinds in ((".safetensors",), _TORCH):  # the same weights often lie beside each other in both
        if found := sorted(path for path in folder.iterdir() if path.suffix in kinds and path.name not in _LEFT_OUT):
            return found
    raise CheckpointError(
        f"{folder} holds no weights: .safetensors or {', '.join(_TORCH)} should be there, got neither; "
        "give another folder"
    )


def read_config(source: Path) -> dict[str, Any]:
    """`config.json` beside the weights; empty where there is none. Raises CheckpointError where it is broken."""
    path = (source if source.is_dir() else source.parent) / "config.json"
    if not path.is_file():
        return {}
    data = _json(path)
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} should hold settings by name, got {type(data).__name__}; fetch it again")
    return data


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); fetch it again") from error


def _index(path: Path) -> dict[str, str]:
    """Weight → its shard, a plain file name."""
    data = _json(path)
    shards = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise CheckpointError(f"{path} should map weights to files under weight_map; fetch it again")
    if away := next((name for name in shards.values() if Path(name).name != name), None):
        raise CheckpointError(f"shards should lie beside {path}, got {away!r}; fetch it again")
    return shards


def _check_index(source: Path, state: Mapping[str, Tensor]) -> None:
    for path in (source / name for name in _INDEX):
        if source.is_dir() and path.is_file():
            if lost := sorted(_index(path).keys() - state.keys()):
                raise CheckpointError(f"{path} promises {lost[0]}, its shard lacks it; fetch the folder again")
            return


def _safetensors(path: Path, mapped: bool) -> Weights:
    try:
        opened = safe_open(path, framework="pt", **({} if mapped else {"backend": "pread"}))
        return Weights({name: partial(opened.get_tensor, name) for name in opened.keys()})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is broken or cut off ({error}); fetch it again") from error


def _loaded(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, ValueError):  # a file from before torch 1.6 is no archive that could be mapped
        return torch.load(path, map_location="cpu", weights_only=True)


def _torch(path: Path) -> Weights:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of what it then refuses, and we say it below
            data = _loaded(path)
    except pickle.UnpicklingError as error:
        said = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path} should hold tensors alone, got other objects, which could run code and are not loaded ({said}); "
            "get the weights as .safetensors, or save their state dict anew where they come from"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} is broken or cut off ({error}); fetch it again") from error
    for name in _AROUND:
        if isinstance(data, dict) and isinstance(data.get(name), dict):
            data = data[name]
    if not isinstance(data, dict) or not all(isinstance(x, Tensor) for x in data.values()):
        odd = [str(k) for k, v in data.items() if not isinstance(v, Tensor)] if isinstance(data, dict) else []
        told = f"{', '.join(odd[:3])} are none" if odd else f"it holds {type(data).__name__}"
        raise CheckpointError(f"{path} should be a state dict of tensors by name, {told}; save its state dict alone")
    return Weights({str(name): partial(data.__getitem__, name) for name in data})
