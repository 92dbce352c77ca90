"""A training run as one typed object, whose settings do not contradict one another."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from miras.errors import ConfigError
from miras.settings import read_settings, typed

__all__ = ["GROUPS", "OWN", "PARTS", "SOURCES", "Augmentation", "LossWeights", "TrainConfig", "load_config", "plain"]

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

OWN = "own"
"""The source that is a user's own JSONL."""

GROUPS = {
    "objects": ["coco", "cocostuff", "ade20k", "mapillary"],
    "regions": ["refclef", "refcoco", "refcoco+", "refcocog", "paco", "pascal_part"],
    "vqa": ["llava_instruct"],
    "captions": ["coco_captions"],
}
"""Public data sets that share a ratio evenly: the paper's four kinds of data (appendix C.2)."""

_NAMING_PARTS = {name for name in PARTS if name.startswith(("fusion", "vision_projector", "low_"))}
_DIALOGUES = {"multi_turn", "several", "mixed", "chat", "quiz", "unclear"}

_DEEPSPEED = {
    "train_batch_size": "images and accumulate", "train_micro_batch_size_per_gpu": "images",
    "gradient_accumulation_steps": "accumulate", "gradient_clipping": "clip", "bf16": "precision", "fp16": "precision",
    "torch_autocast": "precision", "optimizer": "parts and weight_decay", "scheduler": "schedule",
}  # fmt: skip
"""Parts of DeepSpeed's configuration → the settings that say the same."""


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
    """Start from this preset's pretrained parts: tiny, nano, 7b or another of `miras.model.presets`."""
    init: str | None = None
    """Or start from an earlier run's folder, from a saved model's, or from an embedded model by its name: nano."""
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of the preset to replace, such as alignment: half."""
    text: Literal["cached", "joint"] = "joint"
    """Phrases' states computed once and no language model in the steps, or the whole model."""
    states: str | None = None
    """Folder that keeps those states, for several runs to share; the run's own by default."""
    features: str | None = None
    """Folder that keeps what frozen encoders make of each image, computed once; needs images that nothing changes."""
    features_dtype: Literal["bf16", "fp32"] = "bf16"
    """Numbers of those features: two bytes each, or four and as exact as without them."""
    data: str = "../shared/data/photos"
    """Folder of annotated photos."""
    cutouts: str | None = None
    """Folder of cut-outs, for scenes."""
    sources: dict[str, int] = field(default_factory=lambda: {"photos": 1})
    """Source → its share of the samples, as whole numbers: those of SOURCES, own, a public data set, or a group."""
    groups: dict[str, list[str]] = field(default_factory=dict)
    """Group → the public data sets that share its ratio evenly, besides those of GROUPS and in place of them."""
    sets: str | None = None
    """Folder of the public data sets."""
    own: str | None = None
    """JSONL of your own images, conversations and masks, for the source own."""
    val: str | None = None
    """What is validated on: photos, a JSONL like own, or a public data set; photos where they are a source."""
    refusals: float = 0.05
    """Share of the requests about images of public data sets that ask for what is known not to be there, 0..1."""
    dialogues: dict[str, float] = field(default_factory=lambda: {"multi_turn": 4, "mixed": 3, "several": 1, "chat": 1})
    """Kind of dialogue → how often it is drawn, relative to the others."""
    augment: Augmentation = field(default_factory=Augmentation)
    """Changes to photos."""
    targets: int = 4
    """Most requests of one direct sample, and most conversations about an image of a public data set."""
    sequence_tokens: int = 320
    """Direct requests are added to a sequence while it has at most so many tokens, those of the image not counted.
    Conversations of public data sets without masks lose their last questions until they are as short."""
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
    """Batches per optimizer step, of all processes together; each takes as many, so their number must divide it."""
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
    """bf16: frozen weights in bf16, on a CPU the language model's alone; on a GPU also all that is fit for it."""
    gradient_checkpointing: bool = False
    """Compute inner states of the language model and of trained encoders again in the backward pass."""
    seed: int = 0
    """Of the start weights and of all data."""
    engine: Literal["torch", "deepspeed"] = "torch"
    """What moves the weights: torch in one process, or DeepSpeed in one or many."""
    zero: int = 2
    """What DeepSpeed spreads over the processes: 2, gradients and the optimizer's states; 3, weights as well."""
    deepspeed: dict[str, Any] = field(default_factory=dict)
    """Laid over DeepSpeed's own configuration, such as zero_optimization: {offload_optimizer: {device: cpu}}."""
    universal: bool = False
    """Write each checkpoint in the layout of DeepSpeed's universal checkpoint as well, into `universal/` of the run."""
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
        _check_sources(self)
        _check_text(self)
        _check_engine(self)
        _check_features(self)

    @property
    def all_groups(self) -> dict[str, list[str]]:
        """Every group that `sources` may name."""
        return GROUPS | self.groups


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file and lay `key=value` settings over it, see `miras.settings`.

    Raises ConfigError naming the key as it was written.
    """
    return plain(read_settings(path, overrides))


def plain(data: dict[str, Any]) -> TrainConfig:
    """A configuration from plain values, such as `dataclasses.asdict` gives. Raises ConfigError."""
    return typed(TrainConfig, data)


def _check_text(config: TrainConfig) -> None:
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
    if talks := [name for name, ratio in config.sources.items() if ratio and name not in ("photos", "scenes")]:
        raise ConfigError(f"sources.{talks[0]} needs text: joint; with text: cached no conversation is read")
    if config.val not in (None, "photos"):
        raise ConfigError(f"val={config.val} needs text: joint; with text: cached photos alone are validated on")
    if config.gradient_checkpointing and not any(part.startswith(("high_", "low_")) for part in config.parts):
        raise ConfigError(
            "gradient_checkpointing saves nothing with text: cached and no encoder in parts; leave it out"
        )


def _check_engine(config: TrainConfig) -> None:
    if config.engine == "torch":
        if config.deepspeed:
            raise ConfigError(
                f"deepspeed.{next(iter(config.deepspeed))} needs engine: deepspeed; set it or leave it out"
            )
        return
    if config.zero == 3 and config.ema:
        raise ConfigError(
            f"ema {config.ema} needs whole weights, which zero: 3 spreads over processes; set ema=0 or zero=2"
        )
    for name in config.deepspeed:
        if name in _DEEPSPEED:
            raise ConfigError(f"deepspeed.{name} follows from {_DEEPSPEED[name]}; set that instead")


def _check_features(config: TrainConfig) -> None:
    if config.features is None:
        return
    for part in config.parts:
        if part.startswith(("high_", "low_")):
            raise ConfigError(
                f"parts.{part} trains an encoder, whose features cannot be kept; leave it out, or features"
            )
    for name in ("flip", "zoom", "zoom_small", "jitter"):
        if share := getattr(config.augment, name):
            raise ConfigError(f"augment.{name} is {share} and changes images, whose features are kept; set it to 0")
    if config.sources.get("scenes"):
        raise ConfigError("sources.scenes makes new images each time, whose features cannot be kept; leave it out")
    if config.image_size_start is not None:
        raise ConfigError(
            f"image_size_start is {config.image_size_start}, but features are kept of one size; leave it out"
        )


def _check_numbers(config: TrainConfig) -> None:
    positive = ("steps", "images", "accumulate", "targets", "log_every", "clip", "sequence_tokens")
    not_negative = ("warmup", "weight_decay", "seed", "threads", "workers", "val_targets")
    shares = {"image_size_switch": config.image_size_switch, "lr_floor": config.lr_floor, "ema": config.ema}
    shares["refusals"] = config.refusals
    shares |= {f"augment.{name}": share for name, share in asdict(config.augment).items()}
    rules = [(name, getattr(config, name) > 0, "more than 0") for name in positive]
    rules += [(name, getattr(config, name) >= 0, "0 or more") for name in not_negative]
    rules += [(name, 0 <= share <= 1, "0 to 1") for name, share in shares.items()]
    rules += [("zero", config.zero in (2, 3), "2 or 3")]
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
    for key, names in {"parts": PARTS, "sources": None, "dialogues": _DIALOGUES}.items():
        for name, value in getattr(config, key).items():
            if names is not None and name not in names:
                raise ConfigError(f"{key}.{name} is not known; choose from {', '.join(sorted(names))}")
            if value < 0 or (key == "parts" and not value):
                raise ConfigError(f"{key}.{name} must be above 0, got {value}; leave it out instead")
        if not sum(getattr(config, key).values()):
            raise ConfigError(f"{key} is empty; name at least one of {', '.join(sorted(names or SOURCES))}")
    if config.sources.get("scenes") and config.augment.mosaic < 1 and config.cutouts is None:
        raise ConfigError("sources.scenes pastes cut-outs, but cutouts is not set; set it or augment.mosaic=1")


def _check_sources(config: TrainConfig) -> None:
    """Names of public data sets are looked up where they are opened, for the catalogue stands above this file."""
    for name in config.sources:
        known = name in SOURCES or name == OWN or name in config.all_groups or config.sets is not None
        if not known:
            raise ConfigError(
                f"sources.{name} is not known; choose from {', '.join((*SOURCES, OWN, *config.all_groups))}, or name a "
                "public data set and set sets to the folder of all"
            )
    asked = [name for name, ratio in config.sources.items() if ratio]
    if OWN in asked and config.own is None:
        raise ConfigError("sources.own needs own, the path of a JSONL; docs/data.md says what it holds")
    if config.sets is None and (public := [name for name in asked if name not in (*SOURCES, OWN)]):
        raise ConfigError(f"sources.{public[0]} needs sets, the folder of public data sets; set it, or leave it out")
    if config.loss.naming and not set(asked) & set(SOURCES):
        raise ConfigError("loss.naming compares with the names of annotated photos, and sources has none; set it to 0")
    if wrong := [name for name, members in config.groups.items() if not members or name in (*SOURCES, OWN)]:
        raise ConfigError(f"groups.{wrong[0]} should name data sets and not be a source; see GROUPS in miras.config")
