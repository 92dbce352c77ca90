"""`miras convert`: weights from one layout of names into another."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["convert_weights"]


def convert_weights(
    source: Annotated[Path, typer.Argument(help="A file or folder of weights.")],
    to: Annotated[Path, typer.Option(help="Folder to write; with --reverse also a file ending in .pth, .pt or .bin.")],
    layout: Annotated[str, typer.Option(help="Layout of the source; with --reverse that of the result.")] = "auto",
    reverse: Annotated[bool, typer.Option("--reverse", help="From transformers' layout back to another.")] = False,
    rows: Annotated[int | None, typer.Option(help="Tokens of a language model's tables.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16; as they are by default.")] = None,
    clip: Annotated[Path | None, typer.Option(help="CLIP's folder: makes one of our models of a LISA.")] = None,
) -> None:
    """Convert weights to transformers' layout or back; a LISA and its CLIP become one of our models."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from miras.errors import ConfigError
    from miras.model.convert.folder import convert
    from miras.model.convert.lisa import convert_lisa

    kinds = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, None: None}
    if dtype not in kinds:
        raise ConfigError(f"dtype is float32, float16 or bfloat16, got {dtype}; choose one or leave it out")
    if clip is not None and (reverse or rows is not None or layout not in ("auto", "lisa")):
        raise ConfigError("--clip makes a model of a LISA, got other settings with it; leave them out")
    columns = (TextColumn("writing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("writing", total=None)

        def begin(total: int) -> None:
            bar.update(task, total=total)

        def done(written: int) -> None:
            bar.advance(task, written)

        if clip is not None:
            weights = convert_lisa(source, clip, to, dtype=kinds[dtype], begin=begin, done=done)
            lines = [
                f"lisa and clip → a model of ours in {to}, with {weights.rows} tokens and ours behind them",
                "[SEG] keeps its trained rows; [OBJ] and the image token start as the mean of words, LoRA at nothing",
            ]
            dropped = {why: list(weights.dropped.values()).count(why) for why in set(weights.dropped.values())}
        else:
            made = convert(
                source, to, layout=layout, reverse=reverse, rows=rows, dtype=kinds[dtype], begin=begin, done=done
            )
            lines = [f"{made.source} → {made.to}: {made.weights} weights in {to}", *made.notes]
            dropped = made.dropped
    for line in [*lines, *(f"left out {count}: {why}" for why, count in sorted(dropped.items()))]:
        typer.echo(line)
