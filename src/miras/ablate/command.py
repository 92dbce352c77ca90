"""`miras ablate`: short trainings of a model with a part left out or changed, and their table."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ablate"]


def ablate(
    plan: Annotated[str, typer.Argument(help="nano, or a YAML file of your own.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="Settings of the plan to change: stages.stage1.steps=50.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the trainings; the same command goes on with them.")] = Path(
        "runs/ablation"
    ),
    data: Annotated[Path, typer.Option(help="Folder of annotated photos, with a train and a val split.")] = Path(
        "../shared/data/photos"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each variant, each from a seed of its own.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="A variant to take; may be repeated.")] = None,
    targets: Annotated[int | None, typer.Option(min=1, help="Ask for so many targets of val, drawn by seed 0.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of each training; 0 for all.")] = 0,
) -> None:
    """Train variants of a model alike and compare them (paper, table 6)."""
    from rich.console import Console

    from miras.ablate.plan import read_plan
    from miras.ablate.run import run_ablation

    chosen = read_plan(plan, settings or [])
    if only:
        chosen = chosen.only(only)
    more = {"data": str(data), "states": str(out / "states"), "threads": threads, "val_targets": 0}
    try:
        run_ablation(chosen, out, range(seeds), more, targets=targets, console=Console())
    except KeyboardInterrupt:
        typer.echo(f"\nwhat is trained is kept; the same command goes on from {out}", err=True)
        raise
