"""What is kept of a run between two starts: weights, their running mean, the optimizer's states and the step.

All of it goes by the weights' names and is whole, so any engine can go on from it, on any number of processes.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from miras.errors import CheckpointError

__all__ = ["LAST", "MOMENTS", "Ema", "Moments", "kept_weights", "lay_over", "read", "write"]

LAST = "last.pt"
"""File of a run's last checkpoint, in its folder."""
MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's running means of the gradients and of their squares, by the names that torch and DeepSpeed give them."""

_EMA_START = 20
"""The running mean forgets faster at first: at step s it keeps at most s / (s + _EMA_START) of itself."""


def kept_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's own tensors, by name, that training changes: trained parameters, and saved buffers."""
    saved = model.state_dict(keep_vars=True)
    buffers = dict(model.named_buffers())
    return {
        name: tensor.detach()
        for name, tensor in saved.items()
        if tensor.device.type != "meta" and (tensor.requires_grad or name in buffers)
    }


@torch.no_grad()
def lay_over(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into a model. Raises CheckpointError for a name or shape that it does not have."""
    own = model.state_dict()
    for name, tensor in weights.items():
        if name not in own or own[name].shape != tensor.shape:
            got = tuple(own[name].shape) if name in own else "no such weight"
            raise CheckpointError(
                f"{name} of the run is {tuple(tensor.shape)}, the model has {got}; is it another one?"
            )
        own[name].copy_(tensor)


@dataclass
class Moments:
    """AdamW's states of all trained weights."""

    steps: int
    """Steps taken, those left out not counted."""
    states: dict[str, dict[str, Tensor]]
    """Each of MOMENTS → name of a weight → a tensor of its shape."""

    @classmethod
    def of(cls, kept: Mapping[str, Any], names: Sequence[str]) -> "Moments":
        """From a checkpoint's `optimizer`; `names` are the trained weights in the optimizer's order.

        Checkpoints once held torch's own states, which go by their place in that order.
        """
        if "steps" in kept:
            return cls(kept["steps"], {kind: kept[kind] for kind in MOMENTS})
        places = {names[place]: state for place, state in kept["state"].items()}
        steps = max((int(state["step"]) for state in places.values()), default=0)
        return cls(steps, {kind: {name: state[kind] for name, state in places.items()} for kind in MOMENTS})

    def kept(self) -> dict[str, Any]:
        """As a checkpoint holds them."""
        return {"steps": self.steps, **self.states}


class Ema:
    """The running mean of some tensors; with decay 0 they are their own mean."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.live = dict(weights)
        self.mean = {name: tensor.clone() for name, tensor in weights.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the tensors as they are after `step` steps."""
        if self.mean:
            keep = min(self.decay, step / (step + _EMA_START))
            torch._foreach_lerp_(list(self.mean.values()), [self.live[name] for name in self.mean], 1 - keep)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the tensors hold their mean."""
        own = {name: self.live[name].clone() for name in self.mean}
        self._put(self.mean)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, tensor in values.items():
            self.live[name].copy_(tensor)


def write(path: Path, kept: Mapping[str, Any]) -> None:
    """Write a checkpoint beside its place, then rename it: there is always a whole one, the older until then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        torch.save(dict(kept), file)
        file.flush()
        os.fsync(file.fileno())  # a machine that goes down right after the rename must not lose what was renamed
    beside.replace(path)


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU, its tensors read from the file when they are used.

    Raises CheckpointError when it cannot be read.
    """
    try:
        kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, UnpicklingError) as error:
        raise CheckpointError(f"{path} is no whole checkpoint ({error}); delete it to start again") from error
    return kept
