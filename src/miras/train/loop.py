"""The training loop: the same for both stages, on a CPU and on a GPU, stopped and resumed at any step."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn

from miras.config import TrainConfig
from miras.errors import MirasError
from miras.model.losses import Losses, compute_losses
from miras.model.miras import Miras
from miras.train.batches import Batches, loader
from miras.train.logs import RunLog, mean_of
from miras.train.stages import TextMode
from miras.train.state import LAST, Ema, get_rng, set_rng, write
from miras.types import Batch

__all__ = ["LOST", "Training", "learning_share", "optimizer"]

LOST = 20
"""Steps in a row whose loss is not finite after which a run ends."""


def learning_share(config: TrainConfig, step: int) -> float:
    """The share of the learning rates at a step, counted from 0: a linear warm-up, then the schedule's fall."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    past = (step - config.warmup) / (config.steps - config.warmup)
    left = 1 - past if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * past))
    return config.lr_floor + (1 - config.lr_floor) * left


def optimizer(config: TrainConfig, parts: Mapping[str, list[nn.Parameter]]) -> torch.optim.AdamW:
    """AdamW with two groups per part: matrices, which decay, and the rest, which does not."""
    groups: list[dict[str, Any]] = []
    for part, weights in parts.items():
        for decay, wide in ((config.weight_decay, True), (0.0, False)):
            chosen = [weight for weight in weights if (weight.ndim > 1) == wide]
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "peak": config.parts[part], "lr": 0.0})
    return torch.optim.AdamW(groups, betas=config.betas, fused=True)


@dataclass
class Training:
    """One run from where it stands to its end."""

    config: TrainConfig
    model: Miras
    mode: TextMode
    batches: Batches
    optimizer: torch.optim.AdamW
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

    def save(self) -> None:
        """Write the checkpoint."""
        kept = {
            "config": asdict(self.config), "step": self.step, "lost": self.lost, "skipped": self.skipped,
            "weights": self.ema.live, "ema": self.ema.mean, "optimizer": self.optimizer.state_dict(), "rng": get_rng(),
        }  # fmt: skip
        write(self.path, kept)

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Go on from what `save` kept; the config is not looked at."""
        with torch.no_grad():
            for name, tensor in self.ema.live.items():
                tensor.copy_(kept["weights"][name])
            for name, tensor in self.ema.mean.items():
                tensor.copy_(kept["ema"][name])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.step, self.lost, self.skipped = kept["step"], kept["lost"], kept["skipped"]
        set_rng(kept["rng"])

    def run(self, log: RunLog) -> bool:
        """Train to the last step, the time limit or an interrupt. True when the last step is done.

        Raises KeyboardInterrupt after an interrupt, the checkpoint written.
        """
        config, start = self.config, time.monotonic()
        saved = seen = start
        coming = loader(self.batches, self.step * config.accumulate)
        with _interrupts() as interrupted:
            while self.step < config.steps:
                self._step(coming)
                log.step(self.step)
                last, now = self.step == config.steps, time.monotonic()
                if self.step % config.log_every == 0 or last:
                    log.row(self.step, {**mean_of(self._rows), "skipped": self.skipped})
                    self._rows.clear()
                over = config.minutes is not None and now - start > config.minutes * 60
                stop = last or over or bool(interrupted)
                if stop or now - saved > config.checkpoint_minutes * 60:
                    self.save()
                    saved = now
                if interrupted:
                    raise KeyboardInterrupt
                if self.validate and (stop or now - seen > config.validate_minutes * 60):
                    with self.ema.applied():
                        log.validation(self.step, self.validate())
                    seen = time.monotonic()
                if stop:
                    break
        return self.step == config.steps

    def _step(self, coming: Iterator[Batch]) -> None:
        """One optimizer step; it is left out when its loss or gradient is not finite."""
        config, began, waited = self.config, time.perf_counter(), 0.0
        share = learning_share(config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        rows = []
        for part in range(config.accumulate):
            asked = time.perf_counter()
            batch = next(coming)
            waited += time.perf_counter() - asked
            losses = self._losses(batch, self.step * config.accumulate + part)
            if losses.total.requires_grad:
                (losses.total / config.accumulate).backward()
            rows.append({"loss": losses.total, **_terms(losses), "targets": torch.tensor(float(len(batch.phrases)))})
        terms = mean_of({name: value.item() for name, value in row.items()} for row in rows)
        trained = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(trained, config.clip))
        finite = math.isfinite(terms["loss"]) and math.isfinite(norm)
        if finite:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._count(finite)
        if finite:
            self.ema.update(self.step)
            seconds = time.perf_counter() - began
            speed = {"seconds_per_step": seconds, "samples_per_second": config.images * config.accumulate / seconds}
            self._rows.append({**terms, "lr_share": share, "grad_norm": norm, **speed, "waited_seconds": waited})

    def _count(self, finite: bool) -> None:
        self.lost = 0 if finite else self.lost + 1
        self.skipped += not finite
        if self.lost >= LOST:
            raise MirasError(
                f"the loss was not finite for {LOST} steps in a row, up to step {self.step}; lower the learning rates "
                f"of parts and start again from {self.path} or from the beginning"
            )

    def _losses(self, batch: Batch, number: int) -> Losses:
        device = self.model.device
        batch = batch.to(device)
        batch.high = batch.high.contiguous(memory_format=torch.channels_last)
        rng = np.random.default_rng([self.config.seed, number, 2])
        with _precision(self.config, device):
            output = self.mode.run(self.model, batch, rng)
        return compute_losses(output, batch, self.config.loss)


def _precision(config: TrainConfig, device: torch.device) -> AbstractContextManager[Any]:
    """On a GPU, bf16 for all that is fit for it; on a CPU, convolutions are faster in fp32."""
    if config.precision == "bf16" and device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def _terms(losses: Losses) -> dict[str, torch.Tensor]:
    return {name: getattr(losses, name).detach() for name in ("text", "bce", "dice", "iou", "naming", "seen_iou")}


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects the first interrupt, so that a step is never cut in two; the second one ends the process at once."""
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if seen:
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
