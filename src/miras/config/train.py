"""The settings of a training run, each with its meaning and unit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from miras.config.checks import check
from miras.config.names import GROUPS
from miras.settings import read_settings, typed

__all__ = ["Augmentation", "LossWeights", "TrainConfig", "load_config", "plain"]


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
    quantize: Literal["nf4"] | None = None
    """nf4: the frozen matrices of the language model in 4 bits, through bitsandbytes (`miras[quantize]`)."""
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
        check(self)

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
