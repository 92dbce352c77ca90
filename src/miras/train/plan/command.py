"""`miras train CONFIG --plan`: what a run will need, before anything is loaded."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
import typer
from rich.console import Console

from miras.config import TrainConfig, load_config
from miras.train.plan.advice import advise
from miras.train.plan.estimate import MFU, Plan, plan_run
from miras.train.plan.machines import Machine, machine
from miras.train.plan.show import show

__all__ = ["plan"]


def plan(
    path: Path, overrides: list[str], *, gpu: str | None, gpus: int, hosts: int, mfu: float | None, as_json: bool
) -> None:
    """Print the plan of a run; without `gpu`, for this machine's GPU where it is known, or else for a CPU."""
    config = load_config(path, overrides)
    planned = partial(_planned, machine(gpu or _here()), gpus, hosts, MFU if mfu is None else mfu, path.parent)
    first = planned(config, config.features is not None)
    changes = advise(config, first, planned)
    if as_json:
        told = first.to_json() | {"changes": [asdict(change) | {"plan": change.plan.to_json()} for change in changes]}
        typer.echo(json.dumps(told, indent=2))
    else:
        show(first, changes, Console())


def _planned(on: Machine, gpus: int, hosts: int, mfu: float, beside: Path, config: TrainConfig, kept: bool) -> Plan:
    return plan_run(config, on, gpus=gpus, hosts=hosts, mfu=mfu, kept_features=kept, beside=beside)


def _here() -> str:
    """The name of this machine's device, as the table has it."""
    told = torch.cuda.get_device_name().lower() if torch.cuda.is_available() else ""
    found = {"h200": "h200", "h100": "h100", "a100": "a100-80", "l40s": "l40s", "6000 ada": "rtx6000ada",
             "a6000": "a6000", "4090": "rtx4090", "3090": "rtx3090"}  # fmt: skip
    return next((name for words, name in found.items() if words in told), "cpu")
