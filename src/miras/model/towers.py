"""Whether pretrained parts are what the configuration takes them for, by what stands beside their weights.

Weights fit where their shapes do; that a tower was trained with other colours, another activation or another norm
shows in no shape, and in no error, only in worse answers.
"""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from miras.errors import CheckpointError
from miras.model.backbones import COLOURS
from miras.model.miras import Miras
from miras.model.sources import find, is_wheel

__all__ = ["check_towers"]

_SAME = (
    "attention_bias", "blocks_per_stage", "global_attention_blocks", "global_attn_indexes", "head_dim", "hidden_act",
    "hidden_size", "image_size", "layer_norm_eps", "norm_type", "num_attention_heads", "num_hidden_layers",
    "num_key_value_heads", "patch_size", "rms_norm_eps", "rope_parameters", "vocab_size", "window_size",
    "window_size_per_stage",
)  # fmt: skip
_ANY_SIZE = ("convnext", "sam2_hiera_det_model")
"""Towers that take images of any size."""
_INSIDE = {"language": ("text_config", "llm_config"), "low": ("vision_config",), "pixel": ("vision_config",)}


def check_towers(model: Miras) -> None:
    """Raise CheckpointError where config.json or the preprocessor of a part's source contradicts the model."""
    for part, source in model.config.sources.items():
        if is_wheel(source) or not (folder := find(source)).is_dir():
            continue
        _check_colours(model, part, folder)
        if (ours := _own_config(model, part)) is not None:
            _check_config(ours, part, folder)


def _own_config(model: Miras, part: str) -> PreTrainedConfig | None:
    """The configuration of a part as transformers builds it."""
    holder: Any = {
        "language": model.language.lm,
        "low": getattr(model.vision.low, "model", None),
        "high": getattr(model.vision.high, "model", None),
        "pixel": getattr(model.pixel, "encoder", None),
    }.get(part)
    return None if holder is None else holder.config


def _check_config(ours: PreTrainedConfig, part: str, folder: Path) -> None:
    data = _read(folder / "config.json")
    for name in _INSIDE.get(part, ()):
        data = data.get(name) or data
    if ours.model_type == "sam2_hiera_det_model":
        data = data.get("vision_config", {}).get("backbone_config", {})
    if data.get("model_type", ours.model_type) != ours.model_type:
        return  # another layout, which has other names
    theirs = type(ours)(**{key: value for key, value in data.items() if key in (*_SAME, "rope_theta", "rope_scaling")})
    for name in _SAME:
        if name == "image_size" and ours.model_type in _ANY_SIZE:
            continue
        mine, got = (_plain(getattr(config, name, None)) for config in (ours, theirs))
        if mine != got:
            raise CheckpointError(
                f"sources.{part} {folder} was trained with {name} {got}, the model has {mine}; set model.{part}.{name} "
                "or name other weights"
            )


def _check_colours(model: Miras, part: str, folder: Path) -> None:
    if part not in ("low", "high", "pixel"):
        return
    given = _colours(folder)
    chosen = getattr(model.config, part).get("colours", "imagenet")
    if given is None:
        return
    right = [
        name
        for name, (mean, std) in COLOURS.items()
        if all(abs(a - b) < 1e-3 for a, b in zip((*mean, *std), given, strict=True))
    ]
    if chosen in right:
        return
    remedy = f"set model.{part}.colours={right[0]}" if right else f"only {sorted(COLOURS)} are known"
    raise CheckpointError(
        f"sources.{part} {folder} was trained on colours with mean and deviation {given}, the model gives it "
        f"{chosen}'s; {remedy}"
    )


def _colours(folder: Path) -> list[float] | None:
    """Mean and deviation of a source's training images; None where nothing beside the weights says so."""
    processor = _read(folder / "preprocessor_config.json")
    config = _read(folder / "config.json").get("pretrained_cfg", {})
    clip = _read(folder / "open_clip_config.json").get("preprocess_cfg", {})
    for data, mean, std in ((processor, "image_mean", "image_std"), (clip, "mean", "std"), (config, "mean", "std")):
        if mean in data and std in data:
            return [float(value) for value in (*data[mean], *data[std])]
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); fetch it again") from error
    return data if isinstance(data, dict) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):  # of the rope, what changes angles
        return {key: value[key] for key in ("rope_type", "rope_theta", "factor") if key in value}
    return list(value) if isinstance(value, tuple) else value
