"""The training loop: the same for all stages, engines and numbers of processes, stopped and resumed at any step.

A step is the mean over `accumulate` batches, which go by their number: batch n of a run is number n mod `accumulate`
of its step. Of W processes, number r takes the batches n with n mod W = r. So what a batch holds, what is random
in it, its loss and the gradient of the step do not depend on W, nor on where the run was stopped.
"""

import math
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from miras.config import TrainConfig
from miras.errors import MirasError
from miras.model.losses import Losses, compute_losses
from miras.model.miras import Miras
from miras.train.batches import Batches, loader
from miras.train.engine import Engine
from miras.train.logs import RunLog, mean_of
from miras.train.stages import TextMode
from miras.train.state import LAST, Ema, Moments, write
from miras.train.universal import UNIVERSAL, write_universal
from miras.types import Batch

__all__ = ["LOST", "Training", "learning_share"]

LOST = 20
"""Steps in a row whose loss is not finite after which a run ends."""


def learning_share(config: TrainConfig, step: int) -> float:
    """The share of the learning rates at a step, counted from 0: a linear warm-up, then the schedule's fall."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    past = (step - config.warmup) / (config.steps - config.warmup)
    left = 1 - past if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * past))
    return config.lr_floor + (1 - config.lr_floor) * left


@dataclass
class Training:
    """One run from where it stands to its end."""

    config: TrainConfig
    engine: Engine
    batches: Batches
    ema: Ema
    validate: Callable[[], dict[str, Any]] | None = None
    """Gives the figures of a validation, of the model as it is when called."""
    step: int = 0
    """Steps done."""
    lost: int = 0
    """Steps in a row, up to now, whose loss was not finite."""
    skipped: int = 0
    """All steps whose loss was not finite."""
    _rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Of the checkpoint."""
        return Path(self.config.run) / LAST

    @property
    def model(self) -> Miras:
        """The model that is trained."""
        return self.engine.inner.model

    @property
    def mode(self) -> TextMode:
        """How batches run through it."""
        return self.engine.inner.mode

    def save(self) -> None:
        """Write the checkpoint: every process gives its part, the first writes, and all wait until it is whole."""
        weights, moments = self.engine.weights(), self.engine.moments()
        if self.engine.processes.first:
            kept = {
                "config": asdict(self.config), "step": self.step, "lost": self.lost, "skipped": self.skipped,
                "weights": weights, "ema": self.ema.mean, "optimizer": moments.kept(),
            }  # fmt: skip
            write(self.path, kept)
            if self.config.universal:
                write_universal(kept, self.path.with_name(UNIVERSAL))
        self.engine.processes.wait()

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from what `save` kept; the weights are in the model already, the config is not looked at."""
        with torch.no_grad():
            for name, tensor in kept["ema"].items():
                self.ema.mean[name].copy_(tensor)
        self.engine.load(Moments.of(kept["optimizer"], list(self.engine.trained)))
        self.step, self.lost, self.skipped = kept["step"], kept["lost"], kept["skipped"]

    def run(self, log: RunLog) -> bool:
        """Train to the last step, the time limit or an interrupt. True when the last step is done.

        Raises KeyboardInterrupt after an interrupt of any process, the checkpoint written.
        """
        config, processes, start = self.config, self.engine.processes, time.monotonic()
        saved = seen = start
        coming = loader(self.batches, self.step * config.accumulate + processes.rank, processes.count)
        with _interrupts() as interrupted:
            while self.step < config.steps:
                self._step(coming)
                log.step(self.step)
                last, now = self.step == config.steps, time.monotonic()
                if self.step % config.log_every == 0 or last:
                    peak = max(processes.gathered(_peak_gib(processes.device)))
                    log.row(self.step, {**mean_of(self._rows), "skipped": self.skipped, "peak_gib": peak})
                    self._rows.clear()
                wanted = (
                    bool(interrupted),
                    config.minutes is not None and now - start > config.minutes * 60,
                    now - saved > config.checkpoint_minutes * 60,
                    now - seen > config.validate_minutes * 60,
                )
                # what one process wants, or its clock says, all do after the same step
                stopped, over, save, look = (bool(said) for said in processes.sums([float(want) for want in wanted]))
                stop = last or over or stopped
                if stop or save:
                    self.save()
                    saved = now
                if stopped:
                    raise KeyboardInterrupt
                if self.validate and (stop or look):
                    with self.ema.applied():
                        log.validation(self.step, self.validate())
                    seen = time.monotonic()
                if stop:
                    break
        return self.step == config.steps

    def _step(self, coming: Iterator[Batch]) -> None:
        """One optimizer step; it is left out when its loss or gradient is not finite."""
        config, processes, began, waited = self.config, self.engine.processes, time.perf_counter(), 0.0
        share = learning_share(config, self.step)
        rows: list[dict[str, torch.Tensor]] = []
        with self.engine.gathering():
            for part in range(processes.rank, config.accumulate, processes.count):
                asked = time.perf_counter()
                batch = next(coming)
                waited += time.perf_counter() - asked
                losses = self._losses(batch, self.step * config.accumulate + part)
                self.engine.backward(losses.total)
                rows.append(_figures(losses, batch))
        sums = processes.sums([sum(float(row[name]) for row in rows) for name in rows[0]])
        norm = self.engine.step(share)
        finite = math.isfinite(norm)
        self.step += 1
        self._count(finite)
        if finite:
            self.ema.update(self.step)
            seconds = time.perf_counter() - began
            means = {name: value / config.accumulate for name, value in zip(rows[0], sums, strict=True)}
            tokens = means.pop("tokens") * config.accumulate
            speed = {"seconds_per_step": seconds, "samples_per_second": config.images * config.accumulate / seconds}
            if tokens:
                speed["tokens_per_second"] = tokens / seconds
            self._rows.append({**means, "lr_share": share, "grad_norm": norm, **speed, "waited_seconds": waited})

    def _count(self, finite: bool) -> None:
        self.lost = 0 if finite else self.lost + 1
        self.skipped += not finite
        if self.lost >= LOST:
            raise MirasError(
                f"the loss was not finite for {LOST} steps in a row, up to step {self.step}; lower the learning rates "
                f"of parts and start again from {self.path} or from the beginning"
            )

    def _losses(self, batch: Batch, number: int) -> Losses:
        batch = batch.to(self.engine.processes.device)
        batch.high = batch.high.contiguous(memory_format=torch.channels_last)
        torch.manual_seed(int(np.random.default_rng([self.config.seed, number, 3]).integers(2**63)))
        output = self.engine.run(batch, np.random.default_rng([self.config.seed, number, 2]))
        return compute_losses(output, batch, self.config.loss)


def _figures(losses: Losses, batch: Batch) -> dict[str, torch.Tensor]:
    """What is logged of one batch."""
    terms = {name: getattr(losses, name).detach() for name in ("text", "bce", "dice", "iou", "naming", "seen_iou")}
    return {
        "loss": losses.total.detach(), **terms,
        "targets": torch.tensor(len(batch.phrases)), "tokens": batch.attention_mask.sum(),
    }  # fmt: skip


def _peak_gib(device: torch.device) -> float:
    """The most memory that this process has held, in GiB: of its GPU, or of the machine where it has none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects interrupts, so that a step is never cut in two; a second one from the keyboard ends the process at once.

    A launcher asks with SIGTERM, and may do so again, or after a Ctrl-C that has come to all processes already.
    """
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT in seen:
            raise KeyboardInterrupt
        seen.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: nobody can interrupt it from the keyboard
        before = {}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
