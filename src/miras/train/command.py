"""`miras train CONFIG [key=value …]`: from a configuration to a folder with a trained model."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from torch import nn

from miras.config import TrainConfig, load_config
from miras.data.photos import load_photos
from miras.data.scenes import load_cutouts
from miras.errors import ConfigError
from miras.model.checkpoint import save
from miras.model.miras import Miras
from miras.train.batches import make_batches
from miras.train.logs import RunLog
from miras.train.loop import Training, optimizer
from miras.train.naming import Naming
from miras.train.phrases import all_phrases, phrase_states
from miras.train.stages import CachedText, JointText, TextMode, choose_parts, halve_language, start_model
from miras.train.state import LAST, Ema, kept_weights, lay_over, read
from miras.train.validate import draw_cases, validate

__all__ = ["MODEL", "export", "prepare", "run_training", "train"]

MODEL = "model"
"""Folder of the finished model, within that of the run."""

_MAY_CHANGE = {
    "run", "states", "device", "threads", "workers", "minutes", "checkpoint_minutes", "validate_minutes", "val_targets",
    "log_every",
}  # fmt: skip
"""Settings that do not change what is learnt, so a run may go on under others."""


def train(config: Path, overrides: list[str]) -> None:
    """Train one stage as the file and the settings say; started again, it goes on from its last checkpoint.

    After an interrupt the checkpoint is written and the process ends with code 130.
    """
    settings = load_config(config, overrides)
    console = Console()
    try:
        run_training(settings, console)
    except KeyboardInterrupt:
        console.print(f"stopped; the same command goes on from {Path(settings.run) / LAST}", highlight=False)
        raise SystemExit(130) from None


def run_training(config: TrainConfig, console: Console) -> None:
    """Train, validate and export. Raises ConfigError when the folder holds a run with other settings."""
    if config.threads:
        torch.set_num_threads(config.threads)
    folder = Path(config.run)
    kept = read(folder / LAST) if (folder / LAST).is_file() else None
    if kept:
        _check_same(config, kept["config"])
    training = prepare(config, console)
    if kept:
        training.resume(kept)
        console.print(f"going on from step {training.step} of {folder}", highlight=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(_plain(config), sort_keys=False), encoding="utf-8")
    with RunLog(folder, console, steps=config.steps, done=training.step) as log:
        done = training.run(log)
    export(training, folder / MODEL)
    ended = "finished" if done else f"time is up at step {training.step}; the same command goes on"
    console.print(f"{ended}; model in {folder / MODEL}", highlight=False)


def prepare(config: TrainConfig, console: Console) -> Training:
    """Model, data and optimizer of a run, at its first step."""
    model = start_model(config)
    nn.Module.to(model, _device(config.device))
    parts = choose_parts(model, config.parts)
    mode = _text_mode(config, model, console)
    if config.precision == "bf16":
        halve_language(model)
    if config.gradient_checkpointing:
        model.language.lm.activation_checkpointing_enable({"use_reentrant": False})
    model.train()
    batches = make_batches(config, model)
    cases = draw_cases(load_photos(config.data, "val"), config.val_targets) if config.val_targets else []

    def figures() -> dict[str, Any]:
        return validate(model, mode, batches.collator(config.image_size), cases)

    ema = Ema(kept_weights(model), config.ema)
    return Training(config, model, mode, batches, optimizer(config, parts), ema, figures if cases else None)


def export(training: Training, folder: Path) -> None:
    """Write what was trained as a model in bf16, the running mean of the weights where there is one."""
    config, ema = training.config, training.ema
    model = start_model(config)
    if config.quantize and "language" not in model.config.sources:  # then it is written whole, and so it starts whole
        model = start_model(replace(config, quantize=None))
    lay_over(model, {name: tensor.cpu() for name, tensor in (ema.live | ema.mean).items()})
    save(model, folder, frozen=False, dtype=torch.bfloat16)


def _device(name: str) -> torch.device:
    """The device of that name. Raises ConfigError when this machine does not have it."""
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        return torch.empty(0, device=chosen).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name} cannot be used here ({error}); write auto or cpu") from error


def _text_mode(config: TrainConfig, model: Miras, console: Console) -> TextMode:
    if config.text == "joint" and not config.loss.naming:
        return JointText()
    photos = [photo for split in ("train", "val") for photo in load_photos(config.data, split)]
    cutouts = load_cutouts(config.cutouts) if config.cutouts else []
    phrases = all_phrases(photos, cutouts)
    naming = Naming.of(model, phrases).to(model.device) if config.loss.naming else None
    if config.text == "joint":
        return JointText(naming)
    folder = Path(config.states or config.run)
    console.print(f"text states of {len(phrases)} phrases: computed once, then kept in {folder}", highlight=False)
    with console.status("") as status:
        states = phrase_states(
            model, phrases, folder, lambda done, of: status.update(f"text states of phrases: {done} of {of}")
        )
    if config.init is None:
        _standardize(model, states.spans())
    model.language.to("meta")  # the steps do not need it, and it is the largest part
    return CachedText(states.to(model.device), naming)


def _standardize(model: Miras, states: torch.Tensor) -> None:
    """Give the mask projector the mean and deviation of the states, rounded to bf16, in which they are shipped."""
    projector = model.mask_projector
    projector.standardize(states.float().to(model.device))
    for buffer in (projector.mean, projector.deviation):
        buffer.copy_(buffer.to(torch.bfloat16))


def _plain(config: TrainConfig) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}


def _check_same(config: TrainConfig, kept: dict[str, Any]) -> None:
    now = asdict(config)
    for name in sorted(set(now) - _MAY_CHANGE):
        if name in kept and now[name] != kept[name]:
            raise ConfigError(
                f"{config.run} holds a run with {name} {kept[name]}, now it is {now[name]}; "
                "set it back, choose another run folder, or delete that one to start again"
            )
