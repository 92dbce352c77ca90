"""Checkpoints in the layout of DeepSpeed's universal checkpoint: one folder per weight, one file per state of it.

DeepSpeed goes on from what is written here, and a run goes on from what DeepSpeed's `ds_to_universal` makes of a
checkpoint of its own. A run itself keeps one file (`miras.train.state`) and does not need this: a file is whole or
absent by one rename, no conversion stands between a killed run and the next, plain torch reads it too, and each part
keeps its own learning rate, where DeepSpeed's ZeRO-3 gives all groups the settings of the first.
"""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from miras.errors import CheckpointError
from miras.files import made_beside
from miras.train.state import MOMENTS, read

__all__ = ["UNIVERSAL", "read_universal", "shaped", "write_universal"]

UNIVERSAL = "universal"
"""Folder of a run's universal checkpoint, within that of the run."""

_LATEST = "latest_universal"
_OURS = "miras.pt"
_PREFIX = "model."
"""Before each name: what DeepSpeed runs is a module that holds the model under this name."""
_VERSION = "0.19.8"
"""Of DeepSpeed, whose layout this is; it asks."""


def write_universal(kept: Mapping[str, Any], folder: Path) -> None:
    """Write what a run keeps; the folder is whole or as it was."""
    tag = f"global_step{kept['step']}"
    optimizer = kept["optimizer"]
    step = torch.tensor(float(optimizer["steps"]))
    with made_beside(folder, replacing=("*",)) as place:
        zero = place / tag / "zero"
        for name, weight in kept["weights"].items():
            states = {"fp32": weight} | {kind: optimizer[kind][name] for kind in MOMENTS if name in optimizer[kind]}
            (zero / (_PREFIX + name)).mkdir(parents=True)
            for kind, tensor in states.items():
                torch.save({"param": tensor.contiguous()}, zero / (_PREFIX + name) / f"{kind}.pt")
            torch.save(step, zero / (_PREFIX + name) / "step.pt")
        # a group each, at least: without settings, those that the optimizer has are left
        groups: list[dict[str, Any]] = [{} for _ in kept["weights"]]
        inner = {"state": {0: {"step": step}}, "param_groups": groups}
        shared = {"ds_version": _VERSION, "param_groups": groups, "optimizer_state_dict": inner}
        torch.save(shared, zero / "optimizer_state.pt")
        counts = {
            "global_steps": kept["step"],
            "skipped_steps": kept["skipped"],
            "dp_world_size": 1,
            "mp_world_size": 1,
        }
        for start in ("", "zero_pp_rank_0_"):  # as ZeRO-2 and as ZeRO-3 look for it
            torch.save({"module": {}, **counts}, place / tag / f"{start}mp_rank_00_model_states.pt")
        ours = {name: kept[name] for name in ("config", "step", "lost", "skipped", "ema")}
        torch.save(ours, place / _OURS)
        (place / _LATEST).write_text(tag, encoding="utf-8")


def read_universal(folder: Path) -> dict[str, Any]:
    """What a run needs to go on, as `miras.train.state.read` gives it.

    From a folder that was not written here, every step counts as taken, and the running mean begins anew.
    Raises CheckpointError when the folder is none.
    """
    named = folder / _LATEST
    zero = folder / (named.read_text(encoding="utf-8").strip() if named.is_file() else ".") / "zero"
    places = {path.name: path for path in sorted(zero.glob("*")) if (path / f"{MOMENTS[0]}.pt").is_file()}
    if not places:
        raise CheckpointError(f"{folder} holds no universal checkpoint: zero/NAME/{MOMENTS[0]}.pt is not there")
    steps = {_steps(path) for path in places.values()}
    ours = read(folder / _OURS) if (folder / _OURS).is_file() else {}

    def all_of(kind: str, where: Mapping[str, Path] = places) -> dict[str, Any]:
        return {name.removeprefix(_PREFIX): _tensor(path / f"{kind}.pt") for name, path in where.items()}

    every = {path.name: path for path in zero.glob("*") if (path / "fp32.pt").is_file()} if ours else places
    weights = all_of("fp32", every)
    found = {"config": {}, "step": max(steps), "lost": 0, "skipped": 0, "ema": {}}
    optimizer = {"steps": max(steps), **{kind: all_of(kind) for kind in MOMENTS}}
    return {**found, **ours, "weights": weights, "optimizer": optimizer}


def shaped(kept: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """The same with tensors in the shapes of the model's: the conversion of a ZeRO-3 checkpoint leaves them flat."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}

    def each(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        fit = {name for name, tensor in tensors.items() if name in shapes and tensor.numel() == shapes[name].numel()}
        return {name: tensor.view(shapes[name]) if name in fit else tensor for name, tensor in tensors.items()}

    optimizer = kept["optimizer"] | {kind: each(kept["optimizer"][kind]) for kind in MOMENTS}
    return {**kept, "weights": each(kept["weights"]), "optimizer": optimizer}


class _Theirs:
    """Stands for objects of DeepSpeed's, of which nothing is needed."""

    def __init__(self, *_: Any) -> None:
        pass


def _tensor(path: Path) -> Tensor:
    found = _read(path)
    tensor: Tensor = found["param"] if isinstance(found, dict) else found
    return tensor


def _steps(place: Path) -> int:
    """The steps that one weight has taken. The conversion of a ZeRO-3 checkpoint keeps them in one file for all."""
    if (place / "step.pt").is_file():
        return int(_read(place / "step.pt"))
    return int(_read(place.parent / "optimizer_state.pt")["optimizer_state_dict"]["state"][0]["step"])


def _read(path: Path) -> Any:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(_Theirs, name) for name in names if name.startswith("deepspeed.")]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); convert or write the checkpoint again") from error
