"""Weights out of files: safetensors, torch's .pth, .pt and .bin, and folders of shards.

Tensors are mapped from disk, not read: a folder of 13 GB costs memory only where, and while, it is looked at. Only
files from before torch 1.6 cannot be mapped and are read whole. Of torch's files nothing but tensors is taken, since
a pickle may hold code.
"""

import json
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from miras.errors import CheckpointError

__all__ = ["read_config", "read_weights", "weight_files"]

_INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_TORCH = (".pth", ".pt", ".bin", ".ckpt")
_AROUND = ("state_dict", "model", "module")
"""Words under which some trainers put the state dict."""
_LEFT_OUT = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")
"""Files of torch that hold no weights, which trainers leave in the same folder."""


def read_weights(source: Path) -> dict[str, Tensor]:
    """All weights of a file or folder, mapped from disk.

    Raises CheckpointError for what is not there, broken, incomplete, or would run code.
    """
    state: dict[str, Tensor] = {}
    for path in weight_files(source):
        found = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
        if twice := sorted(state.keys() & found.keys()):
            raise CheckpointError(f"every weight should be in one file, got {twice[0]} in {path} too; remove one")
        state |= found
    if not state:
        raise CheckpointError(f"{source} should hold weights, got none; give a checkpoint")
    _check_index(source, state)
    return state


def weight_files(source: Path) -> list[Path]:
    """The files that hold a checkpoint: the file itself, the shards of an index, or what lies in the folder."""
    if source.is_file():
        if source.suffix not in (".safetensors", *_TORCH):
            raise CheckpointError(
                f"weights are .safetensors or {', '.join(_TORCH)}, got {source}; give such a file or its folder"
            )
        return [source]
    if not source.is_dir():
        raise CheckpointError(f"weights should be at {source}, nothing is there; fetch them or correct the path")
    for name in _INDEX:
        if (source / name).is_file():
            return [source / shard for shard in sorted(set(_index(source / name).values()))]
    for kinds in ((".safetensors",), _TORCH):  # the same weights often lie beside each other in both
        found = [path for path in source.iterdir() if path.suffix in kinds and path.name not in _LEFT_OUT]
        if found:
            return sorted(found)
    raise CheckpointError(f"{source} should hold .safetensors or {', '.join(_TORCH)}, got neither; give another folder")


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


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is missing, broken or cut off ({error}); fetch it again") from error


def _loaded(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, ValueError):  # a file from before torch 1.6 is no archive that could be mapped
        return torch.load(path, map_location="cpu", weights_only=True)


def _torch(path: Path) -> dict[str, Tensor]:
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
        raise CheckpointError(f"{path} is missing, broken or cut off ({error}); fetch it again") from error
    for name in _AROUND:
        if isinstance(data, dict) and isinstance(data.get(name), dict):
            data = data[name]
    if not isinstance(data, dict) or not all(isinstance(x, Tensor) for x in data.values()):
        odd = [str(k) for k, v in data.items() if not isinstance(v, Tensor)] if isinstance(data, dict) else []
        told = f"{', '.join(odd[:3])} are none" if odd else f"it holds {type(data).__name__}"
        raise CheckpointError(f"{path} should be a state dict of tensors by name, {told}; save its state dict alone")
    return {str(name): tensor for name, tensor in data.items()}
