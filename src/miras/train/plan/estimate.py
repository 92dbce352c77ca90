"""The plan of a run: memory, work and time, from its configuration alone."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from miras.config import TrainConfig
from miras.data.questions import COLORS, COLUMNS, ROWS
from miras.errors import ConfigError
from miras.model.features import FrozenEncoders
from miras.model.losses import compute_losses
from miras.model.miras import Miras
from miras.model.naming import RegionNaming
from miras.train.naming import Naming
from miras.train.phrases import CONTEXTS, PhraseStates
from miras.train.plan.heap import Heap
from miras.train.plan.machines import Machine
from miras.train.plan.memory import DATA, GIB, LIBRARIES, MEAN, STATES, Part, ledger, parts, total
from miras.train.plan.outline import model_config, outline
from miras.train.plan.rehearsal import Rehearsed, rehearse, shapes_alone
from miras.train.plan.shape import PHRASE, BatchShape, batch_shape, make_batch
from miras.train.stages import CachedText, JointText, TextMode
from miras.types import Batch

__all__ = ["MFU", "Plan", "plan_run"]

MFU = 0.35
"""Share of the peak speed that a run is taken to reach, where none is given."""
_SHARE_USED = 0.95
"""Share of a device's memory up to which a run is said to fit."""
_NAMES = 2500
"""Names that image tokens are compared with: about as many as the annotated photos have."""
_SHARES = (1.0, 0.8, 1.0)
"""Of the text and the targets of a batch, in the steps that find holes: batches differ."""
_STATES = 8
"""States of one phrase in one context."""


@dataclass(frozen=True)
class Plan:
    """What a run will need."""

    machine: Machine
    gpus: int
    hosts: int
    zero: int
    """What is shared over processes: 0 nothing, 2 or 3 as ZeRO has it."""
    shape: BatchShape
    parts: list[Part]
    memory: dict[str, int]
    """Kind → bytes on each device."""
    at_start: int
    """Bytes on each device before the first step, where that is all of the model; 0 where the steps need more."""
    feature_bytes: int
    """Of what frozen encoders make of one image, in bf16: what a cache of features holds per image."""
    flops: int
    """Per optimizer step, of all devices together."""
    mfu: float
    tokens_per_second: float
    seconds_per_step: float
    days: float
    """Of the whole run, without validation and without waiting for data."""

    @property
    def needed(self) -> int:
        """Most bytes on each device."""
        return max(total(self.memory), self.at_start)

    @property
    def fits(self) -> bool:
        """Whether the device has room for it."""
        return self.needed <= _SHARE_USED * self.machine.memory * GIB

    def to_json(self) -> dict[str, Any]:
        """All numbers, as plain values."""
        return asdict(self) | {"needed": self.needed, "fits": self.fits}


def plan_run(
    config: TrainConfig,
    on: Machine,
    *,
    gpus: int = 1,
    hosts: int = 1,
    mfu: float = MFU,
    kept_features: bool = False,
    beside: Path | None = None,
) -> Plan:
    """The plan of a run on so many GPUs of each of so many hosts; `beside` see `model_config`.

    `kept_features` leaves frozen encoders out, as with a cache of their features. Raises ConfigError.
    """
    processes = gpus * hosts
    if processes < 1 or config.accumulate % processes:
        raise ConfigError(
            f"accumulate {config.accumulate} counts the batches of all {processes} GPUs; set it to a multiple of them"
        )
    zero = _zero(config, processes)
    made = model_config(config, beside)
    model = outline(config, made, cpu=on.cpu)
    shape = batch_shape(config, made)
    batch = make_batch(shape, made)
    autocast = config.precision == "bf16" and not on.cpu
    feature_bytes = _keep_features(config, model, batch, really=kept_features, autocast=autocast)
    step = rehearse(model, _loss(config, model, batch), autocast=autocast, accumulated=config.accumulate > processes)
    model_parts = parts(model)
    rows = ledger(config, model_parts, step, on, processes=processes, zero=zero, batch=_size(batch))
    if on.cpu:
        batches = 3 * [batch] if kept_features else [make_batch(shape.scaled(share), made) for share in _SHARES]
        rows["holes"] = _holes(config, model, batches, total(rows) - DATA - LIBRARIES)
    if zero == 3 or config.quantize:
        rows["workspace"] += _gathered(model, zero)
    seconds = _seconds(step, rows, config.accumulate // processes, on, autocast, mfu)
    tokens = shape.images * shape.tokens * config.accumulate
    return Plan(
        machine=on, gpus=gpus, hosts=hosts, zero=zero, shape=shape, parts=model_parts, memory=rows,
        at_start=sum(part.frozen_bytes + part.trained_bytes for part in model_parts) if shape.cached else 0,
        feature_bytes=feature_bytes // shape.images, flops=(step.forward + step.backward) * config.accumulate, mfu=mfu,
        tokens_per_second=tokens / seconds, seconds_per_step=seconds, days=seconds * config.steps / 86400,
    )  # fmt: skip


def _zero(config: TrainConfig, processes: int) -> int:
    if config.engine == "torch" and processes > 1:
        raise ConfigError(f"engine: torch runs in one process, {processes} GPUs were asked for; set engine=deepspeed")
    return config.zero if config.engine == "deepspeed" else 0


def _loss(config: TrainConfig, model: Miras, batch: Batch) -> Callable[[], Tensor]:
    """The loss of a batch, as the loop computes it."""
    naming = _naming(model) if config.loss.naming else None
    mode: TextMode = CachedText(_phrase_states(model), naming) if config.text == "cached" else JointText(naming)
    rng: Any = SimpleNamespace(integers=lambda _, size: torch.zeros(size, dtype=torch.long).numpy())

    def run() -> Tensor:
        batch.high = batch.high.contiguous(memory_format=torch.channels_last)
        return compute_losses(mode.run(model, batch, rng), batch, config.loss).total

    return run


def _naming(model: Miras) -> Naming:
    width = model.language.rows.shape[1]
    words = {"names": _NAMES, "colors": len(COLORS), "rows": len(ROWS), "columns": len(COLUMNS)}
    regions = RegionNaming(**{kind: torch.zeros(count, width) for kind, count in words.items()})
    return Naming(regions, [PHRASE] * _NAMES)


def _phrase_states(model: Miras) -> PhraseStates:
    first = torch.arange(len(CONTEXTS) + 1)[None] * _STATES
    return PhraseStates(torch.zeros(len(CONTEXTS) * _STATES, model.language.rows.shape[1]), first, [PHRASE])


def _keep_features(config: TrainConfig, model: Miras, batch: Batch, *, really: bool, autocast: bool) -> int:
    """Bytes of what frozen encoders make of a batch, as it is kept; 0 where one is trained. `really` uses it."""
    try:
        encoders = FrozenEncoders(model, tokens=config.text == "joint" or config.loss.naming > 0)
    except ConfigError:
        return 0
    with shapes_alone(autocast):
        found = encoders.look(batch)
    kind = torch.float32 if config.features_dtype == "fp32" else torch.bfloat16
    features = {name: each.to(kind) for name, each in found.items()}
    if really:
        encoders.leave()
        none = torch.empty(len(batch.high), 3, 0, 0, device="meta")
        batch.low, batch.high, batch.pixel, batch.features = none, none, None, features
    return sum(map(_bytes, features.values()))


def _holes(config: TrainConfig, model: Miras, batches: Sequence[Batch], alive: int) -> int:
    """What the C library holds of a processor's memory beside what is alive, after a step of each batch."""
    with Heap.here() as heap:
        if heap is None:
            return 0
        weights = {name: heap.take(_bytes(each)) for name, each in model.named_parameters()}
        for name, place in weights.items():
            if config.text == "cached" and name.startswith("language."):  # it goes before the first step
                heap.give(place)
        for number, batch in enumerate(batches):
            pictures = [heap.take(_bytes(each)) for each in _tensors(batch)]
            rehearse(model, _loss(config, model, batch), autocast=False, accumulated=False, heap=heap)
            for weight in model.parameters() if number == 0 else ():
                if weight.requires_grad:
                    heap.take((STATES + MEAN * bool(config.ema)) * weight.numel())
            for place in pictures:
                heap.give(place)
        return max(0, heap.most - alive)


def _tensors(batch: Batch) -> list[Tensor]:
    return [each for each in (*vars(batch).values(), *(batch.features or {}).values()) if isinstance(each, Tensor)]


def _size(batch: Batch) -> int:
    """Bytes of a batch's tensors."""
    return sum(map(_bytes, _tensors(batch)))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _gathered(model: Miras, zero: int) -> int:
    """Bytes of the matrices that stand whole for a moment: one out of 4 bits, or two collected by ZeRO-3."""
    sizes = [2 * getattr(w, "quant_state", None).shape.numel() if getattr(w, "quant_state", None) else  # type: ignore[union-attr]
             w.numel() * w.element_size() * (2 if zero == 3 else 0) for w in model.parameters()]  # fmt: skip
    return max(sizes)


def _seconds(step: Rehearsed, rows: dict[str, int], batches: int, on: Machine, autocast: bool, mfu: float) -> float:
    """Of an optimizer step: its work at the assumed share of the peak, or its memory's traffic where that is longer."""
    peak = (on.bf16 if autocast else on.fp32) * 1e12
    read = 2 * (rows["frozen weights"] + rows["trained weights"]) + 2 * rows["activations kept"]
    return batches * max((step.forward + step.backward) / (peak * mfu), read / (on.bandwidth * 1e9))
