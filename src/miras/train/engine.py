"""What moves the weights of a run: plain torch in one process, or DeepSpeed in many, behind one face.

Either way a batch's gradients are added to those of the step's other batches, wherever those run, and the step is
taken on their mean. A loss that is not finite makes its gradients so, hence the norm of all of them, and a step with
such a norm is left out by every process alike.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from miras.config import TrainConfig
from miras.data.collate import Collator
from miras.model.miras import Miras
from miras.train.engine_processes import Processes
from miras.train.stages import TextMode
from miras.train.state import MOMENTS, Moments, kept_weights
from miras.types import Batch, ModelOutput, Sample

__all__ = ["Engine", "Pass", "TorchEngine", "adamw", "fill_gradients", "poisoned", "set_rates", "trained_by_name"]


class Pass(nn.Module):
    """One batch through the model as one module; itself a text mode, for validation."""

    def __init__(self, model: Miras, mode: TextMode, *, autocast: bool = False, alike: bool = False) -> None:
        super().__init__()
        self.model, self.mode = model, mode
        self.autocast, self.alike = autocast, alike

    def forward(self, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor | None]:
        """The fields of a ModelOutput: DeepSpeed finds tensors in a dict, but not in an object.

        With `alike` a batch without targets gets one that no loss looks at: weights that are spread over processes
        are fetched by all of them together, so each must use every module.
        """
        if self.alike and not len(batch.seg_dialogue):
            batch = _with_silent_target(batch)
        with self._precision(batch.high.device):
            return vars(self.mode.run(self.model, batch, rng))

    def collate(self, collator: Collator, samples: Sequence[Sample]) -> Batch:
        """See TextMode."""
        return self.mode.collate(collator, samples)

    def run(self, model: Miras, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        """See TextMode; the model is this module's own."""
        return ModelOutput(**self(batch, rng))

    def _precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """On a GPU, bf16 for all that is fit for it; on a CPU, convolutions are faster in fp32."""
        return torch.autocast("cuda", torch.bfloat16) if self.autocast and device.type == "cuda" else nullcontext()


class Engine(Protocol):
    """Where the weights, their gradients and the optimizer's states are, and how a step is taken."""

    processes: Processes
    inner: Pass
    trained: dict[str, nn.Parameter]
    """The trained weights by name, in the optimizer's order."""

    def run(self, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        """One teacher-forced pass."""

    def gathering(self) -> AbstractContextManager[None]:
        """Around all batches of one step; at its end the gradients of all processes are together."""

    def backward(self, loss: Tensor) -> None:
        """Add a batch's gradients, divided by the batches of a step."""

    def step(self, share: float) -> float:
        """Take a step at this share of the peak learning rates, or leave it out; gives the norm of the gradients."""

    def weights(self) -> dict[str, Tensor]:
        """What is trained, and buffers, by name, whole and on the CPU: on the first process, nothing on the others."""

    def moments(self) -> Moments:
        """The optimizer's states by name, whole and on the CPU: on the first process, nothing on the others."""

    def load(self, moments: Moments) -> None:
        """Take up the states that `moments` gave, on any number of processes; the weights are there already."""


def adamw(config: TrainConfig, parts: Mapping[str, list[nn.Parameter]]) -> torch.optim.AdamW:
    """AdamW with two groups per part: matrices, which decay, and the rest, which does not."""
    groups: list[dict[str, Any]] = []
    for part, weights in parts.items():
        for decay, wide in ((config.weight_decay, True), (0.0, False)):
            chosen = [weight for weight in weights if (weight.ndim > 1) == wide]
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "peak": config.parts[part], "lr": 0.0})
    return torch.optim.AdamW(groups, betas=config.betas, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Set every group's learning rate to this share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def fill_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Give a gradient of zeros to what no batch of this process has touched; one of another process may have."""
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)


def poisoned(loss: Tensor) -> Tensor:
    """The loss, with gradients that are not finite where it is not, though parts of it may have finite ones."""
    return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)


def trained_by_name(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, nn.Parameter]:
    """The weights that an optimizer trains, by their names in the model, in the optimizer's order."""
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {names[id(weight)]: weight for group in optimizer.param_groups for weight in group["params"]}


def _with_silent_target(batch: Batch) -> Batch:
    """The batch with a [SEG] at the second place of its first dialogue, for the model and not for the loss."""
    one = batch.seg_dialogue.new_zeros(1)
    silent = copy(batch)
    silent.seg_dialogue, silent.seg_position, silent.obj_span = one, one + 1, (one + 1).expand(1, 2)
    return silent


class TorchEngine:
    """Plain torch in one process."""

    def __init__(
        self, config: TrainConfig, inner: Pass, parts: Mapping[str, list[nn.Parameter]], processes: Processes
    ) -> None:
        self.processes, self.inner = processes, inner
        self.optimizer = adamw(config, parts)
        self.trained = trained_by_name(inner.model, self.optimizer)
        self._clip, self._batches = config.clip, config.accumulate

    def run(self, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        """See Engine."""
        return ModelOutput(**self.inner(batch, rng))

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """See Engine."""
        yield
        fill_gradients(self.trained.values())

    def backward(self, loss: Tensor) -> None:
        """See Engine."""
        if loss.requires_grad:
            (poisoned(loss) / self._batches).backward()

    def step(self, share: float) -> float:
        """See Engine."""
        norm = float(nn.utils.clip_grad_norm_(self.trained.values(), self._clip))
        set_rates(self.optimizer, share)
        if math.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def weights(self) -> dict[str, Tensor]:
        """See Engine."""
        return {name: tensor.cpu() for name, tensor in kept_weights(self.inner.model).items()}

    def moments(self) -> Moments:
        """See Engine."""
        states = {
            name: self.optimizer.state[weight]
            for name, weight in self.trained.items()
            if weight in self.optimizer.state
        }
        steps = max((int(state["step"]) for state in states.values()), default=0)
        return Moments(steps, {kind: {name: state[kind].cpu() for name, state in states.items()} for kind in MOMENTS})

    def load(self, moments: Moments) -> None:
        """See Engine."""
        states: dict[int, dict[str, Tensor]] = {}
        for place, (name, weight) in enumerate(self.trained.items()):
            if name in moments.states[MOMENTS[0]]:
                # laid out as the weight is, which may hold its channels last
                mine = {kind: torch.empty_like(weight).copy_(moments.states[kind][name]) for kind in MOMENTS}
                states[place] = {"step": torch.tensor(float(moments.steps))} | mine
        self.optimizer.load_state_dict({"state": states, "param_groups": self.optimizer.state_dict()["param_groups"]})
