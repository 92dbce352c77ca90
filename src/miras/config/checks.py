"""Which settings of a run contradict one another, or cannot be: each refused by its name, with the remedy."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from miras.config.names import OWN, PARTS, SOURCES
from miras.errors import ConfigError

if TYPE_CHECKING:
    from miras.config.train import TrainConfig

__all__ = ["check"]

_NAMING_PARTS = {name for name in PARTS if name.startswith(("fusion", "vision_projector", "low_"))}
_DIALOGUES = {"multi_turn", "several", "mixed", "chat", "quiz", "unclear"}

_DEEPSPEED = {
    "train_batch_size": "images and accumulate", "train_micro_batch_size_per_gpu": "images",
    "gradient_accumulation_steps": "accumulate", "gradient_clipping": "clip", "bf16": "precision", "fp16": "precision",
    "torch_autocast": "precision", "optimizer": "parts and weight_decay", "scheduler": "schedule",
}  # fmt: skip
"""Parts of DeepSpeed's configuration → the settings that say the same."""


def check(config: "TrainConfig") -> None:
    """Raise ConfigError for the first setting that cannot be."""
    for rule in (_check_numbers, _check_names, _check_sources, _check_text, _check_engine, _check_features):
        rule(config)


def _check_text(config: "TrainConfig") -> None:
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


def _check_engine(config: "TrainConfig") -> None:
    if config.engine == "torch":
        if config.deepspeed:
            raise ConfigError(
                f"deepspeed.{next(iter(config.deepspeed))} needs engine: deepspeed; set it or leave it out"
            )
        return
    if config.zero == 3 and config.quantize:
        raise ConfigError("quantize: nf4 keeps weights that zero: 3 cannot spread over processes; set zero=2")
    if config.zero == 3 and config.ema:
        raise ConfigError(
            f"ema {config.ema} needs whole weights, which zero: 3 spreads over processes; set ema=0 or zero=2"
        )
    for name in config.deepspeed:
        if name in _DEEPSPEED:
            raise ConfigError(f"deepspeed.{name} follows from {_DEEPSPEED[name]}; set that instead")


def _check_features(config: "TrainConfig") -> None:
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


def _check_numbers(config: "TrainConfig") -> None:
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


def _check_names(config: "TrainConfig") -> None:
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


def _check_sources(config: "TrainConfig") -> None:
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
