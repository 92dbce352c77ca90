"""DeepSpeed's ZeRO as an engine: optimizer states and gradients, with ZeRO-3 weights too, spread over processes.

Weights stay in the dtypes that they have: what is trained in fp32, which is its own master copy, what is frozen in
bf16 where `precision` says so, and a GPU computes under autocast, exactly as the other engine does. DeepSpeed's own
bf16 mode would round the trained weights, and the two engines would no longer be one run.

Gradients of a step's batches are added up in each process and reduced once, in the optimizer's order. DeepSpeed's
way, reducing after every batch in the order in which gradients arrive, mixes up weights where that order depends on
what a batch holds, as it does here: a batch without targets never reaches the mask decoder.
"""

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from miras.config import TrainConfig
from miras.train.engine import Pass, adamw, fill_gradients, poisoned, set_rates, trained_by_name
from miras.train.engine_processes import Processes
from miras.train.state import MOMENTS, Moments, kept_weights
from miras.types import Batch, ModelOutput

__all__ = ["DeepSpeedEngine"]

_BUCKET = 500_000_000
"""Most elements that are sent at once, as in the authors' configuration."""
_WHOLE = 100_000
"""Weights of at most so many elements stay whole in every process with ZeRO-3."""


class DeepSpeedEngine:
    """ZeRO-2 or ZeRO-3 over any number of processes."""

    def __init__(
        self, config: TrainConfig, inner: Pass, parts: Mapping[str, list[nn.Parameter]], processes: Processes
    ) -> None:
        self.processes, self.inner = processes, inner
        self._sharded = config.zero == 3
        client = adamw(config, parts)
        self.trained = trained_by_name(inner.model, client)
        settings = _settings(config, processes.count, sum(weight.numel() for weight in self.trained.values()))
        if self._sharded:
            zero = settings["zero_optimization"]
            zero["stage3_param_persistence_threshold"] = max(zero["stage3_param_persistence_threshold"], _loose(inner))
        _prepare(inner.model)
        with _quiet(processes.device) as deepspeed:
            self._engine: Any = deepspeed.initialize(model=inner, optimizer=client, config=settings)[0]
            self._safe: Any = deepspeed.utils
        self._zero = self._engine.optimizer
        self._base = self._zero.optimizer
        self._engine.set_gradient_accumulation_boundary(True)  # every `gathering` is followed by one step
        # made here, as DeepSpeed finds only those of the first group once a step has made them
        for flat in self._flat():
            states = {kind: torch.zeros_like(flat) for kind in MOMENTS}
            self._base.state[flat] = {"step": torch.zeros((), device=flat.device), **states}
        if not self._sharded:
            self._zero._lazy_init_hp_params_optimizer_state()
        elif whole := self._zero.persistent_parameters:
            whole[0].all_gather(whole)  # from the start, not only from the first step on

    def run(self, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        """See Engine."""
        return ModelOutput(**self._engine(batch, rng))

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """See Engine."""
        with self._engine.coalesce_grad_reduction():
            yield
            if not self._sharded:
                fill_gradients(self.trained.values())

    def backward(self, loss: Tensor) -> None:
        """See Engine."""
        if loss.requires_grad:
            self._engine.backward(poisoned(loss))

    def step(self, share: float) -> float:
        """See Engine."""
        set_rates(self._base, share)
        self._engine.step()
        return float(self._engine.get_global_grad_norm())

    def weights(self) -> dict[str, Tensor]:
        """See Engine."""
        whole = {
            name: tensor.cpu() for name, tensor in kept_weights(self.inner.model).items() if name not in self.trained
        }
        return whole | self._collected(lambda weight: self._safe.safe_get_full_fp32_param(weight))

    def moments(self) -> Moments:
        """See Engine."""

        def read(kind: str) -> dict[str, Tensor]:
            return self._collected(lambda weight: self._safe.safe_get_full_optimizer_state(weight, kind))

        steps = {int(state["step"]) for state in self._base.state.values()}
        return Moments(max(steps), {kind: read(kind) for kind in MOMENTS})

    def load(self, moments: Moments) -> None:
        """See Engine."""
        for state in self._base.state.values():
            state["step"].fill_(moments.steps)
        for kind in MOMENTS:
            for name, value in moments.states[kind].items():
                self._put(self.trained[name], value.to(self.processes.device, torch.float32), kind)

    def _put(self, weight: nn.Parameter, value: Tensor, kind: str) -> None:
        if not self._sharded:
            self._safe.safe_set_full_optimizer_state(weight, value, kind)
            return
        size = self._safe.safe_get_local_optimizer_state(weight, kind).numel()
        spread = value.new_zeros(size * self.processes.count)  # parts are of one size, the last one padded
        spread[: value.numel()] = value.flatten()
        self._safe.safe_set_local_optimizer_state(weight, spread[size * self.processes.rank :][:size], kind)

    def _collected(self, read: Callable[[nn.Parameter], Tensor]) -> dict[str, Tensor]:
        """Of every trained weight; all processes read, one after the other, and the first keeps what comes."""
        kept = {}
        for name, weight in self.trained.items():
            whole = read(weight)
            if self.processes.first:
                kept[name] = whole.cpu()
        return kept

    def _flat(self) -> list[Tensor]:
        """This process's part of the trained weights, one tensor per group."""
        if self._sharded:
            return list(self._zero.fp32_partitioned_groups_flat)
        return list(self._zero.single_partition_of_fp32_groups)


def _prepare(model: nn.Module) -> None:
    """Leave out parts without values, which take no part in a step, and lay weights out in rows, as they are sent."""
    for name, part in model.named_children():
        if any(weight.is_meta for weight in part.parameters()):
            setattr(model, name, nn.Module())
    for weight in model.parameters():
        weight.data = weight.data.clone(memory_format=torch.contiguous_format)


def _loose(module: nn.Module) -> int:
    """Elements of the largest weight that is used outside a call of its own module, so that no call fetches it."""
    silent = [part for part in module.modules() if type(part).forward is nn.Module.forward]
    return max((weight.numel() for part in silent for weight in part.parameters(recurse=False)), default=0)


def _settings(config: TrainConfig, processes: int, trained: int) -> dict[str, Any]:
    """DeepSpeed's configuration, `deepspeed` of ours laid over it."""
    bucket = min(_BUCKET, trained)
    zero: dict[str, Any] = {
        "stage": config.zero,
        "contiguous_gradients": True,
        # one reduction per step has no backward pass to overlap with
        "overlap_comm": False,
        "reduce_scatter": True,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": bucket,
        "stage3_param_persistence_threshold": _WHOLE,
    }
    return _over(
        {
            "train_micro_batch_size_per_gpu": config.images,
            "gradient_accumulation_steps": config.accumulate // processes,
            "gradient_clipping": config.clip,
            "zero_optimization": zero,
            "zero_force_ds_cpu_optimizer": False,
        },
        config.deepspeed,
    )


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    inside = {name: _over(below[name], value) for name, value in above.items() if isinstance(below.get(name), dict)}
    return below | dict(above) | inside


@contextmanager
def _quiet(device: torch.device) -> Iterator[Any]:
    """The package, told of the device; within, what it prints goes nowhere."""
    os.environ.setdefault("LOCAL_RANK", "0")  # it insists, also in a process that was started alone
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    with redirect_stdout(io.StringIO()):
        import deepspeed

        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
        if device.type == "cpu":
            # it would be compiled, for a way of talking that training does not use
            deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield deepspeed
    # of torch's, about how DeepSpeed calls it
    warnings.filterwarnings("ignore", "`torch.distributed.", FutureWarning)
