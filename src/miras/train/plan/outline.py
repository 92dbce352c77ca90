"""The model of a run without its weights: built as the run builds it, on a device that has shapes alone."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import yaml
from torch import nn

from miras.config import TrainConfig, plain
from miras.errors import ConfigError
from miras.model.build import build
from miras.model.configuration import MirasConfig, preset
from miras.model.miras import Miras
from miras.model.quantize import quantize
from miras.train.stages import choose_parts, halve_frozen, recompute
from miras.train.state import LAST

__all__ = ["model_config", "outline"]


def model_config(config: TrainConfig, beside: Path | None = None) -> MirasConfig:
    """What a run's model is made of, without reading a weight.

    An `init` that does not exist yet is looked for among the configurations in the folder `beside`: the one whose run
    it will be. Raises ConfigError where nothing says what it will hold.
    """
    if config.init is None:
        made = preset(str(config.preset), **config.model)
    else:
        made = _of_folder(Path(config.init), beside)
    if made.high:
        made.high = {**made.high, "size": config.image_size}
    return made


def outline(config: TrainConfig, made: MirasConfig, *, cpu: bool) -> Miras:
    """The model on the meta device, its parts frozen, halved or quantised as those of a run on a CPU or a GPU are."""
    image_id = made.language["vocab_size"] + 2  # behind [OBJ] and [SEG]
    processor: Any = SimpleNamespace(encoder=SimpleNamespace(image_id=image_id), views=made.views())
    with torch.device("meta"):
        model = build(made, processor)
    if config.quantize:
        quantize(model.language.lm)
    choose_parts(model, config.parts)
    if config.precision == "bf16":
        halve_frozen(model, torch.device("cpu" if cpu else "cuda"))
    if config.gradient_checkpointing:
        recompute(model)
    return _train(model)


def _train(model: Miras) -> Miras:
    nn.Module.train(model)
    return model


def _of_folder(init: Path, beside: Path | None) -> MirasConfig:
    if (init / "config.json").is_file():
        return MirasConfig(**json.loads((init / "config.json").read_text(encoding="utf-8")))
    if (init / LAST).is_file() and (init / "config.yaml").is_file():
        told = yaml.safe_load((init / "config.yaml").read_text(encoding="utf-8"))
        return model_config(plain(told), beside)
    for path in sorted(beside.glob("*.yaml")) if beside else []:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(told, dict) and told.get("run") == str(init):
            return model_config(replace(plain(told), run=str(init)), beside)
    raise ConfigError(
        f"init {init} holds no run yet, and no configuration beside says what it will be; plan with a preset: "
        "init=null preset=…"
    )
