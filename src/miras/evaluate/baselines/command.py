"""`miras evaluate baseline`: a general model on a server answers a file of cases."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from miras.llm.server import ServerOptions, asks_a_server

__all__ = ["baseline"]


@asks_a_server
def baseline(
    model: Annotated[str, typer.Argument(help="Name of the model, as its server knows it.")],
    cases: Annotated[Path, typer.Option(help="File of cases to answer.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on with it.")],
    history: Annotated[
        Literal["own", "gold", "none"], typer.Option(help="Whose earlier answers the model sees.")
    ] = "own",
    images: Annotated[Path | None, typer.Option(help="Folder of the images, if not the one the cases name.")] = None,
    longest: Annotated[int, typer.Option(min=28, help="Longest side in pixels of the image that is sent.")] = 1024,
    coordinates: Annotated[
        Literal["auto", "pixels", "unit", "thousand"], typer.Option(help="What the model's boxes count in.")
    ] = "auto",
    masks: Annotated[
        Literal["boxes", "decoder"],
        typer.Option(help="Boxes as they are, or nano's masks of the words beside them, cut to them."),
    ] = "boxes",
    *,
    asked: ServerOptions,
) -> None:
    """Let a general model on a server answer, and turn the boxes it names into masks (paper appendix C.3)."""
    from miras.errors import LlmError
    from miras.evaluate.baselines.run import Baseline, run_baseline

    job = Baseline(asked.endpoint(model), cases, out, history, images, longest, coordinates, masks, asked.limits())
    try:
        first = run_baseline(job)
    except (KeyboardInterrupt, LlmError):
        typer.echo("what is answered is kept; the same command goes on from here", err=True)
        raise
    for name in ("coordinates", "replies", "tokens"):
        typer.echo(f"{name}: {', '.join(f'{key} {value}' for key, value in first[name].items())}")
