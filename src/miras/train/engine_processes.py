"""The processes of a run: which one this is, on which device, and what they tell each other.

torchrun and DeepSpeed's launcher start the same command once per device and say in the environment which one each is.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from miras.config import TrainConfig
from miras.errors import ConfigError

__all__ = ["Processes", "joined"]

_Thing = TypeVar("_Thing")

_PATIENCE = timedelta(hours=2)
"""How long a process waits for the others, who may be computing text states or writing a checkpoint."""


@dataclass(frozen=True)
class Processes:
    """One process among `count`; alone, it says nothing to anybody."""

    device: torch.device
    rank: int = 0
    """Which one this is, from 0, which alone prints and writes."""
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that prints and writes."""
        return self.rank == 0

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each value added up over all processes; every process must ask."""
        if self.count == 1:
            return list(values)
        added = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(added)
        return [float(value) for value in added.tolist()]

    def gathered(self, thing: _Thing) -> list[_Thing]:
        """What each process has, in order of their ranks; every process must ask."""
        if self.count == 1:
            return [thing]
        things: list[Any] = [None] * self.count
        dist.all_gather_object(things, thing)
        return things

    def wait(self) -> None:
        """Until all processes have come here."""
        self.sums([0.0])

    def share(self, things: Sequence[_Thing]) -> Iterator[tuple[_Thing, bool]]:
        """Those of `things` that are this process's, and whether each counts.

        Every process gets as many, so that weights spread over all can be fetched together; what one has too many
        does not count.
        """
        for begin in range(0, len(things), self.count):
            index = begin + self.rank
            yield things[min(index, len(things) - 1)], index < len(things)

    @contextmanager
    def one_by_one(self) -> Iterator[None]:
        """The first process runs the block alone, the others after it: what it leaves in a folder they find."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


@contextmanager
def joined(config: TrainConfig) -> Iterator[Processes]:
    """Within, this process and those that were started with it are one run.

    Raises ConfigError when they cannot be: engine torch with several, DeepSpeed missing, a number that does not
    divide `accumulate`, or a device that is not there.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    _check(config, count)
    device = _device(config.device, int(os.environ.get("LOCAL_RANK", "0")) if count > 1 else None)
    if config.engine == "torch":
        yield Processes(device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    alone = dist.HashStore() if count == 1 else None
    dist.init_process_group(backend, timeout=_PATIENCE, store=alone, rank=rank, world_size=count)
    try:
        yield Processes(device, rank, count)
    finally:
        dist.destroy_process_group()


def _check(config: TrainConfig, count: int) -> None:
    if config.engine == "deepspeed" and find_spec("deepspeed") is None:
        raise ConfigError(
            "engine deepspeed needs a package that is not here; pip install 'miras[scale]', or engine=torch"
        )
    if config.engine == "torch" and count > 1:
        raise ConfigError(f"engine torch runs in one process, got {count}; set engine=deepspeed or start one")
    if config.accumulate % count:
        fit = [str(number) for number in range(1, config.accumulate + 1) if config.accumulate % number == 0]
        raise ConfigError(
            f"accumulate is {config.accumulate} batches per step, which {count} processes cannot share evenly; "
            f"start {' or '.join(fit)}, or set accumulate to a multiple of {count}"
        )


def _device(name: str, local: int | None) -> torch.device:
    """The device of that name, of several processes on one machine each its own.

    Raises ConfigError when this machine does not have it.
    """
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    if chosen == "cuda" and local is not None:
        chosen = f"cuda:{local}"
    try:
        return torch.empty(0, device=chosen).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name} cannot be used here ({error}); write auto or cpu") from error
