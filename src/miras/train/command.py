"""`miras train CONFIG [key=value …]`: from a configuration to a folder with a trained model."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
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
from miras.files import write_text
from miras.model.checkpoint import save
from miras.model.miras import Miras
from miras.train.batches import make_batches
from miras.train.engine import Engine, Pass, TorchEngine
from miras.train.engine_processes import Processes, joined
from miras.train.features import kept_features
from miras.train.logs import RunLog
from miras.train.loop import Training
from miras.train.naming import Naming
from miras.train.phrases import all_phrases, phrase_states
from miras.train.public import OpenedSets, open_public, told_of
from miras.train.stages import CachedText, JointText, TextMode, choose_parts, halve_frozen, recompute, start_model
from miras.train.state import LAST, Ema, kept_weights, lay_over, read
from miras.train.universal import UNIVERSAL, read_universal, shaped
from miras.train.validate import make_cases, validate

__all__ = ["MODEL", "export", "make_engine", "prepare", "run_training", "train"]

MODEL = "model"
"""Folder of the finished model, within that of the run."""

_MAY_CHANGE = {
    "run", "states", "device", "threads", "workers", "minutes", "checkpoint_minutes", "validate_minutes", "val_targets",
    "val", "log_every", "engine", "zero", "deepspeed", "universal",
}  # fmt: skip
"""Settings that do not change what is learnt, so a run may go on under others."""


def train(config: Path, overrides: list[str]) -> None:
    """Train one stage as the file and the settings say; started again, it goes on from its last checkpoint.

    After an interrupt the checkpoint is written and the process ends with code 130.
    """
    settings = load_config(config, overrides)
    console = Console(quiet=os.environ.get("RANK", "0") != "0")
    try:
        run_training(settings, console)
    except KeyboardInterrupt:
        console.print(f"stopped; the same command goes on from {Path(settings.run) / LAST}", highlight=False)
        _leave(130)
    _leave(0)


def _leave(code: int) -> None:
    """End the process with a code, where that is more than coming back.

    One of several ends at once: DeepSpeed keeps gloo's groups, whose threads at times abort an interpreter that takes
    itself apart (pytorch#190489), and then a run that is done would count as failed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if code:
        raise SystemExit(code)


def run_training(config: TrainConfig, console: Console) -> None:
    """Train, validate and export. Raises ConfigError when the folder holds a run with other settings."""
    if config.threads:
        torch.set_num_threads(config.threads)
    with joined(config) as processes:
        folder = Path(config.run)
        kept = read(folder / LAST) if (folder / LAST).is_file() else None
        if kept is None and (folder / UNIVERSAL).is_dir():
            kept = read_universal(folder / UNIVERSAL)
        if kept:
            _check_same(config, kept["config"])
        training = prepare(config, console, processes, kept)
        if kept:
            console.print(f"going on from step {training.step} of {folder}", highlight=False)
        if processes.first:
            write_text(folder / "config.yaml", yaml.safe_dump(_plain(config), sort_keys=False))
        with RunLog(folder if processes.first else None, console, steps=config.steps, done=training.step) as log:
            done = training.run(log)
        weights = training.engine.weights()
        if processes.first:
            export(config, weights | training.ema.mean, folder / MODEL)
        processes.wait()
        ended = "finished" if done else f"time is up at step {training.step}; the same command goes on"
        console.print(f"{ended}; model in {folder / MODEL}", highlight=False)


def prepare(
    config: TrainConfig, console: Console, processes: Processes, kept: Mapping[str, Any] | None = None
) -> Training:
    """Model, data and optimizer of a run, at its first step or where a checkpoint of it stands."""
    opened = _open(config, console)
    cases = make_cases(config)
    if cases is None and config.val_targets:
        console.print("no validation: val names nothing", highlight=False)
    model = start_model(config)
    sharded = config.engine == "deepspeed" and config.zero == 3
    parts = choose_parts(model, config.parts)
    early = config.text == "cached"
    if early:  # the language model is used here, and never again
        nn.Module.to(model, processes.device)
    with processes.one_by_one():
        mode = _text_mode(config, model, console, processes.device)
    if config.precision == "bf16":
        halve_frozen(model, processes.device)
    if not (early or sharded):  # with ZeRO-3 no device ever holds the whole
        nn.Module.to(model, processes.device)
    if config.gradient_checkpointing:
        recompute(model)
    if kept:
        kept = shaped(kept, model) if "steps" in kept["optimizer"] else kept
        lay_over(model, kept["weights"])
    model.train()
    batches = make_batches(config, model, opened)
    if config.features:
        with processes.one_by_one():
            batches.kept = kept_features(config, model, batches, cases, console)
    inner = Pass(model, mode, autocast=config.precision == "bf16", alike=sharded)
    engine = make_engine(config, inner, parts, processes)

    figures = None
    if cases is not None:
        figures = partial(validate, model, inner, batches.collator(config.image_size), cases, processes)
    ema = Ema({} if sharded else kept_weights(model), config.ema)
    training = Training(config, engine, batches, ema, figures)
    if kept:
        training.resume(kept)
    return training


def _open(config: TrainConfig, console: Console) -> OpenedSets:
    """The public data sets and the JSONL of a run, before a model is loaded: what they lack is said at once."""
    with console.status("") as status:
        opened = open_public(config, status.update)
    for line in told_of(opened):
        console.print(line, highlight=False)
    return opened


def make_engine(
    config: TrainConfig, inner: Pass, parts: Mapping[str, list[nn.Parameter]], processes: Processes
) -> Engine:
    """The engine that the configuration names."""
    if config.engine == "torch":
        return TorchEngine(config, inner, parts, processes)
    from miras.train.engine_deepspeed import DeepSpeedEngine

    return DeepSpeedEngine(config, inner, parts, processes)


def export(config: TrainConfig, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write what was trained as a model in bf16."""
    model = start_model(config)
    if config.quantize and "language" not in model.config.sources:  # then it is written whole, and so it starts whole
        model = start_model(replace(config, quantize=None))
    lay_over(model, weights)
    save(model, folder, frozen=False, dtype=torch.bfloat16)


def _text_mode(config: TrainConfig, model: Miras, console: Console, device: torch.device) -> TextMode:
    if config.text == "joint" and not config.loss.naming:
        return JointText()
    photos = [photo for split in ("train", "val") for photo in load_photos(config.data, split)]
    cutouts = load_cutouts(config.cutouts) if config.cutouts else []
    phrases = all_phrases(photos, cutouts)
    naming = Naming.of(model, phrases).to(device) if config.loss.naming else None
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
    return CachedText(states.to(device), naming)


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
