"""A training run as one typed object, whose settings do not contradict one another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from miras.errors import ConfigError
from miras.settings import read_settings, typed

__all__ = ["PARTS", "SOURCES", "Augmentation", "LossWeights", "TrainConfig", "load_config", "plain"]

PARTS = {
    "lora": r"language\.lm\..*\.lora_[AB]\.",
    "new_tokens": r"language\.(out_)?rows$",
    "fusion": r"vision\.fusion\.",
    "vision_projector": r"vision\.projector\.",
    "mask_projector": r"mask_projector\.",
    "alignment": r"alignment\.",
    "mask_decoder": r"pixel\.(mask_decoder\.|no_mask$)",
    "pyramid": r"pixel\.pyramid\.",
    **{f"high_stage{n}": rf"vision\.high\.stage{n}\." for n in (4, 8, 16, 32)},
    **{f"low_stage{n}": rf"vision\.low\.stage{n}\." for n in (4, 8, 16, 32)},
}
"""What can be trained: name → pattern of the weights' names, matched from their start. All else stays frozen."""

SOURCES = ("photos", "scenes", "dialogues")
"""What samples are made of: annotated photos, mosaics and pasted cut-outs, conversations about photos."""

_NAMING_PARTS = {name for name in PARTS if name.startswith(("fusion", "vision_projector", "low_"))}
_DIALOGUES = {"multi_turn", "several", "mixed", "chat", "quiz", "unclear"}


@dataclass(frozen=True)
class LossWeights:
    """The λ of equation 8, and those of what the paper inherits trained: SAM's IoU head, LLaVA's projector."""

    text: float = 1.0
    """Of the cross-entropy of words."""
    bce: float = 2.0
    """Of the per-pixel binary cross-entropy."""
    dice: float = 0.5
    """Of the DICE loss."""
    iou: float = 0.0
    """Of the squared error of the predicted IoU."""
    naming: float = 0.0
    """Of image tokens' distance from the words for what they show."""


@dataclass(frozen=True)
class Augmentation:
    """How often a photo is changed before it is shown, each as a probability of 0..1."""

    flip: float = 0.5
    """Mirror it."""
    zoom: float = 0.35
    """Cut out a part; of dialogues only a quiz is, without its questions of what is there: the border may hold it."""
    zoom_small: float = 0.2
    """Zoom in on a fine or medium object instead."""
    jitter: float = 0.7
    """Change brightness, contrast and saturation."""
    mosaic: float = 0.5
    """Make a scene a mosaic of photos; otherwise cut-outs are pasted on one photo."""
    absent: float = 0.0
    """Ask for something that is not there, for an empty mask; needs text: cached."""


@dataclass(frozen=True)
class TrainConfig:
    """One stage of training."""

    run: str
    """Folder for checkpoints, logs and the finished model."""
    preset: str | None = None
    """Start from this preset's pretrained parts: tiny, nano or 7b."""
    init: str | None = None
    """Or start from an earlier run's folder, or from a saved model's."""
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of the preset to replace, such as alignment: half."""
    text: Literal["cached", "joint"] = "joint"
    """Phrases' states computed once and no language model in the steps, or the whole model."""
    states: str | None = None
    """Folder that keeps those states, for several runs to share; the run's own by default."""
    data: str = "../shared/data/photos"
    """Folder of annotated photos."""
    cutouts: str | None = None
    """Folder of cut-outs, for scenes."""
    sources: dict[str, int] = field(default_factory=lambda: {"photos": 1})
    """Source → its share of the samples, as whole numbers."""
    dialogues: dict[str, float] = field(default_factory=lambda: {"multi_turn": 4, "mixed": 3, "several": 1, "chat": 1})
    """Kind of dialogue → how often it is drawn, relative to the others."""
    augment: Augmentation = field(default_factory=Augmentation)
    """Changes to photos."""
    targets: int = 4
    """Most requests of one direct sample."""
    sequence_tokens: int = 320
    """Direct requests are added to a sequence while it has at most so many tokens, those of the image not counted."""
    image_size: int = 576
    """Side of the high-resolution view in pixels, a multiple of 32."""
    image_size_start: int | None = None
    """Another side for the first part of the run, in pixels."""
    image_size_switch: float = 0.5
    """Where that part ends, as a share of all steps, 0..1."""
    mask_stride: int = 2
    """Pixels of the view per pixel of the masks that the loss sees."""
    parts: dict[str, float] = field(default_factory=dict)
    """What is trained → its learning rate; the names are those of PARTS."""
    steps: int = 1000
    """Optimizer steps."""
    images: int = 8
    """Images of one batch."""
    accumulate: int = 1
    """Batches per optimizer step."""
    warmup: int = 100
    """Steps of linear warm-up."""
    schedule: Literal["linear", "cosine"] = "linear"
    """How learning rates fall after the warm-up."""
    lr_floor: float = 0.0
    """Share of the learning rates that is left at the end, 0..1."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay of the mean and of the square of gradients."""
    weight_decay: float = 0.0
    """AdamW's decay of weights with two axes or more."""
    clip: float = 1.0
    """Largest norm of all gradients together."""
    loss: LossWeights = field(default_factory=LossWeights)
    """Weights of the terms."""
    ema: float = 0.0
    """Decay of the running mean of the weights, which is what is validated and exported; 0 for none."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: the frozen language model in bf16, and on a GPU all that is fit for it."""
    quantize: Literal["nf4"] | None = None
    """nf4: the frozen matrices of the language model in 4 bits, through bitsandbytes (`miras[quantize]`)."""
    gradient_checkpointing: bool = False
    """Compute the language model's states again in the backward pass, to save memory."""
    seed: int = 0
    """Of the start weights and of all data."""
    device: str = "auto"
    """auto (CUDA where there is any), cpu, cuda, cuda:1 …"""
    threads: int = 0
    """Threads of the computation on the CPU; 0 for all."""
    workers: int = 1
    """Processes that prepare data; 0 for none besides the main one."""
    minutes: float | None = None
    """Stop after so long, finished or not."""
    checkpoint_minutes: float = 5.0
    """Between two checkpoints."""
    validate_minutes: float = 15.0
    """Between two validations."""
    val_targets: int = 200
    """Targets of the val split that are validated on; 0 for no validation."""
    log_every: int = 25
    """Steps that one line of the log is the mean of."""

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_names(self)
        _check_text(self)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file and lay `key=value` settings over it, see `miras.settings`.

    Raises ConfigError naming the key as it was written.
    """
    return plain(read_settings(path, overrides))


def plain(data: dict[str, Any]) -> TrainConfig:
    """A configuration from plain values, such as `dataclasses.asdict` gives. Raises ConfigError."""
    return typed(TrainConfig, data)


def _check_text(config: TrainConfig) -> None:
    if config.quantize and getattr(config, "zero", 2) == 3:
        raise ConfigError("quantize: nf4 keeps weights that zero: 3 cannot spread over processes; set zero=2")
    if (config.preset is None) == (config.init is None):
        raise ConfigError(f"either preset or init says what to start from, got {config.preset!r} and {config.init!r}")
    if config.model and config.init is not None:
        raise ConfigError(f"model.{next(iter(config.model))} changes a preset; a model from init keeps its shape")
    if config.text == "joint":
        if config.augment.absent:
            raise ConfigError("augment.absent needs text: cached; with text: joint, mixed dialogues hold refusals")
        return
    left_out = {"lora", "new_tokens"} | (set() if config.loss.naming else _NAMING_PARTS)
    if wrong := sorted(left_out & set(config.parts)):
        remedy = "loss.naming or text: joint" if wrong[0] in _NAMING_PARTS else "text: joint"
        raise ConfigError(f"parts.{wrong[0]} cannot be trained with text: cached, which leaves it out; use {remedy}")
    if config.sources.get("dialogues"):
        raise ConfigError("sources.dialogues needs text: joint; with text: cached no conversation is read")
    if config.gradient_checkpointing:
        raise ConfigError("gradient_checkpointing saves nothing with text: cached; set it to false")


def _check_numbers(config: TrainConfig) -> None:
    positive = ("steps", "images", "accumulate", "targets", "log_every", "clip", "sequence_tokens")
    not_negative = ("warmup", "weight_decay", "seed", "threads", "workers", "val_targets")
    shares = {"image_size_switch": config.image_size_switch, "lr_floor": config.lr_floor, "ema": config.ema}
    shares |= {f"augment.{name}": share for name, share in asdict(config.augment).items()}
    rules = [(name, getattr(config, name) > 0, "more than 0") for name in positive]
    rules += [(name, getattr(config, name) >= 0, "0 or more") for name in not_negative]
    rules += [(name, 0 <= share <= 1, "0 to 1") for name, share in shares.items()]
    rules += [("ema", config.ema < 1, "below 1"), ("mask_stride", config.mask_stride in (1, 2, 4), "1, 2 or 4")]
    for name, holds, wanted in rules:
        if not holds:
            raise ConfigError(f"{name} must be {wanted}, got {shares.get(name, getattr(config, name, None))}")
    for name in ("image_size", "image_size_start"):
        if (size := getattr(config, name)) is not None and (size <= 0 or size % 32):
            raise ConfigError(f"{name} must be a multiple of 32 px, got {size}; choose 320, 448 or 576")
    if config.warmup >= config.steps:
        raise ConfigError(f"warmup must end before steps do, got warmup {config.warmup} of {config.steps} steps")


def _check_names(config: TrainConfig) -> None:
    for key, names in {"parts": PARTS, "sources": SOURCES, "dialogues": _DIALOGUES}.items():
        for name, value in getattr(config, key).items():
            if name not in names:
                raise ConfigError(f"{key}.{name} is not known; choose from {', '.join(sorted(names))}")
            if value < 0 or (key == "parts" and not value):
                raise ConfigError(f"{key}.{name} must be above 0, got {value}; leave it out instead")
        if not sum(getattr(config, key).values()):
            raise ConfigError(f"{key} is empty; name at least one of {', '.join(sorted(names))}")
    if config.sources.get("scenes") and config.augment.mosaic < 1 and config.cutouts is None:
        raise ConfigError("sources.scenes pastes cut-outs, but cutouts is not set; set it or augment.mosaic=1")
