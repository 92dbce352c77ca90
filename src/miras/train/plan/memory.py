"""Where a device's memory goes: weights, masters, gradients and states, each as ZeRO shares it, and activations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from miras.config import TrainConfig
from miras.train.plan.machines import Machine
from miras.train.plan.rehearsal import Rehearsed

__all__ = ["DATA", "GIB", "LIBRARIES", "MEAN", "STATES", "Part", "ledger", "parts", "total"]

GIB = 2**30
"""Bytes."""
LIBRARIES = int(0.37 * GIB)
"""Python, torch, transformers and this package, resident before a model is made; measured on a CPU."""
DATA = int(0.13 * GIB)
"""Annotations of 5,000 photos, tokenizer and the scratch space of a CPU's kernels; measured with `nano`."""
_CONTEXT = int(0.6 * GIB)
"""What CUDA and its libraries keep of a GPU; an estimate."""
_HOLES = 0.05
"""Share that the GPU's allocator cannot give out because it is in pieces; an estimate."""
_MASTER, STATES, MEAN = 4, 8, 4
"""Bytes per trained weight: DeepSpeed's copy in fp32, AdamW's two moments, the running mean."""

_PARTS = {
    "LoRA": r"language\.lm\..*\.lora_",
    "language model": r"language\.lm\.",
    "new tokens": r"language\.(out_)?rows",
    "low encoder": r"vision\.low\.",
    "high encoder": r"vision\.high\.",
    "fusion": r"vision\.fusion\.",
    "vision projector": r"vision\.projector\.",
    "mask projector": r"mask_projector\.",
    "alignment": r"alignment\.",
    "mask decoder": r"pixel\.(mask_decoder\.|no_mask)",
    "pixel encoder": r"pixel\.",
}
"""Names of the plan's parts → their weights, the first that fits."""


@dataclass
class Part:
    """The weights of one part of a model."""

    name: str
    frozen: int = 0
    """How many."""
    trained: int = 0
    dtypes: str = ""
    """Of the frozen ones and of the trained ones."""
    frozen_bytes: int = 0
    trained_bytes: int = 0


def parts(model: nn.Module) -> list[Part]:
    """The parts of a model on the meta device."""
    made = {name: Part(name) for name in _PARTS}
    kinds: dict[str, list[str]] = {name: [] for name in _PARTS}
    for name, weight in model.named_parameters():
        part = next(made[each] for each, pattern in _PARTS.items() if re.match(pattern, name))
        count, size, kind = _stored(weight)
        if weight.requires_grad:
            part.trained += count
            part.trained_bytes += size
        else:
            part.frozen += count
            part.frozen_bytes += size
        if kind not in kinds[part.name]:
            kinds[part.name].append(kind)
    for part in made.values():
        part.dtypes = ", ".join(kinds[part.name])
    return [part for part in made.values() if part.frozen + part.trained]


def _stored(weight: Tensor) -> tuple[int, int, str]:
    """Numbers, bytes and type of a weight; of one in 4 bits, with what scales it."""
    size = weight.numel() * weight.element_size()
    state = getattr(weight, "quant_state", None)
    if state is None:
        return (
            weight.numel(),
            size,
            str(weight.dtype).removeprefix("torch.").replace("float", "fp").replace("bfp", "bf"),
        )
    scales = [state.absmax, *([state.state2.absmax] if state.state2 is not None else [])]
    return state.shape.numel(), size + sum(s.numel() * s.element_size() for s in scales), "nf4"


def ledger(
    config: TrainConfig, model_parts: list[Part], step: Rehearsed, on: Machine, *, processes: int, zero: int, batch: int
) -> dict[str, int]:
    """Kind → bytes on each device, with `zero` 0, 2 or 3 over so many processes; `batch` is that of its tensors."""
    trained = sum(part.trained for part in model_parts)
    weights, shared = (processes if zero == 3 else 1), (processes if zero else 1)
    frozen_bytes = sum(part.frozen_bytes for part in model_parts if config.text == "joint" or not _is_language(part))
    rows = {
        "frozen weights": frozen_bytes // weights,
        "trained weights": sum(part.trained_bytes for part in model_parts) // weights,
        "fp32 masters": _MASTER * trained // shared if zero else 0,
        "gradients": step.gradients // weights,
        "optimizer states": STATES * trained // shared,
        "running mean": MEAN * trained if config.ema else 0,
        "activations kept": step.kept,
        "workspace": max(0, step.peak - step.kept - step.gradients),
        "batch": batch,
    }
    if on.cpu:
        return rows | {"data and kernels": DATA, "Python and libraries": LIBRARIES}
    return rows | {"CUDA": _CONTEXT, "holes": round(_HOLES * sum(rows.values()))}


def _is_language(part: Part) -> bool:
    return part.name in ("language model", "LoRA", "new tokens")


def total(rows: Mapping[str, int]) -> int:
    """All bytes of a device."""
    return sum(rows.values())
