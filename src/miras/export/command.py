"""`miras export MODEL --out FOLDER`: a trained model as a folder that others read."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Form", "export"]


class Form(StrEnum):
    """What the folder holds."""

    MERGED = "merged"
    """All weights, LoRA folded into the layers it adapts: the fastest answers."""
    WHOLE = "whole"
    """All weights, LoRA beside the layers it adapts: can be trained on."""
    TRAINED = "trained"
    """What training changed; the rest comes from the pinned sources."""
    ADAPTER = "adapter"
    """The same, the language model's LoRA as an adapter of PEFT's."""


def export(
    model: Annotated[str, typer.Argument(help="The folder of a run or of a model, or the name of an embedded one.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    form: Annotated[
        Form,
        typer.Option(
            help="merged: LoRA folded in. whole: LoRA apart. trained: what was trained. adapter: LoRA for PEFT."
        ),
    ] = Form.MERGED,
    licence: Annotated[str | None, typer.Option("--license", help="Terms of the weights, for the card.")] = None,
) -> None:
    """Write a model as a Hugging Face folder, in bf16, with a card filled from the run that trained it."""
    from rich.console import Console

    from miras.export.folder import write_export

    console = Console()
    with console.status(f"reading {model}"):
        size = write_export(model, out, form, licence)
    console.print(f"{out}: {size / 2**20:,.1f} MiB, read by Miras.from_pretrained({str(out)!r})", highlight=False)
