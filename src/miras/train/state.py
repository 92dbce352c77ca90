"""What is kept of a run between two starts: weights, their running mean, optimizer, step and random states."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from miras.errors import CheckpointError

__all__ = ["LAST", "Ema", "get_rng", "kept_weights", "lay_over", "read", "set_rng", "write"]

LAST = "last.pt"
"""File of a run's last checkpoint, in its folder."""

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
    """Write a checkpoint beside its place, then rename it: there is always a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    torch.save(dict(kept), beside)
    beside.replace(path)


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU. Raises CheckpointError when it cannot be read."""
    try:
        kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is no whole checkpoint ({error}); delete it to start again") from error
    return kept


def get_rng() -> dict[str, Any]:
    """States of torch's random generators, as dropout uses them; data has seeds of its own."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def set_rng(states: Mapping[str, Any]) -> None:
    """Put back what `get_rng` gave, as far as this machine has those devices."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
