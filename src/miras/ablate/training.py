"""Trains every variant of a plan from every seed: in order, resumable, cut over processes."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from miras.ablate.plan import Plan, Variant
from miras.config import TrainConfig
from miras.files import write_json
from miras.train.command import MODEL, run_training

__all__ = ["Entry", "entries", "train_entry"]


@dataclass(frozen=True)
class Entry:
    """One variant from one seed."""

    variant: Variant
    seed: int
    folder: Path

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.folder / MODEL

    @property
    def trained(self) -> Path:
        """What is written once it is trained: steps and seconds of each stage."""
        return self.folder / "trained.json"


def entries(plan: Plan, seeds: Sequence[int], out: Path) -> Iterator[Entry]:
    """Every variant from the first seed, then from the next: what is done at any time compares all variants."""
    for seed in seeds:
        for variant in plan.variants:
            yield Entry(variant, seed, out / variant.name / f"seed{seed}")


def train_entry(plan: Plan, entry: Entry, more: Mapping[str, Any], console: Console) -> None:
    """Train one entry, from its last checkpoint where it has one; the stages' folders go once the model is there."""
    if entry.trained.is_file():
        return
    configs = plan.configs(entry.variant, entry.seed, entry.folder, more)
    for config in configs:
        console.rule(f"{entry.variant.title}, seed {entry.seed}, {Path(config.run).name}", align="left")
        run_training(config, console)
    shutil.copytree(Path(configs[-1].run) / MODEL, entry.model, dirs_exist_ok=True)
    write_json(entry.trained, {Path(config.run).name: _spent(config) for config in configs})
    for config in configs:
        shutil.rmtree(config.run)


def _spent(config: TrainConfig) -> dict[str, float]:
    """Steps and seconds of a stage, over all its starts, as its log tells them."""
    step, seconds = 0, 0.0
    for line in (Path(config.run) / "log.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "seconds_per_step" in row and row["step"] > step:
            seconds += row["seconds_per_step"] * (row["step"] - step)
            step = row["step"]
    return {"steps": step, "images": config.images, "seconds": round(seconds, 1)}
