"""A plan as tables for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from miras.train.plan.advice import Change
from miras.train.plan.estimate import Plan
from miras.train.plan.memory import GIB, Part

__all__ = ["show"]


def show(plan: Plan, changes: Sequence[Change], console: Console) -> None:
    """Print what a run will need, and what to change where it does not fit."""
    shape = plan.shape
    row = "no text" if shape.cached else f"rows of {shape.image_tokens} image and {shape.text_tokens} text tokens"
    console.print(
        f"one batch: {shape.images} images at {shape.size} px, {row}, {shape.targets} targets (taken as typical)",
        highlight=False,
    )
    console.print(_weights(plan.parts))
    console.print(_memory(plan))
    console.print(_verdict(plan), highlight=False)
    for change in changes:
        end = "fits" if change.plan.fits else "does not fit yet"
        console.print(
            f"  {change.settings}: {_gib(change.plan.needed)} GiB, {end}; costs {change.costs}", highlight=False
        )
    work = f"{plan.flops / 1e12:,.1f} TFLOP per step, {plan.tokens_per_second:,.0f} tokens per second, "
    time = f"{plan.seconds_per_step:,.1f} s per step, {plan.days:,.1f} days in all"
    console.print(f"{work}{time}, at {plan.mfu:.0%} of the peak (assumed)", highlight=False)


def _weights(parts: Sequence[Part]) -> Table:
    table = Table("part", "frozen", "trained", "kept as", "GiB")
    for part in parts:
        size = part.frozen_bytes + part.trained_bytes
        table.add_row(part.name, _count(part.frozen), _count(part.trained), part.dtypes, _gib(size))
    return table


def _memory(plan: Plan) -> Table:
    shared = f"ZeRO-{plan.zero} over {plan.gpus * plan.hosts}" if plan.zero else "one process"
    table = Table("memory per device", f"GiB ({shared})")
    for kind, size in plan.memory.items():
        if size:
            table.add_row(kind, _gib(size))
    if plan.at_start > sum(plan.memory.values()):
        table.add_row("or, before the first step, all weights", _gib(plan.at_start))
    table.add_row("together", _gib(plan.needed))
    return table


def _verdict(plan: Plan) -> str:
    on = plan.machine
    count = plan.gpus * plan.hosts
    many = f"{count} x {on.name}" if count > 1 else on.name
    answer = "fits" if plan.fits else "does not fit"
    return f"{answer} on {many}: {_gib(plan.needed)} of {on.memory:g} GiB each (an estimate; {on.source})"


def _gib(size: int) -> str:
    return f"{size / GIB:,.2f}"


def _count(number: int) -> str:
    return f"{number / 1e6:,.1f} M" if number else ""
